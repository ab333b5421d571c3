/**
 * Prolongs the leases of what a consumer has in hand: each when half of it has passed, those that are nearly due together.
 * It counts from its own receipt of the message, never from `invisibleUntil`: the two clocks need not agree.
 */
import type { Clock } from "./clock.ts";
import { HalfmqError } from "./error.ts";
import type { Message } from "./message.ts";
import type { ReceiptResult } from "./receipts.ts";

/** What a keeper asks of its consumer. */
export interface KeeperPort {
  readonly extend: (
    receipts: readonly string[],
    invisibleMs: number,
  ) => Promise<readonly ReceiptResult[]>;
  readonly onError: (error: unknown) => void;
}

interface Held {
  readonly message: Message;
  readonly onLost: (error: HalfmqError) => void;
  dueAt: number;
}

export class LeaseKeeper {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #port: KeeperPort;
  readonly #held = new Set<Held>();
  #cancelTimer: (() => void) | undefined;
  #extending = false;

  constructor(clock: Clock, leaseMs: number, port: KeeperPort) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#port = port;
  }

  /** Keeps the lease until the answer is called. `onLost` hears when the broker says that it is another's. */
  hold(message: Message, onLost: (error: HalfmqError) => void): () => void {
    const held: Held = { message, onLost, dueAt: this.#clock.now() + this.#leaseMs / 2 };
    this.#held.add(held);
    this.#arm();
    return () => {
      this.#held.delete(held);
      if (this.#held.size === 0) this.#disarm();
    };
  }

  /** Prolongs nothing any more. */
  stop(): void {
    this.#held.clear();
    this.#disarm();
  }

  #arm(): void {
    if (this.#cancelTimer !== undefined || this.#extending || this.#held.size === 0) return;
    let dueAt = Infinity;
    for (const held of this.#held) dueAt = Math.min(dueAt, held.dueAt);
    const delayMs = Math.max(0, dueAt - this.#clock.now());
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      void this.#extendDue();
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  async #extendDue(): Promise<void> {
    // A little early for some, so that messages received one after the other share a request.
    const until = this.#clock.now() + this.#leaseMs / 8;
    const due = [...this.#held].filter((held) => held.dueAt <= until && !held.message.settled);
    for (const held of this.#held) if (held.message.settled) this.#held.delete(held);
    if (due.length > 0) {
      this.#extending = true;
      await this.#extend(due);
      this.#extending = false;
    }
    this.#arm();
  }

  async #extend(due: readonly Held[]): Promise<void> {
    const startedAt = this.#clock.now();
    try {
      const receipts = due.map((held) => held.message.receipt);
      const results = await this.#port.extend(receipts, this.#leaseMs);
      for (const [index, held] of due.entries()) this.#settle(held, results[index], startedAt);
    } catch (error) {
      this.#port.onError(error);
      const againAt = this.#clock.now() + this.#leaseMs / 8;
      for (const held of due) held.dueAt = againAt;
    }
  }

  #settle(held: Held, result: ReceiptResult | undefined, startedAt: number): void {
    if (result?.ok === true) {
      const { receipt, invisibleUntil = held.message.invisibleUntil } = result;
      held.message.extended({ receipt, invisibleUntil });
      held.dueAt = startedAt + this.#leaseMs / 2;
      return;
    }
    this.#held.delete(held);
    // Settled while the request was under way: no lease is missed.
    if (held.message.settled) return;
    const detail = "the lease ended: the message was delivered again, or its group was moved";
    held.onLost(new HalfmqError({ code: result?.code ?? "receipt_expired", detail, status: 200 }));
  }
}
