/**
 * The endpoint of groups that push: it takes what is posted to it, in part, late or not at all. What came and what it said
 * of it is written down as what a consumer received and settled; whether the settling got through nobody tells it.
 */
import { deliveriesOf } from "../clients/pushed.ts";
import type { EventClock } from "../../kit/event-clock.node.ts";
import type { PostAnswer } from "../../../src/platform/webhook.ts";
import type { PushPost } from "../../../src/push/ports.ts";
import type { Delivery } from "../history.ts";
import type { Dice } from "./dice.ts";

type Habit = "takes" | "results" | "slow" | "hangs" | "fails" | "busy" | "breaksOff" | "mistaken";

export interface Notes {
  /** Messages came in; answers how to write down what was said of some of them. */
  received(
    at: { readonly topic: string; readonly group: string },
    deliveries: readonly Delivery[],
  ): (verb: "ack" | "nack", receipts: readonly string[]) => void;
}

export class Receiver {
  readonly #clock: EventClock;
  readonly #dice: Dice;
  readonly #notes: Notes;
  /** Probabilities of habits. */
  habits: Readonly<Record<Habit, number>>;

  constructor(clock: EventClock, dice: Dice, isHostile: boolean, notes: Notes) {
    this.#clock = clock;
    this.#dice = dice;
    this.#notes = notes;
    this.habits = isHostile ? HOSTILE : HONEST;
  }

  /** Never throws, and never takes longer than it may. */
  async post({ body, timeoutMs }: PushPost): Promise<PostAnswer> {
    const { at, deliveries } = deliveriesOf(body);
    const settle = this.#notes.received(at, deliveries);
    const receipts = deliveries.map(({ receipt }) => receipt);
    const habit = this.#dice.weighted(this.habits);
    const answerMs = this.#dice.roll() * (habit === "slow" ? timeoutMs * 1.5 : 20);
    const isLate = habit === "hangs" || answerMs >= timeoutMs;
    await this.#clock.pause(isLate ? timeoutMs : answerMs);
    // The pusher may take any of these for a failure, also one that it did not hear.
    settle("nack", receipts);
    if (isLate) return { status: 0, failure: "timeout" };
    switch (habit) {
      case "fails":
        return { status: 500, bodyText: '{"results":[]}' };
      case "busy":
        return { status: this.#dice.pick([429, 503]), retryAfter: "1" };
      case "breaksOff":
        return { status: 0, failure: "network" };
      case "mistaken":
        return { status: 302, failure: "redirect" };
      case "results":
        return this.#results(receipts, settle);
      case "takes":
      case "slow":
        settle("ack", receipts);
        return { status: 200, bodyText: "" };
    }
  }

  #results(receipts: readonly string[], settle: ReturnType<Notes["received"]>): PostAnswer {
    const results = receipts.map((receipt) =>
      this.#dice.chance(0.7)
        ? { receipt, ok: true }
        : { receipt, ok: false, delayMs: this.#dice.int(0, 1_500) },
    );
    const taken = results.filter(({ ok }) => ok).map(({ receipt }) => receipt);
    settle("ack", taken);
    return { status: 200, bodyText: JSON.stringify({ results }) };
  }
}

export const HONEST = {
  takes: 1,
  results: 0,
  slow: 0,
  hangs: 0,
  fails: 0,
  busy: 0,
  breaksOff: 0,
  mistaken: 0,
};
const HOSTILE = {
  takes: 8,
  results: 3,
  slow: 1,
  hangs: 0.5,
  fails: 1,
  busy: 0.5,
  breaksOff: 0.5,
  mistaken: 0.5,
};
