/**
 * What the protocol answers to what it does not do: its error codes with their statuses, as Alibaba Cloud documents them for
 * its HTTP SDKs. From HalfMQ's refusals to these leads one table; nothing is read out of a text.
 */
import { accept, type Accepted, type ErrorCode, type Refusal } from "../../protocol/errors.ts";
import { codeOf } from "../refusing.ts";

export const STATUS = {
  AccessDenied: 403,
  InternalError: 500,
  InternalServerError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidAuthorizationHeader: 400,
  InvalidDateHeader: 400,
  InvalidDigest: 400,
  InvalidQueryString: 400,
  InvalidRequestURL: 400,
  MalformedXML: 400,
  MessageNotExist: 404,
  MissingAuthorizationHeader: 400,
  MissingDateHeader: 400,
  MissingReceiptHandle: 400,
  QpsLimitExceeded: 400,
  SignatureDoesNotMatch: 403,
  TimeExpired: 408,
  TopicNotExist: 404,
} as const satisfies Record<string, number>;

export type FaultCode = keyof typeof STATUS;

export interface Fault {
  readonly ok: false;
  readonly code: FaultCode;
  /** One sentence for people. */
  readonly detail: string;
}

/** What a call comes to. */
export type Result<T> = Accepted<T> | Fault;

export const fault = (code: FaultCode, detail: string): Fault => ({ ok: false, code, detail });
export const done = accept;

export const nothingThere = (): Fault => fault("MessageNotExist", "There is no message now");

/** What the sender did wrong and has no code of its own is InvalidArgument; what time may mend is InternalServerError. */
const BY_CODE: Readonly<Record<ErrorCode, FaultCode>> = {
  invalid_request: "InvalidArgument",
  invalid_json: "InvalidArgument",
  invalid_filter: "InvalidArgument",
  target_not_allowed: "InvalidArgument",
  unauthenticated: "SignatureDoesNotMatch",
  forbidden: "AccessDenied",
  route_not_found: "InvalidRequestURL",
  topic_not_found: "TopicNotExist",
  group_not_found: "InvalidArgument",
  producer_group_not_found: "InvalidArgument",
  message_not_found: "MessageNotExist",
  transaction_not_found: "MessageNotExist",
  key_not_found: "InvalidAccessKeyId",
  schedule_not_found: "InvalidArgument",
  method_not_allowed: "InvalidRequestURL",
  unsupported_media_type: "InvalidArgument",
  transaction_committed: "MessageNotExist",
  transaction_rolled_back: "MessageNotExist",
  transaction_discarded: "MessageNotExist",
  transaction_not_discarded: "MessageNotExist",
  already_delivered: "MessageNotExist",
  already_recalled: "MessageNotExist",
  producer_fenced: "InvalidArgument",
  sequence_gap: "InvalidArgument",
  immutable_field: "InvalidArgument",
  topic_in_use: "InvalidArgument",
  message_too_large: "InvalidArgument",
  request_too_large: "InvalidArgument",
  idempotency_key_reused: "InvalidArgument",
  rate_limited: "QpsLimitExceeded",
  backlog_full: "QpsLimitExceeded",
  too_many_waiters: "QpsLimitExceeded",
  internal_error: "InternalError",
  unavailable: "InternalServerError",
  overloaded: "InternalServerError",
  storage_full: "InternalServerError",
  body_unavailable: "InternalServerError",
  not_configured: "InternalServerError",
};

export const faultOf = (refusal: Refusal): Fault => fault(BY_CODE[codeOf(refusal)], refusal.detail);
