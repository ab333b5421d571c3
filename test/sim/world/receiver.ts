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
    if (!isLate && habit === "results") return this.#results(receipts, settle);
    if (!isLate && (habit === "takes" || habit === "slow")) {
      settle("ack", receipts);
      return { status: 200, bodyText: "" };
    }
    settle("nack", receipts);
    return isLate ? { status: 0, failure: "timeout" } : this.#failure(habit);
  }

  #failure(habit: Habit): PostAnswer {
    if (habit === "busy") return { status: this.#dice.pick([429, 503]), retryAfter: "1" };
    if (habit === "breaksOff") return { status: 0, failure: "network" };
    if (habit === "mistaken") return { status: 302, failure: "redirect" };
    return { status: 500, bodyText: '{"results":[]}' };
  }

  #results(receipts: readonly string[], settle: ReturnType<Notes["received"]>): PostAnswer {
    const results = receipts.map((receipt) =>
      this.#dice.chance(0.7)
        ? { receipt, ok: true }
        : { receipt, ok: false, delayMs: this.#dice.int(0, 1_500) },
    );
    const said = (isOk: boolean): string[] =>
      results.filter(({ ok }) => ok === isOk).map(({ receipt }) => receipt);
    settle("ack", said(true));
    settle("nack", said(false));
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
