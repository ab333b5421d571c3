/**
 * The locks of an ordered group: while one message of a message group is in flight, the next ones wait here in order.
 * In memory only, rebuilt on waking by scanning again from the low-water mark. Offsets that wait are bounded: past
 * PARKED_MAX a lock keeps only where to look again, so that one blocked message group with a long backlog neither fills
 * the memory nor stops the others.
 */

const PARKED_MAX = 50_000;

interface Lock {
  /** Messages of it in flight: one contiguous batch. */
  flying: number;
  /** Offsets that wait behind the one in flight, in order. */
  parked: number[];
  /** Further ones stand in the log from here on. */
  spilledFrom: number | undefined;
  /** Redriven ones that come behind what is spilled, and the offset that each comes before. */
  late: { readonly after: number; readonly offset: number }[];
  /** Former queue whose end is awaited; undefined for a common lock. */
  heldFor: number | undefined;
}

export class OrderLocks {
  readonly #locks = new Map<string, Lock>();
  readonly #flying = new Map<number, string>();
  /** Message groups whose next message may go. */
  readonly ready: string[] = [];
  #parkedCount = 0;

  clear(): void {
    this.#locks.clear();
    this.#flying.clear();
    this.ready.length = 0;
    this.#parkedCount = 0;
  }

  isLocked(messageGroup: string): boolean {
    return this.#locks.has(messageGroup);
  }

  lock(messageGroup: string, offset: number): void {
    this.#flying.set(offset, messageGroup);
    if (!this.#locks.has(messageGroup)) {
      this.#locks.set(messageGroup, {
        flying: 0,
        parked: [],
        spilledFrom: undefined,
        late: [],
        heldFor: undefined,
      });
    }
    const lock = this.#locks.get(messageGroup);
    if (lock !== undefined) lock.flying++;
  }

  /** Nothing of it waits here, so what the scan meets next is its next message. */
  isAtScan(messageGroup: string): boolean {
    const lock = this.#locks.get(messageGroup);
    return lock !== undefined && lock.parked.length === 0 && lock.spilledFrom === undefined;
  }

  /** Locks a message group that moved here until its former queue has finished. */
  hold(messageGroup: string, formerQueue: number): void {
    if (!this.#locks.has(messageGroup)) {
      this.#locks.set(messageGroup, {
        flying: 0,
        parked: [],
        spilledFrom: undefined,
        late: [],
        heldFor: formerQueue,
      });
    }
  }

  release(formerQueue: number): void {
    for (const [messageGroup, lock] of this.#locks) {
      if (lock.heldFor !== formerQueue) continue;
      lock.heldFor = undefined;
      this.ready.push(messageGroup);
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

  /** The message in flight is done with; the next of its message group may go. */
  unlock(offset: number): void {
    const messageGroup = this.#flying.get(offset);
    if (messageGroup === undefined) return;
    this.#flying.delete(offset);
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined || --lock.flying > 0) return;
    this.ready.push(messageGroup);
  }

  /** The next message of a ready message group; undefined when there is none left, which frees it. */
  next(messageGroup: string): number | "spilled" | undefined {
    const lock = this.#locks.get(messageGroup);
    if (lock === undefined) return undefined;
    const offset = lock.parked.shift();
    if (offset !== undefined) {
      this.#parkedCount--;
      return offset;
    }
    if (lock.spilledFrom !== undefined) return "spilled";
    this.#locks.delete(messageGroup);
    return undefined;
  }

  /** The next parked one while another of it is in flight; it frees nothing. */
  following(messageGroup: string): number | undefined {
    const offset = this.#locks.get(messageGroup)?.parked.shift();
    if (offset !== undefined) this.#parkedCount--;
    return offset;
  }

  /** Puts one back in front: it did not fit. */
  unpark(messageGroup: string, offset: number): void {
    this.#locks.get(messageGroup)?.parked.unshift(offset);
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
      while ((lock.late[0]?.after ?? Infinity) <= offset) this.#parkLate(lock);
      lock.parked.push(offset);
    }
    if (from === undefined)
      for (let left = lock.late.length; left > 0; left--) this.#parkLate(lock);
    this.#parkedCount += lock.parked.length - before;
    lock.spilledFrom = from;
  }

  #parkLate(lock: Lock): void {
    const late = lock.late.shift();
    if (late !== undefined) lock.parked.push(late.offset);
  }

  /** Message groups held, with the offset in flight where there is one. */
  list(): { messageGroup: string; waiting: number; heldFor?: number }[] {
    return [...this.#locks].map(([messageGroup, lock]) => ({
      messageGroup,
      waiting: lock.parked.length,
      ...(lock.heldFor === undefined ? {} : { heldFor: lock.heldFor }),
    }));
  }
}
