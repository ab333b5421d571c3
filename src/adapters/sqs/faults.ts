/**
 * What SQS answers to what it does not do: each error with its name in JSON, its code in the query protocol and its status, as
 * AWS's model of SQS has them. From HalfMQ's refusals to these leads one table; nothing is read out of a text.
 */
import {
  accept,
  type Accepted,
  ERRORS,
  type ErrorCode,
  type Refusal,
} from "../../protocol/errors.ts";
import { codeOf } from "../refusing.ts";

interface Kind {
  readonly status: number;
  /** Its code where that is not its name. */
  readonly query?: string;
  /** The model of SQS does not have it; every AWS service answers it. */
  readonly isCommon?: true;
}

const SERVICE = "AWS.SimpleQueueService";

export const FAULTS = {
  AccessDenied: { status: 403, isCommon: true },
  BatchEntryIdsNotDistinct: { status: 400, query: `${SERVICE}.BatchEntryIdsNotDistinct` },
  BatchRequestTooLong: { status: 400, query: `${SERVICE}.BatchRequestTooLong` },
  EmptyBatchRequest: { status: 400, query: `${SERVICE}.EmptyBatchRequest` },
  InternalFailure: { status: 500, isCommon: true },
  InvalidAction: { status: 400, isCommon: true },
  InvalidAddress: { status: 404 },
  InvalidAttributeName: { status: 400 },
  InvalidAttributeValue: { status: 400 },
  InvalidBatchEntryId: { status: 400, query: `${SERVICE}.InvalidBatchEntryId` },
  InvalidMessageContents: { status: 400 },
  InvalidParameterValue: { status: 400, isCommon: true },
  MessageNotInflight: { status: 400, query: `${SERVICE}.MessageNotInflight` },
  MissingAuthenticationToken: { status: 403, isCommon: true },
  MissingParameter: { status: 400, isCommon: true },
  QueueDoesNotExist: { status: 400, query: `${SERVICE}.NonExistentQueue` },
  QueueNameExists: { status: 400, query: "QueueAlreadyExists" },
  ReceiptHandleIsInvalid: { status: 404 },
  RequestExpired: { status: 403, isCommon: true },
  RequestThrottled: { status: 403 },
  ResourceNotFoundException: { status: 404 },
  SerializationException: { status: 400, isCommon: true },
  ServiceUnavailable: { status: 503, isCommon: true },
  SignatureDoesNotMatch: { status: 403, isCommon: true },
  TooManyEntriesInBatchRequest: { status: 400, query: `${SERVICE}.TooManyEntriesInBatchRequest` },
  UnsupportedOperation: { status: 400, query: `${SERVICE}.UnsupportedOperation` },
} as const satisfies Record<string, Kind>;

export type FaultName = keyof typeof FAULTS;

export interface Fault {
  readonly ok: false;
  readonly name: FaultName;
  /** One sentence for people. */
  readonly detail: string;
}

/** What an action comes to. */
export type Result<T> = Accepted<T> | Fault;

export const fault = (name: FaultName, detail: string): Fault => ({ ok: false, name, detail });
export const done = accept;

/** What is not here is the sender's fault at the broker's edge, which this adapter keeps: InvalidParameterValue. */
const BY_CODE: { readonly [C in ErrorCode]?: FaultName } = {
  topic_not_found: "QueueDoesNotExist",
  group_not_found: "QueueDoesNotExist",
  forbidden: "AccessDenied",
  topic_in_use: "UnsupportedOperation",
  rate_limited: "RequestThrottled",
  backlog_full: "RequestThrottled",
  too_many_waiters: "RequestThrottled",
  unauthenticated: "SignatureDoesNotMatch",
  internal_error: "InternalFailure",
};

const BY_REASON: ReadonlyMap<unknown, FaultName> = new Map([
  ["missing", "MissingAuthenticationToken"],
  ["late", "RequestExpired"],
]);

export function faultOf(refusal: Refusal): Fault {
  const { detail, facts } = refusal;
  const code = codeOf(refusal);
  const byReason = code === "unauthenticated" ? BY_REASON.get(facts?.["reason"]) : undefined;
  const name = byReason ?? BY_CODE[code];
  if (name !== undefined) return fault(name, detail);
  return fault(ERRORS[code].status >= 500 ? "ServiceUnavailable" : "InvalidParameterValue", detail);
}

/** Whether it was the caller's doing, as a batch says of each of its failed entries. */
export const isSendersFault = ({ name }: Fault): boolean =>
  FAULTS[name].status < 500 && name !== "RequestThrottled";

export const queryCodeOf = (name: FaultName): string => {
  const kind: Kind = FAULTS[name];
  return kind.query ?? name;
};

/** As `__type` has it. */
export const shapeOf = (name: FaultName): string => {
  const kind: Kind = FAULTS[name];
  return `${kind.isCommon === true ? "com.amazon.coral.service" : "com.amazonaws.sqs"}#${name}`;
};
