/**
 * The type of a service binding to `HalfMQEntrypoint`, for programs that call it without the client: each verb takes the body of its
 * route and answers the route's answer, or the refusal, as a value. Types only.
 */
import type { BindingOptions, BindingResult } from "../protocol/calling.ts";
import type { CallableBinding } from "./binding-transport.ts";
import type { Check } from "./check.ts";
import type { DeliveredData } from "./message.ts";
import type { MessageOptions } from "./outgoing.ts";
import type { ReceiptResult } from "./receipts.ts";
import type { MessageStatus, SentMessage } from "./sent.ts";
import type { CheckPolicy } from "./settings.ts";
import type { Decided, Decider, Prepared, TransactionInfo } from "./transaction.ts";

type Answer<T> = Promise<BindingResult<T>>;

/** As the wire has it. A body that is no JSON is base64. */
export type BoundMessage<T = unknown> = MessageOptions &
  ({ readonly body: T } | { readonly bodyBase64: string });

type OneOrMany<M> = { readonly message: M } | { readonly messages: readonly M[] };

interface Decision {
  /** Default `producer`. */
  readonly by?: Decider;
  readonly attempt?: number;
}

interface Wait {
  readonly maxMessages?: number;
  readonly waitMs?: number;
  readonly consumerId?: string;
}

interface Receipts {
  readonly receipts: readonly string[];
}

/** `env.HALFMQ`. Durations in milliseconds; codes, defaults and limits as docs/PROTOCOL.md has them. */
export interface HalfMQBinding extends CallableBinding {
  send<T>(
    topic: string,
    body: BoundMessage<T> | { readonly messages: readonly BoundMessage<T>[] },
    options?: BindingOptions,
  ): Answer<{ readonly messages: readonly SentMessage[] }>;
  message(id: string): Answer<MessageStatus>;
  recall(id: string): Answer<{ readonly id: string; readonly state: "recalled" }>;
  retime(
    id: string,
    body: { readonly deliverAt: number },
  ): Answer<{ readonly id: string; readonly deliverAt: number }>;

  prepare<T>(
    topic: string,
    body: { readonly producerGroup: string; readonly check?: Partial<CheckPolicy> } & OneOrMany<
      BoundMessage<T> & { readonly topic?: string }
    >,
    options?: BindingOptions,
  ): Answer<Prepared>;
  commit(id: string, body?: Decision, options?: BindingOptions): Answer<Decided>;
  rollback(id: string, body?: Decision, options?: BindingOptions): Answer<Decided>;
  unknown(id: string, body?: Decision, options?: BindingOptions): Answer<Decided>;
  resume(id: string, body?: Decision, options?: BindingOptions): Answer<Decided>;
  transaction(id: string): Answer<TransactionInfo>;
  /** Give a `hold` with a `waitMs`: see receive. */
  receiveChecks<T>(
    producerGroup: string,
    body?: Wait,
    options?: BindingOptions,
  ): Answer<{ readonly checks: readonly Check<T>[] }>;

  /** With a `waitMs`, give a `hold`: else messages may be leased to a caller that is gone, until their lease ends. */
  receive<T>(
    topic: string,
    group: string,
    body?: Wait & { readonly invisibleMs?: number; readonly attemptId?: string },
    options?: BindingOptions,
  ): Answer<{ readonly messages: readonly DeliveredData<T>[]; readonly paused?: true }>;
  ack(
    topic: string,
    group: string,
    body: Receipts,
  ): Answer<{ readonly results: readonly ReceiptResult[] }>;
  nack(
    topic: string,
    group: string,
    body: Receipts & {
      readonly delayMs?: number;
      readonly reason?: string;
      readonly retry?: boolean;
    },
  ): Answer<{ readonly results: readonly ReceiptResult[] }>;
  extend(
    topic: string,
    group: string,
    body: Receipts & { readonly invisibleMs: number },
  ): Answer<{ readonly results: readonly ReceiptResult[] }>;
}
