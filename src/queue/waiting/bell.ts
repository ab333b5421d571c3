/**
 * The bell of a topic, at its queue 0: long polls of many queues wait here for any of them to ring.
 * A poll asks the queues while its wait is on the way to this one; a queue that was asked already may ring here before the
 * wait has come. So a ring that nobody hears is kept for who began to ask before it.
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
  /** When it began to ask the queues. */
  readonly askedAt: number;
}

const NONE: Rung = accept({ queues: [] });
/** How far the clocks of a Worker and of an object may be apart: within it a ring is rather heard twice than missed. */
const CLOCKS_APART_MS = 100;
const UNHEARD_MAX = 4_096;

export class Bell {
  readonly #clock: Clock;
  readonly #waiters = new Map<number, Waiter[]>();
  /** Of all groups. */
  #size = 0;
  /** Rings that found nobody, by who they were for: which queues rang, and when. */
  readonly #unheard = new Map<string, Map<number, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for a ring for the group; undefined when too many wait already. */
  wait(group: number, waitMs: number, who: Waiting): Promise<Rung> | undefined {
    const unheard = this.#takeUnheard(group, who);
    if (unheard.length > 0) return Promise.resolve(accept({ queues: unheard }));
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
      if (waiters.length === 0) this.#keepUnheard(group, queue);
      for (const waiter of waiters.splice(0, Math.max(1, count))) waiter.answer(rung);
      return waiters.length;
    }
    const named = new Set(consumerIds);
    const isNamed = ({ consumerId = "" }: Waiter): boolean => named.has(consumerId);
    const woken = waiters.filter(isNamed);
    waiters.splice(0, waiters.length, ...waiters.filter((waiter) => !isNamed(waiter)));
    for (const waiter of woken) waiter.answer(rung);
    const heard = new Set(woken.map(({ consumerId }) => consumerId));
    for (const consumerId of consumerIds)
      if (!heard.has(consumerId)) this.#keepUnheard(group, queue, consumerId);
    return 0;
  }

  #keepUnheard(group: number, queue: number, consumerId?: string): void {
    const key = keyOf(group, consumerId);
    const queues = this.#unheard.get(key) ?? new Map<number, number>();
    queues.set(queue, this.#clock.nowMs());
    this.#unheard.delete(key);
    this.#unheard.set(key, queues);
    for (const oldest of this.#unheard.keys()) {
      if (this.#unheard.size <= UNHEARD_MAX) break;
      this.#unheard.delete(oldest);
    }
  }

  #takeUnheard(group: number, { consumerId, askedAt }: Waiting): number[] {
    const key = keyOf(group, consumerId);
    const queues = [...(this.#unheard.get(key) ?? [])];
    this.#unheard.delete(key);
    return queues
      .filter(([, rangAt]) => rangAt >= askedAt - CLOCKS_APART_MS)
      .map(([queue]) => queue);
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

const keyOf = (group: number, consumerId = ""): string => `${group}/${consumerId}`;
