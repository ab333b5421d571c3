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
