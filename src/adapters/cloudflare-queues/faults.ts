/**
 * What the Cloudflare API answers to what it does not do: a status, a number and a sentence. From HalfMQ's refusals to these
 * leads one table; nothing is read out of a text. Numbers that programs know of Cloudflare are Cloudflare's own
 * (developers.cloudflare.com/queues/reference/error-codes, and what wrangler looks for); all others are the status.
 */
import {
  accept,
  type Accepted,
  type ErrorCode,
  ERRORS,
  type Facts,
  type Refusal,
} from "../../protocol/errors.ts";
import { codeOf } from "../refusing.ts";

export interface Fault {
  readonly ok: false;
  readonly status: number;
  readonly code: number;
  /** HalfMQ's code, for who wants to tell them apart. */
  readonly reason: string;
  readonly detail: string;
  readonly facts?: Facts;
  readonly retryAfterMs?: number;
}

/** What an operation comes to. */
export type Result<T> = Accepted<T> | Fault;

export const done = accept;

export const fault = (status: number, code: number, reason: string, detail: string): Fault => ({
  ok: false,
  status,
  code,
  reason,
  detail,
});

export const NUMBERS = {
  authentication: 10_000,
  noSuchRoute: 7_003,
  queueNotFound: 11_000,
  consumerExists: 11_004,
} as const;

const BY_CODE: { readonly [C in ErrorCode]?: number } = {
  unauthenticated: NUMBERS.authentication,
  forbidden: NUMBERS.authentication,
  topic_not_found: NUMBERS.queueNotFound,
  group_not_found: NUMBERS.queueNotFound,
};

const RETRY_MS = 1_000;

export function faultOf(refusal: Refusal): Fault {
  const { detail, facts, retryAfterMs } = refusal;
  const code = codeOf(refusal);
  const { status, retryable } = ERRORS[code];
  return {
    ...fault(status, BY_CODE[code] ?? status, code, detail),
    ...(facts === undefined ? {} : { facts }),
    ...(retryable ? { retryAfterMs: retryAfterMs ?? RETRY_MS } : {}),
  };
}

export const invalid = (detail: string): Fault => fault(400, 400, "invalid_request", detail);
export const lacking = (detail: string): Fault => fault(400, 400, "unsupported", detail);
export const noSuchQueue = (name: string): Fault =>
  fault(404, NUMBERS.queueNotFound, "topic_not_found", `There is no queue ${name} here.`);
