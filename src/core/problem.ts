/** A refusal as RFC 9457 has it, for every dialect. Pure. */
import { ERRORS, type ErrorCode, type Refusal } from "../protocol/errors.ts";

/** A refusal that must not leave the server is one of ours that got lost: the client may come again. */
const codeOf = (refusal: Refusal): ErrorCode =>
  refusal.code === "stale_route" ? "unavailable" : refusal.code;

export function problemOf(refusal: Refusal): Readonly<Record<string, unknown>> {
  const code = codeOf(refusal);
  const { status, title, retryable } = ERRORS[code];
  const type = `urn:halfmq:problem:${code}`;
  return { ...refusal.facts, type, title, status, detail: refusal.detail, code, retryable };
}

const RETRY_AFTER_MS = 1_000;

/** When a caller shall come again; undefined where coming again is of no use. */
export const retryAfterMsOf = (status: number, { retryAfterMs }: Refusal): number | undefined =>
  status === 429 || status === 503 ? (retryAfterMs ?? RETRY_AFTER_MS) : undefined;

/** A refusal as an answer of HTTP, with the headers that its status asks for. */
export function problemAnswer(refusal: Refusal): {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
} {
  const body = problemOf(refusal);
  const status = Number(body["status"]);
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  const retryAfterMs = retryAfterMsOf(status, refusal);
  if (retryAfterMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  }
  if (status === 401) headers["www-authenticate"] = "Bearer";
  return { status, headers, text: JSON.stringify(body) };
}
