/** A refusal as the answer of this dialect: RFC 9457 problem+json, beside the headers of the request's own. */
import { problemAnswer } from "../core/problem.ts";
import type { Refusal } from "../protocol/errors.ts";

export function problemResponse(refusal: Refusal, headers: Record<string, string>): Response {
  const { text, status, headers: more } = problemAnswer(refusal);
  return new Response(text, { status, headers: { ...headers, ...more } });
}
