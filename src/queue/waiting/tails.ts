/**
 * Readers that wait for the log to grow: a tail follows a queue by it. In memory only: a wait that is lost with the object
 * is begun again by its reader. It reads nothing by itself.
 */
import type { Clock } from "../../platform/clock.ts";
import { LIMITS } from "../../protocol/limits.ts";

interface Waiter {
  readonly offset: number;
  readonly wake: () => void;
}

export class Tails {
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Fulfilled when the log is longer than `offset`, or something else has changed, or after `waitMs`; undefined: too many wait. */
  wait(offset: number, waitMs: number): Promise<void> | undefined {
    if (this.#waiters.size >= LIMITS.waitersMax) return undefined;
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter: Waiter = { offset, wake: end };
      const cancel = this.#clock.after(waitMs, end);
      this.#waiters.add(waiter);
    });
  }

  /** Who waits for less than `next`; the returned call tells them. */
  grown(next: number): (() => void) | undefined {
    if (this.#waiters.size === 0) return undefined;
    const due = [...this.#waiters].filter(({ offset }) => offset < next);
    return due.length === 0 ? undefined : () => due.forEach(({ wake }) => wake());
  }

  /** The topic is another one by now: everybody looks again. */
  wakeAll(): void {
    for (const { wake } of this.#waiters) wake();
  }
}
