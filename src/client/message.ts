/** A delivered message with its verbs. It is settled once: the first ack or nack counts, and says so to whoever asks again. */
import { expectArgument } from "./argument.ts";
import { fromBase64 } from "./base64.ts";
import type { CallOptions } from "./http.ts";
import type { NackOptions } from "./receipts.ts";

/** A message as the wire shows it outside of a delivery: in a peek, a check, a dead letter. */
export interface MessageData<T = unknown> {
  readonly id: string;
  readonly topic?: string;
  readonly queue?: number;
  /** 0, 1, 2 … without a hole in each queue; absent before the message is visible. */
  readonly offset?: number;
  /** As `JSON.parse` reads it; absent when the body is not JSON. */
  readonly body?: T;
  /** The body that is not JSON: `bytesOf` reads it. */
  readonly bodyBase64?: string;
  /** In the place of a large body that could not be had; never of a message that was received. */
  readonly bodyError?: {
    readonly code: "body_missing" | "body_damaged" | "body_unavailable";
    readonly bytes: number;
  };
  readonly contentType?: string;
  readonly tag?: string;
  readonly keys?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly messageGroup?: string;
  readonly sentAt?: number;
  readonly storedAt?: number;
  readonly transactionId?: string;
}

/** A message as a receive answers it. */
export interface DeliveredData<T = unknown> extends MessageData<T> {
  readonly topic: string;
  readonly queue: number;
  readonly offset: number;
  readonly sentAt: number;
  readonly storedAt: number;
  readonly deliveryAttempt: number;
  readonly receipt: string;
  readonly invisibleUntil: number;
}

/** The bytes of a body that is not JSON, of a pushed or tailed message or of one in a check; undefined when it is JSON. */
export function bytesOf(message: MessageData): Uint8Array | undefined {
  expectArgument("message", message, "object");
  return message.bodyBase64 === undefined ? undefined : fromBase64(message.bodyBase64);
}

/** What a message asks of the consumer that received it. */
export interface MessagePort {
  readonly ack: (message: Message) => Promise<void>;
  readonly nack: (message: Message, options: NackOptions) => Promise<void>;
  readonly extend: (
    message: Message,
    invisibleMs: number,
    options: CallOptions,
  ) => Promise<{ receipt: string; invisibleUntil: number }>;
}

/** A message that is yours until its lease ends, you settle it, or it is taken over. */
export class Message<T = unknown> {
  /** The wire's fields as they came: tag, keys, properties, contentType, transactionId… */
  readonly data: DeliveredData<T>;
  readonly #port: MessagePort;
  readonly #bodyText: () => string | undefined;
  #receipt: string;
  #invisibleUntil: number;
  #settled: Promise<void> | undefined;

  constructor(data: DeliveredData<T>, bodyText: () => string | undefined, port: MessagePort) {
    this.data = data;
    this.#bodyText = bodyText;
    this.#port = port;
    this.#receipt = data.receipt;
    this.#invisibleUntil = data.invisibleUntil;
  }

  /** The same across all deliveries: what an idempotent consumer remembers. */
  get id(): string {
    return this.data.id;
  }
  get topic(): string {
    return this.data.topic;
  }
  get queue(): number {
    return this.data.queue;
  }
  /** 0, 1, 2 … without a hole in each queue. */
  get offset(): number {
    return this.data.offset;
  }
  get tag(): string | undefined {
    return this.data.tag;
  }
  get keys(): readonly string[] {
    return this.data.keys ?? [];
  }
  get properties(): Readonly<Record<string, string>> {
    return this.data.properties ?? {};
  }
  get messageGroup(): string | undefined {
    return this.data.messageGroup;
  }
  /** From 1; rises with each failed delivery. */
  get deliveryAttempt(): number {
    return this.data.deliveryAttempt;
  }
  /** The proof of the lease, for `Receipts`. */
  get receipt(): string {
    return this.#receipt;
  }
  /** When the lease ends, by the broker's clock. */
  get invisibleUntil(): number {
    return this.#invisibleUntil;
  }
  /** Whether `ack` or `nack` was called. */
  get settled(): boolean {
    return this.#settled !== undefined;
  }

  /** The JSON body as `JSON.parse` reads it (numbers past 2^53 are rounded: see `bodyText`). */
  get body(): T {
    return this.json();
  }

  /** The body as JSON; a binary one is read as UTF-8 first. Throws a SyntaxError when it is none. */
  json(): T {
    if (this.data.bodyBase64 === undefined) return this.data.body as T;
    return JSON.parse(this.text()) as T;
  }

  /** The body's exact JSON text, digit for digit as it was sent; undefined when it is binary. Holds the whole answer in memory until then. */
  get bodyText(): string | undefined {
    return this.data.bodyBase64 === undefined ? this.#bodyText() : undefined;
  }

  /** The body's bytes: the binary ones, or its JSON text in UTF-8. */
  bytes(): Uint8Array {
    const { bodyBase64 } = this.data;
    if (bodyBase64 !== undefined) return fromBase64(bodyBase64);
    return new TextEncoder().encode(this.#bodyText() ?? "");
  }

  /** The body's bytes read as UTF-8. */
  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  /**
   * Done: never delivered to this group again. Sent together with others after the consumer's `ackLingerMs`.
   * Rejects with `receipt_expired` when the message was delivered again meanwhile: then somebody else has it. Need not be
   * awaited: the consumer's `onError` hears of a failure too.
   */
  ack(): Promise<void> {
    return (this.#settled ??= heard(this.#port.ack(this)));
  }

  /** Not done: delivered again after a delay, or a dead letter after the group's `maxAttempts`. Rejects with `receipt_expired`. */
  nack(options: NackOptions = {}): Promise<void> {
    return (this.#settled ??= heard(this.#port.nack(this, options)));
  }

  /** A lease of so many milliseconds from now (100 ms to 12 h). Rejects with `receipt_expired`. */
  async extend(invisibleMs: number, options: CallOptions = {}): Promise<void> {
    this.extended(await this.#port.extend(this, invisibleMs, options));
  }

  /** Takes over a lease that was prolonged together with others. */
  extended(lease: { readonly receipt: string; readonly invisibleUntil: number }): void {
    this.#receipt = lease.receipt;
    this.#invisibleUntil = lease.invisibleUntil;
  }
}

/** A rejection that nobody awaits must not end the process; the consumer's `onError` has heard of it. */
function heard(settled: Promise<void>): Promise<void> {
  settled.catch(() => {});
  return settled;
}
