/** When a failed request is sent again: pure arithmetic. It never decides which request may be sent twice; http.ts does. */

/** How long and how often a request that failed for a passing reason is sent again. */
export interface RetryOptions {
  /**
   * How many times one request is sent at most, the first included.
   * Raising it rides out longer trouble and makes a caller wait longer for the bad news.
   * Whichever of this and `totalMs` is reached first ends the retries. 1 switches them off. Default 8.
   */
  readonly attempts?: number;
  /**
   * The pause before the second attempt; each next one is twice as long, and a random part of up to half is taken off, so
   * that many clients do not come back together.
   * Raising it spares a struggling broker and slows the recovery from a single lost packet.
   * A longer `Retry-After` of the broker goes before it. 0 retries at once. Default 100 ms.
   */
  readonly initialMs?: number;
  /**
   * The longest pause between two attempts, `Retry-After` apart.
   * Raising it spares the broker in long trouble; clients notice its end later. Below `initialMs` it is what counts. Default 5,000 ms.
   */
  readonly maxMs?: number;
  /**
   * No attempt is begun later than this after the first.
   * Raising it holds callers longer; with the check-back behind it, a commit may well give up early.
   * One attempt may last `timeoutMs` of the client beyond it. 0 means one attempt. Default 30,000 ms.
   */
  readonly totalMs?: number;
}

/** RetryOptions with nothing left open. */
export type RetryPolicy = Required<RetryOptions>;

const RETRY_DEFAULTS: RetryPolicy = {
  attempts: 8,
  initialMs: 100,
  maxMs: 5_000,
  totalMs: 30_000,
};

/** The policy with its defaults; an option that is there but undefined is left out. */
export const retryPolicy = (options: RetryOptions = {}): RetryPolicy => ({
  attempts: options.attempts ?? RETRY_DEFAULTS.attempts,
  initialMs: options.initialMs ?? RETRY_DEFAULTS.initialMs,
  maxMs: options.maxMs ?? RETRY_DEFAULTS.maxMs,
  totalMs: options.totalMs ?? RETRY_DEFAULTS.totalMs,
});

/** What decides on a next attempt. */
export interface Failure {
  /** How many attempts were made. */
  readonly attempts: number;
  /** Since the first one began. */
  readonly elapsedMs: number;
  /** What the broker asked for. */
  readonly retryAfterMs: number | undefined;
  /** From 0 up to 1. */
  readonly random: number;
}

/** The pause before the next attempt, or undefined when there shall be none. */
export function nextDelayMs(policy: RetryPolicy, failure: Failure): number | undefined {
  if (failure.attempts >= policy.attempts) return undefined;
  const delayMs = Math.max(
    backoffMs(policy, failure.attempts, failure.random),
    // Spread as well: everybody who was told "1 second" would otherwise come in the same one.
    (failure.retryAfterMs ?? 0) * (1 + failure.random / 4),
  );
  return failure.elapsedMs + delayMs > policy.totalMs ? undefined : delayMs;
}

/** The jittered exponential part alone: for loops that never give up. */
export function backoffMs(policy: RetryPolicy, failures: number, random: number): number {
  const wholeMs = Math.min(policy.maxMs, policy.initialMs * 2 ** Math.min(failures - 1, 30));
  return wholeMs * (1 - random / 2);
}
