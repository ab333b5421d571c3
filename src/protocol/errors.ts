/**
 * Every refusal that HalfMQ can answer: its code, HTTP status and whether repeating the same request can help.
 * This table is the only place that pairs a code with a status; nothing ever reads the text of a message.
 */

interface Kind {
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
}

const kind = (status: number, title: string, retryable = false): Kind => ({
  status,
  title,
  retryable,
});

/** Codes on the wire (docs/PROTOCOL.md, Codes). */
export const ERRORS = {
  invalid_request: kind(400, "The request has a wrong shape or value"),
  invalid_json: kind(400, "The request body is not JSON"),
  invalid_filter: kind(400, "The filter expression does not parse"),
  target_not_allowed: kind(400, "Calls to this target are not allowed"),
  unauthenticated: kind(401, "A valid key is required"),
  forbidden: kind(403, "The key does not allow this"),
  route_not_found: kind(404, "No such route"),
  topic_not_found: kind(404, "No such topic"),
  group_not_found: kind(404, "No such group"),
  producer_group_not_found: kind(404, "No such producer group"),
  message_not_found: kind(404, "No such message"),
  transaction_not_found: kind(404, "No such transaction"),
  key_not_found: kind(404, "No such key"),
  schedule_not_found: kind(404, "No such schedule"),
  method_not_allowed: kind(405, "The route does not take this method"),
  unsupported_media_type: kind(415, "The content type is not supported"),
  transaction_committed: kind(409, "The transaction is already committed"),
  transaction_rolled_back: kind(409, "The transaction is already rolled back"),
  transaction_discarded: kind(409, "The transaction was discarded after its last check"),
  transaction_not_discarded: kind(409, "Only a discarded transaction can be resumed"),
  already_delivered: kind(409, "The message is already delivered"),
  already_recalled: kind(409, "The message is already recalled"),
  producer_fenced: kind(409, "A newer epoch of this producer is at work"),
  sequence_gap: kind(409, "The producer's sequence has a gap"),
  immutable_field: kind(409, "This field cannot change"),
  topic_in_use: kind(409, "The topic still holds work"),
  message_too_large: kind(413, "The message is too large"),
  request_too_large: kind(413, "The request is too large"),
  idempotency_key_reused: kind(422, "The idempotency key came with another body"),
  rate_limited: kind(429, "Too many requests", true),
  backlog_full: kind(429, "The topic's backlog is full", true),
  too_many_waiters: kind(429, "Too many long polls are waiting", true),
  internal_error: kind(500, "An internal error, logged with the request id", true),
  unavailable: kind(503, "Temporarily unavailable", true),
  overloaded: kind(503, "Overloaded", true),
  body_unavailable: kind(503, "The bucket of large bodies cannot be reached", true),
  storage_full: kind(503, "The storage is full", true),
  not_configured: kind(503, "The deployment has no root key"),
} as const satisfies Record<string, Kind>;

/** A machine-readable refusal. */
export type ErrorCode = keyof typeof ERRORS;

/** What a receipt of an ack, nack or extend can be refused for, one by one. */
export type ReceiptCode = "receipt_expired" | "receipt_invalid";

/** Facts beside a code: the limit, the actual value, the field, the winning state… */
export type Facts = Readonly<
  Record<string, string | number | boolean | readonly unknown[] | Readonly<Record<string, unknown>>>
>;

/**
 * A refusal as a value. It crosses Workers RPC unchanged, which an exception would not.
 * `stale_route` never leaves the server: the Worker's copy of a topic's settings is older or newer than the
 * object's, so it reads the registry again and repeats the call once.
 */
export interface Refusal {
  readonly ok: false;
  readonly code: ErrorCode | "stale_route";
  /** One sentence for people. */
  readonly detail: string;
  readonly facts?: Facts;
  /** For 429 and 503: when to come again. Default 1,000 ms. */
  readonly retryAfterMs?: number;
}

export interface Accepted<T> {
  readonly ok: true;
  readonly value: T;
}

/** Either a value or a refusal; a thrown exception is a bug. */
export type Outcome<T> = Accepted<T> | Refusal;

/** An accepted outcome. */
export const accept = <T>(value: T): Accepted<T> => ({ ok: true, value });

/** A refusal with its facts. */
export const refuse = (code: Refusal["code"], detail: string, facts?: Facts): Refusal =>
  facts === undefined ? { ok: false, code, detail } : { ok: false, code, detail, facts };
