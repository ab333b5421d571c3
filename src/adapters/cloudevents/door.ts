/**
 * The door of CloudEvents 1.0 over HTTP: `POST /cloudevents/{topic}` takes events, `GET` shows a topic's messages as events,
 * `OPTIONS` answers the question whether they are wanted. It adds nothing to the broker's verbs and refuses as the native
 * dialect does.
 */
import { allows } from "../../auth/allows.ts";
import type { Principal } from "../../auth/principal.ts";
import type { TopicName } from "../../broker/broker.ts";
import { BATCH_TYPE, structuredEvent } from "../../core/event.ts";
import { nameFault } from "../../core/name.ts";
import { problemAnswer } from "../../core/problem.ts";
import type { Content } from "../../core/record.ts";
import { readBytes } from "../../platform/read-bytes.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import type { Scope } from "../../protocol/rpc.ts";
import type { Door, DoorEdge } from "../door.ts";
import { unforeseen } from "../refusing.ts";
import { contentOf } from "./event.ts";
import { peekQueryOf } from "./peek-query.ts";
import { readEvents } from "./reading.ts";

type ReadKey = (request: Request) => Promise<Outcome<Principal>> | Outcome<Principal>;

const PREFIX = "/cloudevents/";
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** Which scopes a method needs, one of which a key must have. */
const SCOPES: ReadonlyMap<string, readonly Scope[]> = new Map([
  ["POST", ["send"]],
  ["OPTIONS", ["send"]],
  ["GET", ["consume", "manage"]],
]);
const METHODS = [...SCOPES.keys()];
const ALLOW = METHODS.join(", ");

interface Asked {
  readonly request: Request;
  readonly url: URL;
  readonly caller: Principal;
  readonly at: TopicName;
}

interface Answer {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function cloudEventsDoor(edge: DoorEdge, readKey: ReadKey): Door {
  return {
    takes: ({ url }) => new URL(url).pathname.startsWith(PREFIX),
    async answer(request) {
      const given = request.headers.get("x-request-id");
      const requestId = given !== null && REQUEST_ID.test(given) ? given : edge.newRequestId();
      const outcome = await answerTo(edge, request, readKey).catch((error: unknown) =>
        unforeseen(edge, "cloudevents", requestId, error),
      );
      const mark = { "x-request-id": requestId };
      if (outcome.ok)
        return new Response(outcome.value.text, { headers: { ...outcome.value.headers, ...mark } });
      const { status, headers, text } = problemAnswer(outcome);
      const allow: Record<string, string> = status === 405 ? { allow: ALLOW } : {};
      return new Response(text, { status, headers: { ...headers, ...allow, ...mark } });
    },
  };
}

async function answerTo(
  edge: DoorEdge,
  request: Request,
  readKey: ReadKey,
): Promise<Outcome<Answer>> {
  const caller = await readKey(request);
  if (!caller.ok) return caller;
  const url = new URL(request.url);
  const topic = topicOf(url.pathname);
  if (!topic.ok) return topic;
  const scopes = SCOPES.get(request.method);
  if (scopes === undefined)
    return refuse("method_not_allowed", `This path takes ${ALLOW}`, { allow: METHODS });
  const rights = scopes.map((scope) => allows(caller.value, scope, topic.value));
  const [forbidden] = rights;
  if (forbidden?.ok === false && !rights.some(({ ok }) => ok)) return forbidden;
  const { namespace } = caller.value;
  const asked = { request, url, caller: caller.value, at: { namespace, topic: topic.value } };
  if (request.method === "POST") return send(edge, asked);
  return request.method === "GET" ? peek(edge, asked) : grant(asked);
}

function topicOf(pathname: string): Outcome<string> {
  const text = pathname.slice(PREFIX.length);
  if (text === "" || text.includes("/"))
    return refuse("route_not_found", `There is nothing at ${pathname}`);
  try {
    const topic = decodeURIComponent(text);
    const fault = nameFault(topic);
    if (fault === undefined) return accept(topic);
    const { message, ...facts } = fault;
    return refuse("invalid_request", `topic: ${message}`, { field: "topic", ...facts });
  } catch {
    return refuse("invalid_request", "The path is not UTF-8 in percent-encoding", {
      field: "path",
    });
  }
}

/** Stored as any send: what a 200 says is on disk. An event that came before is a `duplicate`. */
async function send(edge: DoorEdge, { request, url, caller, at }: Asked): Promise<Outcome<Answer>> {
  const [stranger] = url.searchParams.keys();
  if (stranger !== undefined)
    return refuse("invalid_request", `${stranger}: unknown`, { field: stranger });
  const body = await readBytes(request, edge.clock);
  if (!body.ok) return body;
  const read = readEvents(request.headers, body.value);
  if (!read.ok) return read;
  const messages: Content[] = [];
  for (const [index, event] of read.value.events.entries()) {
    const content = contentOf(event, read.value.at(index), edge.clock.nowMs());
    if (!content.ok) return content;
    messages.push(content.value);
  }
  const headers = { "content-type": "application/json" };
  if (messages.length === 0) return accept({ text: '{"messages":[]}', headers });
  const admitted = await edge.admit(caller, messages.length);
  if (!admitted.ok) return admitted;
  const sent = await edge.broker.send(at, { messages });
  if (!sent.ok) return sent;
  return accept({ text: JSON.stringify({ messages: sent.value.messages }), headers });
}

/** A batch of events; where more is behind it, a link leads on. */
async function peek(edge: DoorEdge, { url, at }: Asked): Promise<Outcome<Answer>> {
  const query = peekQueryOf(url.searchParams);
  if (!query.ok) return query;
  const page = await edge.broker.peek(at, query.value);
  if (!page.ok) return page;
  const { items, nextCursor } = page.value;
  const headers: Record<string, string> = { "content-type": BATCH_TYPE };
  if (nextCursor !== undefined) {
    const next = new URLSearchParams(url.searchParams);
    next.set("cursor", nextCursor);
    headers["link"] = `<${url.pathname}?${next.toString()}>; rel="next"`;
  }
  return accept({ text: `[${items.map(structuredEvent).join(",")}]`, headers });
}

/** The handshake of the web-hook specification, as the one who is asked: whoever has the key may send, as fast as he likes. */
function grant({ request }: Asked): Outcome<Answer> {
  const origin = request.headers.get("webhook-request-origin");
  if (origin === null)
    return refuse("invalid_request", "WebHook-Request-Origin is required", {
      field: "WebHook-Request-Origin",
    });
  const granted = { "webhook-allowed-origin": origin, "webhook-allowed-rate": "*" };
  return accept({ text: "", headers: { ...granted, allow: ALLOW } });
}
