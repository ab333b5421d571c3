/**
 * While a delete is being decided, nothing more is taken in, so that what nobody counted is not dropped. In memory only: a
 * delete that takes longer, or finds the object woken anew, has been counted before.
 */
import { refuse, type Refusal } from "../protocol/errors.ts";

/** A delete is decided within this, or its count no longer holds. */
const HOLD_MS = 10_000;

export class Hold {
  #untilMs = 0;

  begin(nowMs: number): void {
    this.#untilMs = nowMs + HOLD_MS;
  }

  end(): void {
    this.#untilMs = 0;
  }

  /** Why nothing is taken in now. */
  refusal(nowMs: number): Refusal | undefined {
    return nowMs < this.#untilMs
      ? refuse("unavailable", "The topic may be about to be deleted.")
      : undefined;
  }
}
