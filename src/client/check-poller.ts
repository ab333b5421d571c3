/**
 * The poll form of the check-back, for producers that nobody can call: asks the broker for checks and answers them.
 * It never answers commit or rollback for a check that failed, and its answers are marked `by: "check"`.
 */
import { DEFAULTS, LIMITS } from "../protocol/limits.ts";
import { type Check, type CheckFunction, resolutionOf } from "./check.ts";
import { pause } from "./clock.ts";
import { isHalfmqError, isRetryable } from "./error.ts";
import type { Http } from "./http.ts";
import { path } from "./path.ts";
import { backoffMs } from "./retry.ts";
import type { StopOptions } from "./subscription.ts";
import type { Resolution, Transactions } from "./transaction.ts";

/** How a poller works. */
export interface CheckPollerOptions {
  /** Checks in hand at a time, 1–1,000. Raising it clears a backlog sooner and asks more of the database. Default 16. */
  readonly maxMessages?: number;
  /** How long the broker may wait for a first check, up to 20,000 ms. Lowering it makes more empty requests. Default 20,000 ms. */
  readonly waitMs?: number;
  /**
   * How long one check may take before it counts as `unknown`. Raising it helps slow databases; a hanging check then keeps its
   * place in `maxMessages` longer. Keep it below the transaction's `intervalMs`. Default 10,000 ms.
   */
  readonly timeoutMs?: number;
  /**
   * Hears of passing trouble, of the check's errors, and of answers that came too late (`transaction_committed`…), with the check
   * where there is one. Default: nothing; what ends the poller is also in its `done`.
   */
  readonly onError?: (error: unknown, check?: Check) => void;
}

const EMPTY_PAUSE_MS = 100;
const STOP_DEADLINE_MS = 30_000;

/** Made by `mq.pollChecks(...)`; it polls from then on until `stop`. */
export class CheckPoller<T = unknown> {
  /** Fulfilled when the poller has ended by `stop`; rejected when the broker refuses it for good (401, 403…). */
  readonly done: Promise<void>;
  readonly #http: Http;
  readonly #transactions: Transactions;
  readonly #path: string;
  readonly #check: CheckFunction<T>;
  readonly #options: CheckPollerOptions;
  readonly #stopper = new AbortController();
  readonly #open = new Set<Promise<void>>();

  constructor(
    http: Http,
    producerGroup: string,
    check: CheckFunction<T>,
    options: CheckPollerOptions & { readonly transactions: Transactions },
  ) {
    this.#http = http;
    this.#transactions = options.transactions;
    this.#path = path`/v1/producer-groups/${producerGroup}/checks/receive`;
    this.#check = check;
    this.#options = options;
    this.done = this.#run();
    // Who does not look at `done` hears through onError; the process must not die of it.
    this.done.catch(() => {});
  }

  /** Asks for no more checks and lets those in hand be answered, up to the deadline (default 30,000 ms). Never rejects. */
  async stop(options: StopOptions = {}): Promise<void> {
    this.#stopper.abort();
    const patience = new AbortController();
    const { clock } = this.#http;
    const late = pause(clock, options.deadlineMs ?? STOP_DEADLINE_MS, patience.signal);
    const finished = this.done.catch(() => {}).then(() => Promise.all(this.#open));
    await Promise.race([finished, late.catch(() => {})]);
    patience.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopper;
    const room = this.#options.maxMessages ?? DEFAULTS.maxMessages;
    for (let failures = 0; !signal.aborted;) {
      try {
        while (this.#open.size >= room) await Promise.race(this.#open);
        await this.#poll(room - this.#open.size);
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.#report(error);
        if (!isRetryable(error)) throw error;
        failures++;
        await this.#rest(backoffMs(this.#http.retry, failures, this.#http.clock.random()));
      }
    }
    await Promise.all(this.#open);
  }

  async #poll(maxMessages: number): Promise<void> {
    const { clock } = this.#http;
    const { waitMs = LIMITS.waitMsMax } = this.#options;
    const startedAt = clock.now();
    const { checks } = await this.#http.call<{ checks: readonly Check<T>[] }>({
      method: "POST",
      path: this.#path,
      json: { maxMessages, waitMs },
      waitMs,
      signal: this.#stopper.signal,
    });
    for (const check of checks) {
      const answered = this.#answer(check).finally(() => this.#open.delete(answered));
      this.#open.add(answered);
    }
    if (checks.length === 0 && clock.now() - startedAt < EMPTY_PAUSE_MS) {
      await this.#rest(EMPTY_PAUSE_MS);
    }
  }

  /** Never rejects. */
  async #answer(check: Check<T>): Promise<void> {
    const resolution = await this.#ask(check);
    try {
      const { transactionId, attempt } = check;
      await this.#transactions[resolution](transactionId, { by: "check", attempt });
    } catch (error) {
      // Decided while it was asked: an "unknown" has nothing to add to that.
      const decided = isHalfmqError(error, "transaction_committed", "transaction_rolled_back");
      if (!(decided && resolution === "unknown")) this.#report(error, check);
    }
  }

  /** Never rejects: an error, or no answer in time, is unknown. */
  async #ask(check: Check<T>): Promise<Resolution> {
    const { timeoutMs = DEFAULTS.checkCallTimeoutMs } = this.#options;
    const patience = new AbortController();
    const late = pause(this.#http.clock, timeoutMs, patience.signal).then(() => {
      throw new Error(`the check of ${check.transactionId} took more than ${timeoutMs} ms`);
    });
    late.catch(() => {});
    try {
      const asked = Promise.resolve(check).then((question) => this.#check(question));
      return resolutionOf(await Promise.race([asked, late]));
    } catch (error) {
      this.#report(error, check);
      return "unknown";
    } finally {
      patience.abort();
    }
  }

  async #rest(delayMs: number): Promise<void> {
    await pause(this.#http.clock, delayMs, this.#stopper.signal).catch(() => {});
  }

  #report(error: unknown, check?: Check<T>): void {
    try {
      this.#options.onError?.(error, check);
    } catch {
      // A listener's own error must not end the loop that told it.
    }
  }
}
