/**
 * The bell of a topic, at its queue 0: long polls of many queues wait here for any of them to ring.
 * In memory only: a poll whose wait is lost with the object asks all queues again when its client comes back.
 */
import type { Clock } from "../../platform/clock.ts";
import { accept, type Outcome, type Refusal } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { RingCall } from "../../protocol/rpc.ts";

type Rung = Outcome<{ queues: readonly number[] }>;

interface Waiter extends Waiting {
  /** Ends the wait and its timer. */
  readonly answer: (rung: Rung) => void;
}

/** Who waits. */
interface Waiting {
  /** Names the wait for `cancel`. */
  readonly waitId?: string;
  /** Of a broadcast group: only what comes for this consumer wakes it. */
  readonly consumerId?: string;
}

const NONE: Rung = accept({ queues: [] });

export class Bell {
  readonly #clock: Clock;
  readonly #waiters = new Map<number, Waiter[]>();
  /** Of all groups. */
  #size = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for a ring for the group; undefined when too many wait already. */
  wait(group: number, waitMs: number, who: Waiting = {}): Promise<Rung> | undefined {
    const waiters = this.#waiters.get(group) ?? [];
    this.#waiters.set(group, waiters);
    if (this.#size >= LIMITS.waitersMax) return undefined;
    return new Promise((resolve) => {
      const cancelTimer = this.#clock.after(waitMs, () => {
        const index = waiters.indexOf(waiter);
        if (index >= 0) waiters.splice(index, 1);
        this.#size--;
        resolve(NONE);
      });
      const waiter: Waiter = {
        ...who,
        answer: (rung) => {
          cancelTimer();
          this.#size--;
          resolve(rung);
        },
      };
      waiters.push(waiter);
      this.#size++;
    });
  }

  /**
   * Wakes as many waiters as there are messages, one at least, or all those of the named consumers; answers how many
   * might be woken still.
   */
  ring({ group, queue, count, consumerIds }: Omit<RingCall, "incarnation">): number {
    const waiters = this.#waiters.get(group) ?? [];
    const rung = accept({ queues: [queue] });
    if (consumerIds === undefined) {
      for (const waiter of waiters.splice(0, Math.max(1, count))) waiter.answer(rung);
      return waiters.length;
    }
    const named = new Set(consumerIds);
    const isNamed = ({ consumerId = "" }: Waiter): boolean => named.has(consumerId);
    const woken = waiters.filter(isNamed);
    waiters.splice(0, waiters.length, ...waiters.filter((waiter) => !isNamed(waiter)));
    for (const waiter of woken) waiter.answer(rung);
    return 0;
  }

  /** Ends the wait of a client that is gone; false when nobody waits under that id. */
  cancel(waitId: string): boolean {
    for (const waiters of this.#waiters.values()) {
      const index = waiters.findIndex((waiter) => waiter.waitId === waitId);
      if (index < 0) continue;
      for (const waiter of waiters.splice(index, 1)) waiter.answer(NONE);
      return true;
    }
    return false;
  }

  /** Nobody can ring for the group any more: all who wait for it are told why. */
  close(group: number, why: Refusal): void {
    const waiters = this.#waiters.get(group) ?? [];
    this.#waiters.delete(group);
    for (const waiter of waiters) waiter.answer(why);
  }
}
