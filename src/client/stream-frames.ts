/**
 * What was asked on a socket of a stream and is not answered yet: pairs answers with questions, which may come in another
 * order. It never waits for ever and never asks faster than the broker listens: what it gives up goes by HTTP.
 */
import type { Clock } from "./clock.ts";
import type { ReceiptResult } from "./receipts.ts";

export type SettlingVerb = "ack" | "nack" | "extend";

interface Open {
  readonly verb: SettlingVerb;
  readonly receipts: readonly string[];
  readonly end: (results: readonly ReceiptResult[] | undefined) => void;
}

/** The broker bears 500 frames a second and 256 unanswered ones. */
const FRAMES_PER_SECOND = 400;
const OPEN_MAX = 200;
/** A line may live and an answer be lost: the broker refuses a frame without saying which. */
const ANSWER_MS_MAX = 10_000;

export class OpenFrames {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #open = new Set<Open>();
  #allowance = FRAMES_PER_SECOND;
  #countedAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#countedAt = clock.now();
  }

  /**
   * Says the frame, unless too many are on their way. Undefined when it was not said, not answered in time, or the line broke
   * before: then nobody knows whether it was heard.
   */
  ask(
    verb: SettlingVerb,
    receipts: readonly string[],
    say: () => boolean,
  ): Promise<readonly ReceiptResult[] | undefined> {
    if (this.#open.size >= OPEN_MAX || !this.#maySpeak() || !say())
      return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const open: Open = {
        verb,
        receipts,
        end: (results) => {
          cancel();
          this.#open.delete(open);
          resolve(results);
        },
      };
      const cancel = this.#clock.after(ANSWER_MS_MAX, () => open.end(undefined));
      this.#open.add(open);
    });
  }

  /** Results came: they are those of the oldest question that they can answer. */
  answered(results: readonly ReceiptResult[]): void {
    const all = [...this.#open];
    const same = all.find(({ receipts }) => isOf(receipts, results));
    // An extend may answer with new receipts.
    const extend = all.find(
      ({ verb, receipts }) => verb === "extend" && receipts.length === results.length,
    );
    (same ?? extend)?.end(results);
  }

  /** The line broke. */
  end(): void {
    for (const open of this.#open) open.end(undefined);
  }

  #maySpeak(): boolean {
    const now = this.#clock.now();
    const earned = (Math.max(0, now - this.#countedAt) / 1_000) * FRAMES_PER_SECOND;
    this.#allowance = Math.min(FRAMES_PER_SECOND, this.#allowance + earned);
    this.#countedAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}

function isOf(receipts: readonly string[], results: readonly ReceiptResult[]): boolean {
  return (
    receipts.length === results.length &&
    receipts.every((receipt, index) => receipt === results[index]?.receipt)
  );
}
