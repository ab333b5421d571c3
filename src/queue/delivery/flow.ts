/**
 * How many messages a group may be given at this queue now: its share of `maxInFlight` and `ratePerSecond` of the topic's
 * queues. What is in flight is counted here, in memory; what the rate has allowed is paid for in the state, on disk.
 *
 * [F1] A queue's shares of `maxInFlight` add up to it, but each queue has one at least; shares of the rate add up to it.
 */
import { allowed, paidAfter, worthwhileAt } from "../../core/pace.ts";
import type { GroupSettings } from "../../protocol/topic.ts";
import type { GroupState } from "./state.ts";

/** Which of how many queues this is. */
export interface Seat {
  readonly queue: number;
  readonly queues: number;
}

export class Flow {
  readonly #state: GroupState;
  /** Offsets that consumers have, while they are limited. */
  readonly #out = new Set<number>();
  /** Infinity: no limit. */
  #inFlightMax = Infinity;
  /** Messages a second; 0: no limit. */
  #rate = 0;
  #nowMs = 0;

  constructor(state: GroupState) {
    this.#state = state;
  }

  /** The limits are these now. Answers whether what is in flight must be told anew. */
  limit({ maxInFlight, ratePerSecond }: GroupSettings, { queue, queues }: Seat): boolean {
    this.#rate = ratePerSecond / queues;
    const share = Math.floor(maxInFlight / queues) + (queue < maxInFlight % queues ? 1 : 0);
    const before = this.#inFlightMax;
    this.#inFlightMax = maxInFlight === 0 ? Infinity : Math.max(1, share);
    return before !== this.#inFlightMax;
  }

  clear(): void {
    this.#out.clear();
  }

  /** The time by which the rate is judged until it is told anew. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** A consumer has it. */
  out(offset: number): void {
    if (this.#inFlightMax < Infinity) this.#out.add(offset);
  }

  /** No consumer has it any more. */
  back(offset: number): void {
    this.#out.delete(offset);
  }

  /** How many may be given now. */
  get room(): number {
    const places = Math.max(0, this.#inFlightMax - this.#out.size);
    if (this.#rate === 0) return places;
    const paid = Math.max(0, allowed(this.#rate, this.#state.paidUntil, this.#nowMs));
    return Math.min(places, paid);
  }

  /** So many were given. */
  gave(count: number): void {
    if (this.#rate === 0 || count === 0) return;
    this.#state.pace(paidAfter(this.#rate, this.#state.paidUntil, count, this.#nowMs));
  }

  /** When the rate alone allows more again; undefined when it does not hold anything back. */
  nextAt(): number | undefined {
    if (this.#rate === 0 || this.room > 0 || this.#out.size >= this.#inFlightMax) return undefined;
    return worthwhileAt(this.#rate, this.#state.paidUntil);
  }
}
