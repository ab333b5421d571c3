/**
 * Whoever asks, in the simulator and of a real server: it tries again what failed for a passing reason, and writes down what it
 * saw, so that what nobody can know is never told as known. How a request travels is not its own.
 */
import type { Answer, Event, Request } from "../history.ts";
import type { Dice } from "../world/dice.ts";

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
export type NewEvent = DistributiveOmit<Event, "at" | "wall">;

/** How one attempt ended. */
export type Ended<T> =
  | { readonly is: "ok"; readonly value: T }
  | {
      readonly is: "refused";
      readonly code: string;
      /** The same again may succeed. */
      readonly isPassing: boolean;
      /** It may hide that it was done. */
      readonly mayBeDone: boolean;
    }
  /** Nobody knows whether it was done, or will be. */
  | { readonly is: "lost" };

export interface Attempts<T> {
  readonly request: Request;
  readonly once: () => Promise<Ended<T>>;
  readonly answer: (value: T) => Answer;
  /** Times that a failed or lost request is sent again, each after so long at most. */
  readonly retries: number;
  readonly retryMsMax: number;
}

export abstract class Actor {
  readonly name: string;
  readonly dice: Dice;
  #count = 0;

  constructor(name: string, dice: Dice) {
    this.name = name;
    this.dice = dice;
  }

  abstract pause(delayMs: number): Promise<void>;
  abstract note(event: NewEvent): void;
  /** The number of another operation. */
  abstract nextOp(): number;

  /** A name that nobody else makes. */
  fresh(): string {
    return `${this.name}-${++this.#count}`;
  }

  async attempt<T>(attempts: Attempts<T>): Promise<Ended<T>> {
    const { request, once, retries, retryMsMax } = attempts;
    const op = this.nextOp();
    this.note({ is: "invoke", op, client: this.name, request });
    let isCertain = true;
    for (let attempt = 0; ; attempt++) {
      if (attempt > 0) await this.pause(this.dice.roll() * retryMsMax);
      const ended = await once();
      const mayTryAgain = ended.is === "lost" || (ended.is === "refused" && ended.isPassing);
      if (!mayTryAgain || attempt === retries) {
        this.note(endOf(op, attempts, ended, isCertain));
        return ended;
      }
      isCertain &&= ended.is === "refused" && !ended.mayBeDone;
    }
  }
}

/** `isCertain`: nothing that was asked before may still be done. */
function endOf<T>(
  op: number,
  { answer }: Attempts<T>,
  ended: Ended<T>,
  isCertain: boolean,
): NewEvent {
  if (ended.is === "ok") {
    const repeated = isCertain ? {} : { isRepeated: true as const };
    return { is: "ok", op, answer: answer(ended.value), ...repeated };
  }
  const isRefused = ended.is === "refused" && !ended.mayBeDone && (isCertain || !ended.isPassing);
  return isRefused ? { is: "refused", op, code: ended.code } : { is: "lost", op };
}
