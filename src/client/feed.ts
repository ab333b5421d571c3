/**
 * The receiving end of a consumer's loop: one long poll at a time, its trouble ridden out, its answer never lost.
 * A poll that failed on the way is repeated with its `attemptId`, so that the batch it may have leased comes again. It never
 * settles a message.
 */
import { type Clock, pause } from "./clock.ts";
import { isRetryable } from "./error.ts";
import { newId } from "./id.ts";
import type { Message } from "./message.ts";
import { backoffMs, type RetryPolicy } from "./retry.ts";

/** One poll as the feed asks for it. */
export interface Poll {
  readonly maxMessages: number;
  readonly waitMs: number;
  readonly attemptId: string;
  /** It was asked before, and may have been given something. */
  readonly repeat: boolean;
  readonly signal?: AbortSignal;
}

/** What a feed asks of its consumer. */
export interface FeedPort<T> {
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly receive: (poll: Poll) => Promise<Message<T>[]>;
  readonly onError: (error: unknown) => void;
}

/** An empty answer that comes at once (a paused group behind a proxy, `waitMs` 0) is not asked for again within this time. */
const EMPTY_PAUSE_MS = 100;

export class Feed<T> {
  readonly #port: FeedPort<T>;
  readonly #waitMs: number;
  readonly #signal: AbortSignal;
  /** What was asked without an answer yet. */
  #open: Pick<Poll, "attemptId" | "maxMessages" | "repeat"> | undefined;

  constructor(port: FeedPort<T>, waitMs: number, signal: AbortSignal) {
    this.#port = port;
    this.#waitMs = waitMs;
    this.#signal = signal;
  }

  /**
   * The next batch, at least one message; undefined once the signal is aborted. Passing trouble is reported and waited out for
   * as long as it takes; any other rejects.
   */
  async next(maxMessages: number): Promise<Message<T>[] | undefined> {
    for (let failures = 0; !this.#signal.aborted;) {
      try {
        const batch = await this.#poll(maxMessages);
        if (batch.length > 0) return batch;
        failures = 0;
      } catch (error) {
        if (this.#signal.aborted) return undefined;
        if (!isRetryable(error)) throw error;
        this.#port.onError(error);
        failures++;
        const { clock, retry } = this.#port;
        await this.#rest(backoffMs(retry, failures, clock.random()));
      }
    }
    return undefined;
  }

  /** What an interrupted poll may have leased: asked for once, with its attempt id and without waiting. Never rejects. */
  async last(): Promise<Message<T>[]> {
    const open = this.#open;
    if (open === undefined) return [];
    this.#open = undefined;
    try {
      return await this.#port.receive({ ...open, waitMs: 0 });
    } catch (error) {
      this.#port.onError(error);
      return [];
    }
  }

  async #poll(maxMessages: number): Promise<Message<T>[]> {
    const { clock, receive } = this.#port;
    const startedAt = clock.now();
    this.#open ??= { attemptId: newId(), maxMessages, repeat: false };
    const poll = { ...this.#open, waitMs: this.#waitMs, signal: this.#signal };
    this.#open = { ...this.#open, repeat: true };
    try {
      const batch = await receive(poll);
      this.#open = undefined;
      if (batch.length === 0 && clock.now() - startedAt < EMPTY_PAUSE_MS) {
        await this.#rest(EMPTY_PAUSE_MS);
      }
      return batch;
    } catch (error) {
      if (!this.#signal.aborted && !isRetryable(error)) this.#open = undefined;
      throw error;
    }
  }

  async #rest(delayMs: number): Promise<void> {
    try {
      await pause(this.#port.clock, delayMs, this.#signal);
    } catch {
      // Told to stop: the loop sees it.
    }
  }
}
