/**
 * The message groups of a group that tells them apart: for order, or for a limit of what is with consumers of each.
 * In an ordered group, while one message of a message group is in flight, or one contiguous batch, the next ones
 * wait here in order. A retry holds its message group: it is delivered again before anything behind it, and only when
 * nothing of the group is with a consumer. In memory only, rebuilt on waking by scanning again from the low-water mark.
 * Offsets that wait are bounded: past PARKED_MAX a lock keeps only where to look again, so that one blocked message group
 * with a long backlog neither fills the memory nor stops the others.
 */

const PARKED_MAX = 50_000;

/** A message in flight: with a consumer, waiting for its retry, to be delivered again now, or poisoned. */
type Standing = "leased" | "waiting" | "due" | "held";

/** A message group of which nothing may go, and the message that holds it. */
export interface HeldGroup {
  readonly messageGroup: string;
  readonly offset: number;
  /** `growing`: its former queue has not finished with it. */
  readonly by: Exclude<Standing, "due"> | "growing";
  readonly formerQueue?: number;
  /** Messages known to wait behind; `more`: and others that nobody counted. */
  readonly waiting: number;
  readonly more: boolean;
}

interface Lock {
  /** Messages in flight, in their order. */
  readonly flying: Map<number, Standing>;
  /** How many of them are with a consumer. */
  leased: number;
  /** Offsets that wait behind those in flight, in order. */
  readonly parked: number[];
  /** Further ones stand in the log from here on. */
  spilledFrom: number | undefined;
  /** Redriven ones that come behind what is spilled, and the offset that each comes before. */
  readonly late: { readonly after: number; readonly offset: number }[];
  /** Former queue whose end is awaited; undefined for a common lock. */
  heldFor: number | undefined;
  /** It stands in `ready`. */
  queued: boolean;
}

export class OrderLocks {
  /** Without order: the most of one message group that consumers have at a time. 0: in order. */
  concurrency = 0;
  readonly #locks = new Map<string, Lock>();
  readonly #groupOf = new Map<number, string>();
  /** Message groups of which something may go. */
  #ready: string[] = [];
  #parkedCount = 0;

  clear(): void {
    this.#locks.clear();
    this.#groupOf.clear();
    this.#ready = [];
    this.#parkedCount = 0;
  }

  /** How many message groups may have something to deliver. */
  get readyCount(): number {
    return this.#ready.length;
  }

  shiftReady(): string | undefined {
    const messageGroup = this.#ready.shift();
    const lock = messageGroup === undefined ? undefined : this.#locks.get(messageGroup);
    if (lock !== undefined) lock.queued = false;
    return messageGroup;
  }

