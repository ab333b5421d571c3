/**
 * Gathers what comes within a moment and hands it over as one batch. Each caller gets its own result or error. It never
 * holds anything back longer than its linger.
 */
import type { Clock } from "./clock.ts";

interface Waiting<I, R> {
  readonly item: I;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface LingerOptions<I, R> {
  readonly lingerMs: number;
  /** An item's share of a full batch: one that is full goes at once. */
  readonly weigh: (item: I) => number;
  /** One outcome for each item, in their order. What it throws is told to all of them. */
  readonly send: (items: readonly I[]) => Promise<readonly PromiseSettledResult<R>[]>;
}

export class Linger<I, R> {
  readonly #clock: Clock;
  readonly #options: LingerOptions<I, R>;
  readonly #flying = new Set<Promise<void>>();
  #waiting: Waiting<I, R>[] = [];
  #weight = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, options: LingerOptions<I, R>) {
    this.#clock = clock;
    this.#options = options;
  }

  add(item: I): Promise<R> {
    const { weigh, lingerMs } = this.#options;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#weight += weigh(item);
      if (this.#weight >= 1) this.#flushNow();
      else this.#cancelTimer ??= this.#clock.after(lingerMs, () => this.#flushNow());
    });
  }

  /** Sends what waits and is fulfilled when all of it was answered or refused. Never rejects: each `add` does for itself. */
  async flush(): Promise<void> {
    this.#flushNow();
    await Promise.all(this.#flying);
  }

  #flushNow(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.#weight = 0;
    const flight = this.#fly(batch).finally(() => this.#flying.delete(flight));
    this.#flying.add(flight);
  }

  async #fly(batch: readonly Waiting<I, R>[]): Promise<void> {
    try {
      const outcomes = await this.#options.send(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[index];
        if (outcome?.status === "rejected") reject(outcome.reason);
        else resolve(outcome?.value as R);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
