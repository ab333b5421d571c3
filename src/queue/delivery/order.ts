/**
 * The locks of an ordered group: while one message of a message group is in flight, or one contiguous batch, the next ones
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

  isLocked(messageGroup: string): boolean {
    return this.#locks.has(messageGroup);
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
    if (lock === undefined || !isFree(lock)) return;
    if (lock.flying.size === 0 && lock.parked.length === 0 && lock.spilledFrom === undefined) {
      this.#locks.delete(messageGroup);
    } else if (!lock.queued) {
      lock.queued = true;
      this.#ready.push(messageGroup);
    }
  }

  /** Messages of it that are to be delivered again now, in order; undefined while nothing of it may go. */
  retries(messageGroup: string): number[] | undefined {
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined || !isFree(lock)) return undefined;
    const due: number[] = [];
    for (const [offset, standing] of lock.flying) {
      if (standing !== "due") break;
      due.push(offset);
    }
    return due;
  }

  /** Of a message group that was free: has all that is in flight gone out by now? Then the next one continues the batch. */
  goesOn(messageGroup: string): boolean {
    const lock = this.#locks.get(messageGroup);
    return lock === undefined || (lock.leased === lock.flying.size && lock.heldFor === undefined);
  }

  // ------------------------------------------------------------ waiting

  /** Nothing of it waits here, so what the scan meets next is its next message. */
  isAtScan(messageGroup: string): boolean {
    const lock = this.#locks.get(messageGroup);
    return lock === undefined || (lock.parked.length === 0 && lock.spilledFrom === undefined);
  }

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

  has(offset: number): boolean {
    return this.#groupOf.has(offset);
  }

  /** Message groups of which nothing may go, in no order. */
  *held(): Iterable<HeldGroup> {
    for (const [messageGroup, lock] of this.#locks) {
      const more = lock.spilledFrom !== undefined;
      const behind = { messageGroup, waiting: lock.parked.length + lock.late.length, more };
      const holder = isFree(lock) ? undefined : firstHolder(lock);
      if (holder !== undefined) yield { ...behind, ...holder };
      else if (lock.heldFor !== undefined) {
        const offset = lock.parked[0] ?? lock.spilledFrom ?? 0;
        yield { ...behind, offset, by: "growing", formerQueue: lock.heldFor };
      }
    }
  }
}

function firstHolder(lock: Lock): Pick<HeldGroup, "offset" | "by"> | undefined {
  for (const [offset, by] of lock.flying) if (by !== "due") return { offset, by };
  return undefined;
}

/** Nobody has a message of it, and the first in flight, if there is one, may be delivered again. */
function isFree(lock: Lock): boolean {
  if (lock.leased > 0 || lock.heldFor !== undefined) return false;
  for (const standing of lock.flying.values()) return standing === "due";
  return true;
}

function parkLate(lock: Lock): void {
  const late = lock.late.shift();
  if (late !== undefined) lock.parked.push(late.offset);
}