  #lockOf(messageGroup: string): Lock {
    let lock = this.#locks.get(messageGroup);
    if (lock === undefined) {
      lock = {
        flying: new Map(),
        leased: 0,
        parked: [],
        spilledFrom: undefined,
        late: [],
        heldFor: undefined,
        queued: false,
      };
      this.#locks.set(messageGroup, lock);
    }
    return lock;
  }

  // ------------------------------------------------------------ in flight

  /** The message is in flight, behind those that are already. */
  fly(messageGroup: string, offset: number, standing: Standing): void {
    const lock = this.#lockOf(messageGroup);
    this.#groupOf.set(offset, messageGroup);
    lock.flying.set(offset, standing);
    if (standing === "leased") lock.leased++;
  }

  /** What is in flight now stands so. Answers false for a message without a lock. */
  stand(offset: number, standing: Standing): boolean {
    const messageGroup = this.#groupOf.get(offset);
    const lock = messageGroup === undefined ? undefined : this.#locks.get(messageGroup);
    const before = lock?.flying.get(offset);
    if (messageGroup === undefined || lock === undefined || before === undefined) return false;
    lock.flying.set(offset, standing);
    lock.leased += Number(standing === "leased") - Number(before === "leased");
    this.settle(messageGroup);
    return true;
  }

  /** The message is done with; what comes next of its message group may go. */
  land(offset: number): void {
    const messageGroup = this.#groupOf.get(offset);
    const lock = messageGroup === undefined ? undefined : this.#locks.get(messageGroup);
    if (messageGroup === undefined || lock === undefined) return;
    this.#groupOf.delete(offset);
    if (lock.flying.get(offset) === "leased") lock.leased--;
    lock.flying.delete(offset);
    this.settle(messageGroup);
  }

  /** Frees the message group when nothing of it is left, or lets it be looked at when something may go. */
  settle(messageGroup: string): void {
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined || !this.#isFree(lock)) return;
    if (lock.flying.size === 0 && !hasParked(lock)) {
      this.#locks.delete(messageGroup);
    } else if (!lock.queued && (hasParked(lock) || hasDue(lock))) {
      lock.queued = true;
      this.#ready.push(messageGroup);
    }
  }

  /** Messages of it that are to be delivered again now, in order; undefined while nothing of it may go. */
  retries(messageGroup: string): number[] | undefined {
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined || !this.#isFree(lock)) return undefined;
    const due: number[] = [];
    const most = this.concurrency === 0 ? Infinity : this.concurrency - lock.leased;
    for (const [offset, standing] of lock.flying) {
      if (due.length >= most) break;
      if (standing === "due") due.push(offset);
      else if (this.concurrency === 0) break;
    }
    return due;
  }

  /**
   * May the message that the scan meets go at once? In order, when the message group is free, or was when the receive under
   * way began and all that is in flight has gone out with it: then it continues the batch.
   */
  mayGoAtScan(messageGroup: string, isInBatch: boolean): boolean {
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined) return true;
    if (hasParked(lock)) return false;
    if (this.concurrency > 0) return lock.leased < this.concurrency;
    return isInBatch && lock.leased === lock.flying.size && lock.heldFor === undefined;
  }

  /** May anything of it go to a consumer now? */
  #isFree(lock: Lock): boolean {
    if (this.concurrency > 0) return lock.leased < this.concurrency;
    // Nobody has a message of it, and the first in flight, if there is one, may be delivered again.
    if (lock.leased > 0 || lock.heldFor !== undefined) return false;
    for (const standing of lock.flying.values()) return standing === "due";
    return true;
  }

  // ------------------------------------------------------------ waiting

  /** Locks a message group that moved here until its former queue has finished. */
  hold(messageGroup: string, formerQueue: number): void {
    this.#lockOf(messageGroup).heldFor = formerQueue;
  }

  release(formerQueue: number): void {
    for (const [messageGroup, lock] of this.#locks) {
      if (lock.heldFor !== formerQueue) continue;
      lock.heldFor = undefined;
      this.settle(messageGroup);
    }
  }

  /** The message waits. `after` of a redriven one: the place at which the scan met it. */
  park(messageGroup: string, offset: number, after?: number): void {
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined) return;
    if (lock.spilledFrom !== undefined) {
      if (after !== undefined) lock.late.push({ after, offset });
      return;
    }
    if (this.#parkedCount >= PARKED_MAX && after === undefined) {
      lock.spilledFrom = offset;
      return;
    }
    lock.parked.push(offset);
    this.#parkedCount++;
  }

  /** Takes out the next one that waits. `spilled`: it stands in the log. */
  next(messageGroup: string): number | "spilled" | undefined {
    const lock = this.#locks.get(messageGroup);
    if (this.concurrency > 0 && (lock?.leased ?? 0) >= this.concurrency) return undefined;
    const offset = lock?.parked.shift();
    if (offset === undefined) return lock?.spilledFrom === undefined ? undefined : "spilled";
    this.#parkedCount--;
    return offset;
  }

  /** Puts one back in front: it did not fit. */
  unpark(messageGroup: string, offset: number): void {
    this.#lockOf(messageGroup).parked.unshift(offset);
    this.#parkedCount++;
  }

  spilledFrom(messageGroup: string): number {
    return this.#locks.get(messageGroup)?.spilledFrom ?? 0;
  }

  /** A look in the log from `spilledFrom` found these, and must go on at `from` (undefined: it met the scan). */
  refill(messageGroup: string, offsets: readonly number[], from: number | undefined): void {
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined) return;
    const before = lock.parked.length;
    for (const offset of offsets) {
      while ((lock.late[0]?.after ?? Infinity) <= offset) parkLate(lock);
      lock.parked.push(offset);
    }
    if (from === undefined) for (let left = lock.late.length; left > 0; left--) parkLate(lock);
    this.#parkedCount += lock.parked.length - before;
    lock.spilledFrom = from;
  }

  /** Message groups of which nothing may go, in no order. */
  *held(): Iterable<HeldGroup> {
    for (const [messageGroup, lock] of this.#locks) {
      const more = lock.spilledFrom !== undefined;
      const behind = { messageGroup, waiting: lock.parked.length + lock.late.length, more };
      const holder = this.#isFree(lock) ? undefined : firstHolder(lock, this.concurrency > 0);
      if (holder !== undefined) yield { ...behind, ...holder };
      else if (lock.heldFor !== undefined) {
        const offset = lock.parked[0] ?? lock.spilledFrom ?? 0;
        yield { ...behind, offset, by: "growing", formerQueue: lock.heldFor };
      }
    }
  }
}

/** In order, the first that does not go by itself; else, the first that takes up a place. */
function firstHolder(
  lock: Lock,
  onlyLeased: boolean,
): Pick<HeldGroup, "offset" | "by"> | undefined {
  for (const [offset, by] of lock.flying) {
    if (by === "leased" || (by !== "due" && !onlyLeased)) return { offset, by };
  }
  return undefined;
}

/** Does something of it wait behind what is in flight? */
const hasParked = (lock: Lock): boolean => lock.parked.length > 0 || lock.spilledFrom !== undefined;

function hasDue(lock: Lock): boolean {
  for (const standing of lock.flying.values()) if (standing === "due") return true;
  return false;
}

function parkLate(lock: Lock): void {
  const late = lock.late.shift();
  if (late !== undefined) lock.parked.push(late.offset);
}
