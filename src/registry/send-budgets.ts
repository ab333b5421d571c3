/**
 * How much each limited key may still send: one token bucket per key, for all Workers of the namespace. In memory only:
 * a registry that starts anew lets every key have its burst again. It never decides what a limit is: keys.ts holds that.
 */
import { TokenBucket } from "../core/token-bucket.ts";
import type { Clock } from "../platform/clock.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { SendLimits } from "../protocol/rpc.ts";

/** Past this many, buckets that are full are forgotten: they begin full anyway. */
const BUCKETS_MAX = 10_000;

export class SendBudgets {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** At least `least` messages, or a refusal that says when; `most` is what the asker could use within a second. */
  take(
    key: string,
    limits: SendLimits | undefined,
    least: number,
    most: number,
  ): Outcome<{ granted: number }> {
    if (limits === undefined) return accept({ granted: Math.max(least, most) });
    const nowMs = this.#clock.nowMs();
    const bucket = this.#bucket(key, limits, nowMs);
    const { granted, retryAfterMs } = bucket.take(least, Math.max(least, most), nowMs);
    if (granted > 0) return accept({ granted });
    const detail = `The key sends at most ${limits.sendsPerSecond} messages a second`;
    return { ...refuse("rate_limited", detail, { limit: limits.sendsPerSecond }), retryAfterMs };
  }

  #bucket(key: string, limits: SendLimits, nowMs: number): TokenBucket {
    const known = this.#buckets.get(key);
    if (known !== undefined) {
      known.adopt(limits, nowMs);
      return known;
    }
    if (this.#buckets.size >= BUCKETS_MAX)
      for (const [other, bucket] of this.#buckets)
        if (bucket.isFull(nowMs)) this.#buckets.delete(other);
    const made = new TokenBucket(limits, nowMs);
    this.#buckets.set(key, made);
    return made;
  }
}
