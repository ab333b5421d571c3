/**
 * What producers believe of their transactions, and how they answer when they are asked: from that belief if they are
 * honest, and in every bad way there is if they are not. A belief never changes once the local transaction has ended.
 */
import type { Question } from "../../../src/coordinator/ports.ts";
import type { PostAnswer } from "../../../src/platform/webhook.ts";
import type { EventClock } from "../../kit/event-clock.node.ts";
import { Beliefs } from "./beliefs.ts";
import type { Dice } from "./dice.ts";

type Habit =
  | "honest"
  | "slow"
  | "hangs"
  | "fails"
  | "garbage"
  | "undecided"
  | "mistaken"
  | "other"
  | "flips";

export type Asked = (transactionId: string, attempt: number, said: string) => void;

export class Endpoint {
  readonly #clock: EventClock;
  readonly #dice: Dice;
  readonly #onAsked: Asked;
  readonly beliefs = new Beliefs();
  /** Probabilities of habits. */
  habits: Readonly<Record<Habit, number>>;

  constructor(clock: EventClock, dice: Dice, isHostile: boolean, onAsked: Asked) {
    this.#clock = clock;
    this.#dice = dice;
    this.#onAsked = onAsked;
    this.habits = isHostile ? HOSTILE : HONEST;
  }

  async post({ body, timeoutMs }: Question): Promise<PostAnswer> {
    const { data } = JSON.parse(body) as { data: { transactionId: string; attempt: number } };
    const { transactionId, attempt } = data;
    const habit = this.#dice.weighted(this.habits);
    const answerMs =
      habit === "slow" ? this.#dice.roll() * timeoutMs * 1.5 : this.#dice.roll() * 20;
    const isLate = habit === "hangs" || answerMs >= timeoutMs;
    await this.#clock.pause(Math.min(answerMs, timeoutMs));
    if (isLate) {
      await this.#clock.pause(habit === "hangs" ? timeoutMs : 0);
      this.#onAsked(transactionId, attempt, "nothing");
      return { status: 0, failure: "timeout" };
    }
    const { said, answer } = this.#answer(habit, transactionId);
    this.#onAsked(transactionId, attempt, said);
    return answer;
  }

  #answer(habit: Habit, transactionId: string): { said: string; answer: PostAnswer } {
    switch (habit) {
      case "fails":
        return { said: "nothing", answer: { status: 500, bodyText: '{"resolution":"commit"}' } };
      case "garbage":
        return { said: "nothing", answer: { status: 200, bodyText: "OK, committed" } };
      case "undecided":
        return says("unknown");
      case "mistaken":
        return { said: "nothing", answer: { status: 302, failure: "redirect" } };
      case "other":
        return { ...says("commit", { transactionId: "tx_other" }), said: "nothing" };
      case "flips":
        return says(this.#dice.chance(0.5) ? "commit" : "rollback");
      case "honest":
      case "slow":
      case "hangs":
        return says(this.beliefs.lookUp(transactionId), { transactionId });
    }
  }
}

const HONEST = {
  honest: 1,
  slow: 0,
  hangs: 0,
  fails: 0,
  garbage: 0,
  undecided: 0,
  mistaken: 0,
  other: 0,
  flips: 0,
};
const HOSTILE = {
  honest: 6,
  slow: 1,
  hangs: 1,
  fails: 1,
  garbage: 1,
  undecided: 2,
  mistaken: 1,
  other: 1,
  flips: 1,
};

function says(resolution: string, more: object = {}): { said: string; answer: PostAnswer } {
  return {
    said: resolution,
    answer: { status: 200, bodyText: JSON.stringify({ resolution, ...more }) },
  };
}
