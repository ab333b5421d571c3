/**
 * The bell of a topic, at its queue 0: long polls of many queues wait here for any of them to ring.
 * In memory only: a poll whose wait is lost with the object asks all queues again when its client comes back.
 */
import type { Clock } from "../platform/clock.ts";
import { LIMITS } from "../protocol/limits.ts";

interface Waiter {
  readonly answer: (queues: readonly number[]) => void;
  readonly cancel: () => void;
}

export class Bell {
  readonly #clock: Clock;
  readonly #waiters = new Map<number, Waiter[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for a ring for the group; undefined when too many wait already. */
  wait(group: number, waitMs: number): Promise<readonly number[]> | undefined {
    const waiters = this.#waiters.get(group) ?? [];
    this.#waiters.set(group, waiters);
    if (waiters.length >= LIMITS.waitersMax) return undefined;
    return new Promise((resolve) => {
      const waiter: Waiter = {
        answer: resolve,
        cancel: this.#clock.after(waitMs, () => {
          const index = waiters.indexOf(waiter);
          if (index >= 0) waiters.splice(index, 1);
          resolve([]);
        }),
      };
      waiters.push(waiter);
    });
  }

  /** Wakes as many waiters as there are messages, one at least; answers how many still wait. */
  ring(group: number, queue: number, count: number): number {
    const waiters = this.#waiters.get(group) ?? [];
    for (const waiter of waiters.splice(0, Math.max(1, count))) {
      waiter.cancel();
      waiter.answer([queue]);
    }
    return waiters.length;
  }
}
