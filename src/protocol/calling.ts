/**
 * What another Worker and the entrypoint that it binds (src/rpc) say to each other over Workers RPC: the wire contract's own
 * requests and answers, as plain data. Public: docs/guides/workers-rpc.md.
 */
import type { ErrorCode, Facts } from "./errors.ts";

/** One request of the wire contract; a body is JSON text, so that numbers of any size arrive as they were sent. */
export interface BindingCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Percent-encoded, with its query string. */
  readonly path: string;
  readonly text?: string;
  readonly headers?: {
    readonly "idempotency-key"?: string;
    readonly traceparent?: string;
    readonly "last-event-id"?: string;
    readonly "x-request-id"?: string;
  };
}

export interface BindingAnswer {
  /** As of HTTP. */
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text; for Server-Sent Events their bytes. */
  readonly body: string | ReadableStream<Uint8Array>;
}

/**
 * A function of the caller's whose promise ends, either way, when the caller no longer waits. The runtime breaks it when the
 * caller is gone; nothing else tells the broker that the receiver of a long poll is.
 */
export type Hold = () => Promise<unknown>;

/** What a verb answers: refusals are values. */
export type BindingResult<T = unknown> =
  | { readonly ok: true; readonly status: number; readonly value: T }
  | BindingRefusal;

export interface BindingRefusal {
  readonly ok: false;
  readonly status: number;
  readonly code: ErrorCode;
  /** One sentence for people. */
  readonly detail: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** When to come again, for 429 and 503. */
  readonly retryAfterMs?: number;
  /** What the broker's log knows it by. */
  readonly requestId: string;
  readonly facts: Facts;
}

/** What a verb may be told beside its arguments. */
export interface BindingOptions {
  /** As the header of the same name: 1–128 characters. */
  readonly idempotencyKey?: string;
  /** W3C trace context that travels with the messages. */
  readonly traceparent?: string;
  readonly hold?: Hold;
}
