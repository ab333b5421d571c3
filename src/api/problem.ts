/** A refusal as an answer of HTTP: RFC 9457 problem+json, with the headers that its status asks for. */
import { problemOf } from "../core/problem.ts";
import type { Refusal } from "../protocol/errors.ts";

const RETRY_AFTER_MS = 1_000;

export function problemResponse(refusal: Refusal, headers: Record<string, string>): Response {
  const body = problemOf(refusal);
  const status = Number(body["status"]);
  const more: Record<string, string> = { ...headers, "content-type": "application/problem+json" };
  if (status === 429 || status === 503) {
    const seconds = Math.ceil((refusal.retryAfterMs ?? RETRY_AFTER_MS) / 1_000);
    more["retry-after"] = String(Math.max(1, seconds));
  }
  if (status === 401) more["www-authenticate"] = "Bearer";
  return new Response(JSON.stringify(body), { status, headers: more });
}
