/**
 * The undecided transactions of a queue as memory holds them, without their bodies, and when each is due for a check or
 * its discard. In memory only: made anew on waking. When something is due is core/half-message.ts's to say.
 */
import { dueAt, type Undecided } from "../../core/half-message.ts";
import type { LastCheck } from "../../protocol/rpc.ts";
import { Heap } from "../../core/heap.ts";

export interface OpenHalf extends Undecided {
  readonly position: number;
  readonly producerGroup: string;
  readonly preparedAt: number;
  checks: number;
  nextCheckAt: number;
  openUntil: number;
  lastCheck: LastCheck | undefined;
  /** Offered to its coordinator; offered again if no check has begun by then. Not stored. */
  offeredUntil: number;
}

const nextLookAt = (open: OpenHalf): number => Math.max(dueAt(open), open.offeredUntil);

export class OpenHalves {
  readonly #byPosition = new Map<number, OpenHalf>();
  /** By `nextLookAt`; entries that do not fit it any more are stale. */
  readonly #due = new Heap();

  get size(): number {
    return this.#byPosition.size;
  }

  get(position: number): OpenHalf | undefined {
    return this.#byPosition.get(position);
  }

  [Symbol.iterator](): Iterator<OpenHalf> {
    return this.#byPosition.values();
  }

  add(open: OpenHalf): void {
    this.#byPosition.set(open.position, open);
    this.schedule(open);
  }

  delete(position: number): void {
    this.#byPosition.delete(position);
  }

  /** Its due instant changed. */
  schedule(open: OpenHalf): void {
    this.#due.push(nextLookAt(open), open.position);
  }

  /** The earliest instant at which something is due. */
  nextDueAt(): number | undefined {
    for (;;) {
      const key = this.#due.topKey;
      const position = this.#due.topValue;
      if (key === undefined || position === undefined) return undefined;
      const open = this.#byPosition.get(position);
      if (open !== undefined && key === nextLookAt(open)) return key;
      this.#due.pop();
    }
  }

  /** Takes up to `max` that are due off the heap; whoever takes one must schedule or delete it. */
  takeDue(nowMs: number, max: number): OpenHalf[] {
    const taken = new Set<OpenHalf>();
    while (taken.size < max) {
      const key = this.nextDueAt();
      if (key === undefined || key > nowMs) break;
      const open = this.#byPosition.get(this.#due.pop() ?? -1);
      if (open !== undefined) taken.add(open);
    }
    return [...taken];
  }
}
