/**
 * Calls over Workers RPC: each is one operation of the catalogue, through the same steps as a request of HTTP (api/perform.ts),
 * with the binding's rights in the place of a key. It trusts nothing that it is given: a caller's values may be stubs of its
 * own objects, so that only text, and what the schemas took, goes further.
 */
import { z } from "zod";
import type { Answer, Edge } from "../api/operation.ts";
import { check } from "../api/parse.ts";
import { pathOf } from "../api/path.ts";
import { bugOf, perform, requestIdOf } from "../api/perform.ts";
import { sentText } from "../api/read-body.ts";
import { routeOf } from "../api/routes.ts";
import type { Principal } from "../auth/principal.ts";
import { problemAnswer, problemOf, retryAfterMsOf } from "../core/problem.ts";
import type { BindingAnswer, BindingResult, Hold } from "../protocol/calling.ts";
import { accept, type ErrorCode, type Outcome, type Refusal } from "../protocol/errors.ts";

/** Before a path it makes the URL that the operations read. */
const ORIGIN = "https://binding";
const PATH_CHARS_MAX = 16_384;
const HEADER_CHARS_MAX = 4_096;

const header = z.string().max(HEADER_CHARS_MAX).optional();

const callSchema = z.strictObject({
  method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]),
  path: z.string().startsWith("/").max(PATH_CHARS_MAX),
  text: z.string().optional(),
  headers: z
    .strictObject({
      "idempotency-key": header,
      traceparent: header,
      "last-event-id": header,
      "x-request-id": header,
    })
    .optional(),
});

/** What the call is made in. */
export interface Circumstances {
  readonly caller: Outcome<Principal>;
  readonly hold: unknown;
  /** Keeps the work alive although the caller is gone. */
  readonly outlive: (work: Promise<unknown>) => void;
}

export interface Asked {
  readonly requestId: string;
  readonly outcome: Outcome<Answer>;
}

export async function ask(
  edge: Edge,
  given: unknown,
  { caller, hold, outlive }: Circumstances,
): Promise<Asked> {
  const call = check(callSchema, given);
  const headers: Readonly<Record<string, string | undefined>> = call.ok
    ? (call.value.headers ?? {})
    : {};
  const requestId = requestIdOf(edge, headers["x-request-id"]);
  if (!caller.ok) return { requestId, outcome: caller };
  if (!call.ok) return { requestId, outcome: call };
  const { method, path, text } = call.value;
  const url = ORIGIN + path;
  const route = routeOf(method, pathOf(url));
  if (!route.ok) return { requestId, outcome: route };
  const { mounted, params } = route.value;
  const { signal } = heldBy(hold);
  const own = { ...edge, authenticate: () => caller };
  const request = {
    method,
    url,
    headers: { get: (name: string) => headers[name] ?? null },
    signal,
  };
  const work = perform(own, mounted, { request, params, readBody: () => sentText(text), outlive })
    .then((outcome) => (outcome.ok ? whole(outcome.value, signal) : outcome))
    .catch((error: unknown) => bugOf(edge, { requestId, method, path: pathOf(url) }, error));
  // The runtime stops a call whose caller is gone in the middle, without a word, unless it is waited for.
  if (hold !== undefined) outlive(work);
  return { requestId, outcome: await work };
}

/** A signal that is aborted when the hold ends, or breaks. */
function heldBy(hold: unknown): AbortController {
  const controller = new AbortController();
  if (typeof hold !== "function") return controller;
  const ends = (): void => controller.abort();
  void (async () => (hold as Hold)())().then(ends, ends);
  return controller;
}

/**
 * An answer of JSON that comes in pieces, so that a caller that is gone meanwhile is noticed (api/two-writes.ts), as one: over
 * RPC it is the signal that tells. Events go on as they are.
 */
async function whole(answer: Answer, signal: AbortSignal): Promise<Outcome<Answer>> {
  const { body, contentType } = answer;
  if (typeof body === "string" || contentType !== undefined) return accept(answer);
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return accept({ ...answer, body: text });
    text += decoder.decode(value, { stream: true });
    // What was leased for it goes back; nobody reads this answer.
    if (signal.aborted) await reader.cancel();
  }
}

export function answerOf({ requestId, outcome }: Asked): BindingAnswer {
  const headers = { "x-request-id": requestId };
  if (!outcome.ok) {
    const { status, text, headers: more } = problemAnswer(outcome);
    return { status, headers: { ...headers, ...more }, body: text };
  }
  const { status = 200, body, contentType = "application/json", headers: more } = outcome.value;
  return { status, headers: { ...headers, "content-type": contentType, ...more }, body };
}

export function resultOf({ requestId, outcome }: Asked): BindingResult {
  if (!outcome.ok) return refusalOf(outcome, requestId);
  const { status = 200, body } = outcome.value;
  return { ok: true, status, value: typeof body === "string" ? JSON.parse(body) : undefined };
}

function refusalOf(refusal: Refusal, requestId: string): BindingResult {
  const problem = problemOf(refusal);
  const status = Number(problem["status"]);
  const retryAfterMs = retryAfterMsOf(status, refusal);
  return {
    ok: false,
    status,
    code: problem["code"] as ErrorCode,
    detail: refusal.detail,
    retryable: problem["retryable"] === true,
    requestId,
    facts: refusal.facts ?? {},
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}
