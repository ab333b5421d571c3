/** The three verbs that settle or prolong leases, on the wire. One request each; ack-batcher.ts gathers acks before they come here. */
import { expectArgument } from "./argument.ts";
import type { ReceiptCode } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import { HalfmqError } from "./error.ts";
import type { CallOptions, Http } from "./http.ts";
import { path } from "./path.ts";

/** What became of one receipt. After an `extend` with the new receipt and the lease's new end. */
export type ReceiptResult =
  | { readonly receipt: string; readonly ok: true; readonly invisibleUntil?: number }
  | { readonly receipt: string; readonly ok: false; readonly code: ReceiptCode };

/** How a message is given back. */
export interface NackOptions extends CallOptions {
  /**
   * Delivered again after so many milliseconds, up to 366 days. Raising it spares a struggling dependency and ages the message.
   * It replaces the group's `backoff` for this once. 0 means at once. Default: the group's `backoff`.
   */
  readonly delayMs?: number;
  /** Kept with the dead letter, should it come to that. Default none. */
  readonly reason?: string;
  /** False sends it straight to the dead letters: no repetition will ever help. Default true. */
  readonly retry?: boolean;
}

/** The receipts of one group of a topic. */
export class Receipts {
  readonly #http: Http;
  readonly #base: string;

  constructor(http: Http, topic: string, group: string) {
    this.#http = http;
    this.#base = path`/v1/topics/${topic}/groups/${group}`;
  }

  ack(receipts: readonly string[], options: CallOptions = {}): Promise<ReceiptResult[]> {
    return this.#settle("ack", receipts, {}, options);
  }

  nack(receipts: readonly string[], options: NackOptions = {}): Promise<ReceiptResult[]> {
    const { signal, ...how } = options;
    return this.#settle("nack", receipts, how, signal === undefined ? {} : { signal });
  }

  extend(
    receipts: readonly string[],
    invisibleMs: number,
    options: CallOptions = {},
  ): Promise<ReceiptResult[]> {
    return this.#settle("extend", receipts, { invisibleMs }, options);
  }

  async #settle(
    verb: string,
    receipts: readonly string[],
    how: object,
    options: CallOptions,
  ): Promise<ReceiptResult[]> {
    expectArgument("receipts", receipts, "list");
    const results: ReceiptResult[] = [];
    for (let start = 0; start < receipts.length; start += LIMITS.requestReceiptsMax) {
      const some = receipts.slice(start, start + LIMITS.requestReceiptsMax);
      const answer = await this.#http.call<{ results: ReceiptResult[] }>({
        method: "POST",
        path: `${this.#base}/${verb}`,
        json: { receipts: some, ...how },
        ...options,
      });
      results.push(...answer.results);
    }
    return results;
  }
}

/** Throws what a receipt was refused for as a HalfmqError: `receipt_expired` or `receipt_invalid`. */
export function expectOk(result: ReceiptResult | undefined): ReceiptResult & { ok: true } {
  if (result?.ok === true) return result;
  const code = result?.code ?? "receipt_invalid";
  const detail =
    code === "receipt_expired"
      ? "the lease ended: the message was delivered again, or its group was moved"
      : "the broker does not know this receipt";
  throw new HalfmqError({ code, detail, status: 200 });
}
