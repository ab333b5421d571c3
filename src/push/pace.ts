/**
 * How many messages may go out now, so that a group's `ratePerSecond` holds. Pure. A bucket that fills at the rate and holds
 * a tenth of a second's worth, one message at least: no second sees more than eleven tenths of the rate, and one message.
 */
const BUCKET_SECONDS = 0.1;

export class Pace {
  #rate: number;
  #tokens: number;
  #filledAt: number;

  /** Messages a second; Infinity: no bound. Begins with one message. */
  constructor(rate: number, nowMs: number) {
    this.#rate = rate;
    this.#tokens = 1;
    this.#filledAt = nowMs;
  }

  /** Another rate from now on; what was saved up at the old one does not count. */
  change(rate: number, nowMs: number): void {
    if (rate === this.#rate) return;
    this.#fill(nowMs);
    this.#rate = rate;
    this.#tokens = Math.min(this.#tokens, 1);
    this.#filledAt = nowMs;
  }

  /** Takes up to `count` messages' worth; answers how many. */
  take(count: number, nowMs: number): number {
    if (this.#rate === Infinity) return count;
    this.#fill(nowMs);
    const taken = Math.min(count, Math.floor(this.#tokens));
    this.#tokens -= taken;
    return taken;
  }

  /** Messages that were taken and did not go out. */
  giveBack(count: number): void {
    if (this.#rate === Infinity) return;
    this.#tokens = Math.min(this.#size, this.#tokens + count);
  }

  /** How long until one message may go. */
  waitMs(nowMs: number): number {
    if (this.#rate === Infinity) return 0;
    this.#fill(nowMs);
    return Math.max(0, Math.ceil(((1 - this.#tokens) / this.#rate) * 1_000));
  }

  get #size(): number {
    return Math.max(1, this.#rate * BUCKET_SECONDS);
  }

  #fill(nowMs: number): void {
    const seconds = (nowMs - this.#filledAt) / 1_000;
    // A clock that went back fills again from where it was.
    if (seconds <= 0 || this.#rate === Infinity) return;
    this.#tokens = Math.min(this.#size, this.#tokens + seconds * this.#rate);
    this.#filledAt = nowMs;
  }
}
