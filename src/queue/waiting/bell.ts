/**
 * The bell of a topic, at its queue 0: long polls of many queues wait here for any of them to ring.
 * Rings are numbered, and the last of each queue is remembered: who has heard the bell up to a number is told of all that
 * rang since, so that it need ask no other queue; who comes for the first time, and asks the queues while its wait is on the
 * way to this one, of all that rang since it began to ask.
 * In memory only: a poll whose wait is lost with the object asks all queues again when its client comes back, and a mark of
 * another life is answered as lost.
 */
import type { Clock } from "../../platform/clock.ts";
import { accept, type Outcome, type Refusal } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { BellMark, RingCall, Rung } from "../../protocol/rpc.ts";

interface Waiter extends Waiting {
  /** Ends the wait and its timer: with what rang meanwhile, or with the given outcome. */
  readonly end: (outcome?: Outcome<Rung>) => void;
}

/** Who waits. */
interface Waiting {
  /** Names the wait for `cancel`. */
  readonly waitId?: string;
  /** Of a broadcast group: only what comes for this consumer wakes it. */
  readonly consumerId?: string;
  /** When it began to ask the queues. */
  readonly askedAt: number;
  /** As far as it has heard already. */
  readonly after?: BellMark;
}

interface Ring {
  readonly queue: number;
  readonly number: number;
  readonly atMs: number;
}

/** How far the clocks of a Worker and of an object may be apart: within it a ring is rather heard twice than missed. */
const CLOCKS_APART_MS = 100;
/** Groups, and consumers of broadcast groups, whose rings are remembered. */
const REMEMBERED_MAX = 4_096;

export class Bell {
  readonly #clock: Clock;
  readonly #life: number;
  readonly #waiters = new Map<number, Waiter[]>();
  /** Of all groups. */
  #size = 0;
  /** The number of the last ring. */
  #number = 0;
  /** The last ring of each queue, the newest last, by who it was for. */
  readonly #rings = new Map<string, Map<number, Ring>>();
  /** By the same: later rings than this number are all remembered. */
  readonly #knownFrom = new Map<string, number>();
  /** Of whom no ring is remembered, those up to this number may be forgotten. */
  #forgotten = 0;

  /** `life`: another number in each life of the object. */
  constructor(clock: Clock, life: number) {
    this.#clock = clock;
    this.#life = life;
  }

  /** The answer to a wait that is over before it began. */
  get nothing(): Rung {
    const mark = this.#mark;
    return { rings: [], since: mark.number, mark };
  }

  get #mark(): BellMark {
    return { life: this.#life, number: this.#number };
  }

  /** Waits for a ring for the group; undefined when too many wait already. */
  wait(group: number, waitMs: number, who: Waiting): Promise<Outcome<Rung>> | undefined {
    const isOther = who.after !== undefined && who.after.life !== this.#life;
    if (isOther) return Promise.resolve(accept({ ...this.nothing, isLost: true }));
    const key = keyOf(group, who.consumerId);
    const since = who.after?.number ?? this.#numberAt(key, who.askedAt - CLOCKS_APART_MS);
    const rung = this.#since(key, since);
    if (rung.rings.length > 0 || rung.isLost === true) return Promise.resolve(accept(rung));
    const waiters = this.#waiters.get(group) ?? [];
    this.#waiters.set(group, waiters);
    if (this.#size >= LIMITS.waitersMax) return undefined;
    return new Promise((resolve) => {
      const cancelTimer = this.#clock.after(waitMs, () => {
        const index = waiters.indexOf(waiter);
        if (index >= 0) waiters.splice(index, 1);
        waiter.end();
      });
      const waiter: Waiter = {
        ...who,
        end: (outcome = accept(this.#since(key, since))) => {
          cancelTimer();
          this.#size--;
          resolve(outcome);
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
    this.#number++;
    if (consumerIds === undefined) {
      this.#remember(keyOf(group), queue);
      for (const waiter of waiters.splice(0, Math.max(1, count))) waiter.end();
      return waiters.length;
    }
    for (const consumerId of consumerIds) this.#remember(keyOf(group, consumerId), queue);
    const named = new Set(consumerIds);
    const isNamed = ({ consumerId = "" }: Waiter): boolean => named.has(consumerId);
    const woken = waiters.filter(isNamed);
    waiters.splice(0, waiters.length, ...waiters.filter((waiter) => !isNamed(waiter)));
    for (const waiter of woken) waiter.end();
    return 0;
  }

  #remember(key: string, queue: number): void {
    const rings = this.#rings.get(key) ?? new Map<number, Ring>();
    rings.delete(queue);
    rings.set(queue, { queue, number: this.#number, atMs: this.#clock.nowMs() });
    this.#rings.delete(key);
    this.#rings.set(key, rings);
    if (!this.#knownFrom.has(key)) this.#knownFrom.set(key, this.#forgotten);
    for (const [oldest, forgotten] of this.#rings) {
      if (this.#rings.size <= REMEMBERED_MAX) break;
      this.#rings.delete(oldest);
      this.#knownFrom.delete(oldest);
      for (const { number } of forgotten.values())
        this.#forgotten = Math.max(this.#forgotten, number);
    }
  }

  /** The number of the last ring before the instant, or of the last one if there is none after it. */
  #numberAt(key: string, atMs: number): number {
    const later = this.#ringsOf(key).filter((ring) => ring.atMs >= atMs);
    const first = later.reduce((least, { number }) => Math.min(least, number), Infinity);
    return first === Infinity ? this.#number : first - 1;
  }

  #since(key: string, since: number): Rung {
    const rings = this.#ringsOf(key).filter(({ number }) => number > since);
    const newestFirst = rings.toReversed().map(({ queue, number }) => ({ queue, number }));
    const rung = { rings: newestFirst, since, mark: this.#mark };
    const knownFrom = this.#knownFrom.get(key) ?? this.#forgotten;
    return since < knownFrom ? { ...rung, isLost: true } : rung;
  }

  #ringsOf(key: string): Ring[] {
    return [...(this.#rings.get(key)?.values() ?? [])];
  }

  /** Ends the wait of a client that is gone; false when nobody waits under that id. */
  cancel(waitId: string): boolean {
    for (const waiters of this.#waiters.values()) {
      const index = waiters.findIndex((waiter) => waiter.waitId === waitId);
      if (index < 0) continue;
      for (const waiter of waiters.splice(index, 1)) waiter.end(accept(this.nothing));
      return true;
    }
    return false;
  }

  /** Nobody can ring for the group any more: all who wait for it are told why. */
  close(group: number, why: Refusal): void {
    const waiters = this.#waiters.get(group) ?? [];
    this.#waiters.delete(group);
    for (const waiter of waiters) waiter.end(why);
  }
}

const keyOf = (group: number, consumerId = ""): string => `${group}/${consumerId}`;
