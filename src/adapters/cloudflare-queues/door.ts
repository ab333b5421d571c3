/**
 * The door of Cloudflare Queues' HTTP API: programs that publish and pull over it reach HalfMQ by changing its base URL. It
 * reads, asks who it is, has the operation done and wraps the answer as Cloudflare's API does. The account in the path is the
 * namespace, and the API token is a key.
 */
import type { Principal } from "../../auth/principal.ts";
import { NAMESPACE_HEADER } from "../../auth/known-keys.ts";
import { isNamespace } from "../../platform/key-text.ts";
import { utf8Text } from "../../core/bytes.ts";
import { readBytes } from "../../platform/read-bytes.ts";
import type { Outcome } from "../../protocol/errors.ts";
import { DEFAULT_NAMESPACE } from "../../protocol/rpc.ts";
import type { Door, DoorEdge, Outlive } from "../door.ts";
import { type AnswerBody, bodyFor } from "../leaving.ts";
import { unforeseen } from "../refusing.ts";
import { parseExactly } from "./body.ts";
import { done, faultOf, invalid, lacking, type Fault, type Result } from "./faults.ts";
import { lacks } from "./lacks.ts";
import type { Answer } from "./messages.ts";
import { NO_ROUTE, routeOf, run } from "./routes.ts";

/** Who shows a key in these headers. */
type Authenticate = (headers: Headers) => Promise<Outcome<Principal>> | Outcome<Principal>;

/** The client has subscriptions among its queues; the API has them beside these. */
const PATH = /^\/client\/v4\/accounts\/([^/]+)\/(queues|event_subscriptions)(?:\/(.*))?$/;

export function cloudflareQueuesDoor(edge: DoorEdge, authenticate: Authenticate): Door {
  return {
    takes: ({ url }) => url.startsWith("/client/v4/", url.indexOf("/", url.indexOf("://") + 3)),
    async answer(request, outlive) {
      const requestId = edge.newRequestId();
      const askedAt = edge.clock.nowMs();
      const told = await answerTo(edge, authenticate, request, outlive).catch((error: unknown) =>
        faultOf(unforeseen(edge, "cloudflare-queues", requestId, error)),
      );
      if (!told.ok) return refusal(told, requestId);
      const { result, giveBack } = told.value;
      const text = JSON.stringify({ success: true, errors: [], messages: [], result });
      return response(bodyFor({ edge, outlive }, askedAt, text, giveBack), 200, requestId);
    },
  };
}

/** The key is judged before the body is read: a stranger's body costs nothing. */
async function answerTo(
  edge: DoorEdge,
  authenticate: Authenticate,
  request: Request,
  outlive: Outlive,
): Promise<Result<Answer>> {
  const path = PATH.exec(new URL(request.url).pathname);
  const account = decoded(path?.[1] ?? DEFAULT_NAMESPACE) ?? "";
  const caller = await callerOf(request.headers, account, authenticate);
  if (!caller.ok) return faultOf(caller);
  if (!isNamespace(account))
    return invalid("The account is a namespace: 1 to 63 of a-z, 0-9 and -, not - first.");
  if (path?.[2] === "event_subscriptions") return lacking(lacks("subscriptions"));
  const segments = (path?.[3] ?? "")
    .split("/")
    .filter((segment) => segment !== "")
    .map(decoded);
  const isWhole = path !== null && segments.every((segment) => segment !== undefined);
  const found = isWhole ? routeOf(request.method, segments) : NO_ROUTE;
  if ("ok" in found) return found;
  const body = await bodyOf(edge, request);
  if (!body.ok) return body;
  const { signal } = request;
  return run(found, { edge, caller: caller.value, outlive, signal }, body.value);
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** A key belongs to one namespace, the root key to all: the account says which. */
function callerOf(headers: Headers, account: string, authenticate: Authenticate) {
  const shown = new Headers();
  if (isNamespace(account)) shown.set(NAMESPACE_HEADER, account);
  const authorization = headers.get("authorization");
  if (authorization !== null) shown.set("authorization", authorization);
  return authenticate(shown);
}

/** An empty body is an empty object, as the API takes it. */
async function bodyOf({ clock }: DoorEdge, request: Request): Promise<Result<unknown>> {
  const bytes = await readBytes(request, clock);
  if (!bytes.ok) return faultOf(bytes);
  if (bytes.value.length === 0) return done({});
  const text = utf8Text(bytes.value);
  if (text === undefined) return invalid("The body is not UTF-8.");
  try {
    return done(parseExactly(text));
  } catch {
    return invalid("The body is not JSON.");
  }
}

function refusal(
  { status, code, reason, detail, facts, retryAfterMs }: Fault,
  requestId: string,
): Response {
  const error = {
    code,
    message: detail,
    halfmq_code: reason,
    ...(facts === undefined ? {} : { facts }),
  };
  const text = JSON.stringify({ success: false, errors: [error], messages: [], result: null });
  const answer = response(text, status, requestId);
  if (retryAfterMs !== undefined)
    answer.headers.set("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
  return answer;
}

const response = (body: AnswerBody, status: number, requestId: string): Response =>
  new Response(body, {
    status,
    headers: { "content-type": "application/json", "x-request-id": requestId },
  });
