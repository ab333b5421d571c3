/** The one error that the client throws for what the broker or the way to it refuses. Its text is for people, its code for programs. */
import type { ErrorCode, Facts, ReceiptCode } from "../protocol/errors.ts";

/** Codes that the client itself gives, where no answer of the broker did. */
export type ClientCode =
  /** The broker could not be reached, or its answer broke off: the request may or may not have been done. */
  | "network_error"
  /** No answer in time: the request may or may not have been done. */
  | "timeout"
  /** An answer that is not the broker's: a proxy's page, a redirect, no JSON. */
  | "unexpected_answer"
  /** The client object was told to stop before this call. */
  | "stopped";

/** Every code of the wire and of the client. A newer broker may send one that is not listed. */
export type HalfmqCode = ErrorCode | ReceiptCode | ClientCode | (string & Record<never, never>);

/** What a HalfmqError is made of. */
export interface HalfmqErrorParts {
  readonly code: HalfmqCode;
  readonly detail: string;
  readonly status?: number;
  readonly retryable?: boolean;
  readonly requestId?: string | undefined;
  readonly facts?: Facts;
  readonly retryAfterMs?: number | undefined;
  readonly attempts?: number;
  readonly mayBeDone?: boolean;
  readonly cause?: unknown;
}

/** A refusal of the broker, or a request that did not reach it. */
export class HalfmqError extends Error {
  override readonly name = "HalfmqError";
  /** The machine's word. Decide on this, never on the message. */
  readonly code: HalfmqCode;
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Whether the same request may succeed later. The client has already tried as often as its `retry` allows. */
  readonly retryable: boolean;
  /** One sentence for people. */
  readonly detail: string;
  /** The broker's name of the request, to be found in its log. */
  readonly requestId: string | undefined;
  /** The facts beside the code: `field`, `limit`, `actual`, the winning `state`, `expected`… */
  readonly facts: Facts;
  /** When the broker asked to come again. */
  readonly retryAfterMs: number | undefined;
  /** How many times the request was sent. */
  readonly attempts: number;
  /**
   * Whether the request may have been done all the same: one of its attempts, not only the last one, had no answer or one of
   * 5xx. False after refusals alone.
   */
  readonly mayBeDone: boolean;

  constructor(parts: HalfmqErrorParts) {
    super(
      `${parts.code}: ${parts.detail}`,
      parts.cause === undefined ? undefined : { cause: parts.cause },
    );
    this.code = parts.code;
    this.detail = parts.detail;
    this.status = parts.status ?? 0;
    this.retryable = parts.retryable ?? false;
    this.requestId = parts.requestId;
    this.facts = parts.facts ?? {};
    this.retryAfterMs = parts.retryAfterMs;
    this.attempts = parts.attempts ?? 1;
    this.mayBeDone = parts.mayBeDone ?? (this.status === 0 || this.status >= 500);
  }

  /** The same error with something else said of it. */
  with(parts: Partial<HalfmqErrorParts>): HalfmqError {
    const { code, status, retryable, detail, requestId, facts, retryAfterMs } = this;
    const { attempts, mayBeDone, cause } = this;
    const known = { code, status, retryable, detail, requestId, facts, retryAfterMs };
    return new HalfmqError({ ...known, attempts, mayBeDone, cause, ...parts });
  }
}

/** Whether a thrown value is a HalfmqError, with one of these codes where any are given. */
export function isHalfmqError(
  error: unknown,
  ...codes: readonly HalfmqCode[]
): error is HalfmqError {
  return error instanceof HalfmqError && (codes.length === 0 || codes.includes(error.code));
}

/** Whether the same request may succeed later: then the work is left to a later attempt, else given up. */
export function isRetryable(error: unknown): boolean {
  return error instanceof HalfmqError && error.retryable;
}

/** The HalfmqError of an answer that is not 2xx. `attempts` is how many times the request was sent. */
export function errorOfAnswer(
  answer: { readonly status: number; readonly headers: Headers; readonly text: string },
  attempts: number,
  nowMs: number,
): HalfmqError {
  const { status, headers, text } = answer;
  const requestId = headers.get("x-request-id") ?? undefined;
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), nowMs);
  const problem = parseProblem(text);
  if (problem === undefined) {
    const detail = `the answer has status ${status} and is not the broker's`;
    const retryable = isPassing(status);
    return new HalfmqError({
      code: "unexpected_answer",
      detail,
      status,
      retryable,
      requestId,
      retryAfterMs,
      attempts,
    });
  }
  const { type: _type, title, status: _status, detail, code, retryable, ...facts } = problem;
  return new HalfmqError({
    code: String(code),
    detail: String(detail ?? title ?? code),
    status,
    retryable: typeof retryable === "boolean" ? retryable : isPassing(status),
    requestId,
    facts: facts as Facts,
    retryAfterMs,
    attempts,
  });
}

/** `Retry-After` in milliseconds from now: seconds or an HTTP date. */
function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1_000);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

function parseProblem(text: string): Record<string, unknown> | undefined {
  try {
    const problem = JSON.parse(text) as Record<string, unknown> | null;
    return typeof problem?.["code"] === "string" ? problem : undefined;
  } catch {
    return undefined;
  }
}

/** What a proxy, or Cloudflare's edge (52x), answers while the broker is away. */
function isPassing(status: number): boolean {
  return (
    status === 408 ||
    status === 429 ||
    (status >= 502 && status <= 504) ||
    (status >= 520 && status <= 530)
  );
}
