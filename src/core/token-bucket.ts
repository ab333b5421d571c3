/**
 * A token bucket: so many a second, and up to a burst that has been saved. Pure: it is told the time, which may go back
 * without doing harm.
 */
import type { SendLimits } from "../protocol/rpc.ts";

export class TokenBucket {
  #tokens: number;
  #atMs: number;
  #limits: SendLimits;

  /** Full. */
  constructor(limits: SendLimits, nowMs: number) {
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#atMs = nowMs;
  }

  /** The same bucket under other limits from now on; what is saved counts up to the new burst. */
  adopt(limits: SendLimits, nowMs: number): void {
    this.#fill(nowMs);
    this.#limits = limits;
  }

  #fill(nowMs: number): void {
    const { sendsPerSecond, burst } = this.#limits;
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#tokens = Math.min(burst, this.#tokens + (passedMs * sendsPerSecond) / 1_000);
    this.#atMs = nowMs;
  }

  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#tokens >= this.#limits.burst;
  }

  /** Between `least` and `most` of them, or none and when there will be `least`. */
  take(least: number, most: number, nowMs: number): { granted: number; retryAfterMs: number } {
    this.#fill(nowMs);
    if (this.#tokens < least) {
      const missing = least - this.#tokens;
      return {
        granted: 0,
        retryAfterMs: Math.ceil((missing * 1_000) / this.#limits.sendsPerSecond),
      };
    }
    const granted = Math.max(least, Math.min(most, Math.floor(this.#tokens)));
    this.#tokens -= granted;
    return { granted, retryAfterMs: 0 };
  }
}
