/** Gathers acks for a moment and sends them as one request. It never holds one back longer than its linger. */
import { LIMITS } from "../protocol/limits.ts";
import type { Clock } from "./clock.ts";
import type { ReceiptResult } from "./receipts.ts";

interface Waiting {
  readonly receipt: string;
  readonly resolve: (result: ReceiptResult | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class AckBatcher {
  readonly #clock: Clock;
  readonly #lingerMs: number;
  readonly #send: (receipts: readonly string[]) => Promise<readonly ReceiptResult[]>;
  readonly #flying = new Set<Promise<void>>();
  #waiting: Waiting[] = [];
  #cancelTimer: (() => void) | undefined;

  constructor(
    clock: Clock,
    lingerMs: number,
    send: (receipts: readonly string[]) => Promise<readonly ReceiptResult[]>,
  ) {
    this.#clock = clock;
    this.#lingerMs = lingerMs;
    this.#send = send;
  }

  /** Fulfilled with the broker's word on this receipt. */
  add(receipt: string): Promise<ReceiptResult | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ receipt, resolve, reject });
      if (this.#waiting.length >= LIMITS.requestReceiptsMax) this.#flushNow();
      else this.#cancelTimer ??= this.#clock.after(this.#lingerMs, () => this.#flushNow());
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
    const flight = this.#fly(batch).finally(() => this.#flying.delete(flight));
    this.#flying.add(flight);
  }

  async #fly(batch: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#send(batch.map((each) => each.receipt));
      for (const [index, each] of batch.entries()) each.resolve(results[index]);
    } catch (error) {
      for (const each of batch) each.reject(error);
    }
  }
}
