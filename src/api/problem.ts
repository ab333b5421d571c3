/**
 * A refusal as RFC 9457 problem+json. The only place where a code becomes a status.
 */
import { ERRORS, type ErrorCode, type Refusal } from "../protocol/errors.ts";

const RETRY_AFTER_MS = 1_000;

/** A refusal that must not leave the server is one of ours that got lost: the client may come again. */
const codeOf = (refusal: Refusal): ErrorCode =>
  refusal.code === "stale_route" ? "unavailable" : refusal.code;

export function problemResponse(refusal: Refusal, headers: Record<string, string>): Response {
  const code = codeOf(refusal);
  const { status, title, retryable } = ERRORS[code];
  const body = {
    ...refusal.facts,
    type: `urn:halfmq:problem:${code}`,
    title,
    status,
    detail: refusal.detail,
    code,
    retryable,
  };
  const more: Record<string, string> = { ...headers, "content-type": "application/problem+json" };
  if (status === 429 || status === 503) {
    const seconds = Math.ceil((refusal.retryAfterMs ?? RETRY_AFTER_MS) / 1_000);
    more["retry-after"] = String(Math.max(1, seconds));
  }
  if (status === 401) more["www-authenticate"] = "Bearer";
  return new Response(JSON.stringify(body), { status, headers: more });
}
