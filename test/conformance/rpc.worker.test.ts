/**
 * The conformance suite over Workers RPC, where it is about what travels: the same cases, asked of the entrypoint that other
 * Workers bind. Behind the entrypoint the steps are those of HTTP, whose runs ask for the rest.
 */
import { exports } from "cloudflare:workers";
import type { BindingCall } from "../../src/protocol/calling.ts";
import { conformance, THEMES } from "./suite.ts";

const PROPS = { scopes: ["send", "transact", "consume", "manage"] };
const OVER_RPC = new Set([
  "sending",
  "bodies",
  "consuming",
  "idempotency keys",
  "decisions",
  "tails",
]);
/** A binding has its rights and its namespace for good, and shows no key; a race with deletes is not about the way in. */
const ELSEWHERE = new Set([
  "a long poll ends at once when its group is deleted, and does not make it anew",
  "the key's scope is the namespace, the method and the path",
  "row 54: half messages stand in no topic of their own",
  "row 55: a key without transact may send but not prepare, commit or answer checks",
  "a quiet tail beats, and ends when its key is deleted",
]);
const HEADERS = new Set(["idempotency-key", "traceparent", "last-event-id", "x-request-id"]);

async function overRpc(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = [...new Headers(init.headers)].filter(([name]) => HEADERS.has(name));
  const call = {
    method: (init.method ?? "GET") as BindingCall["method"],
    path,
    headers: Object.fromEntries(headers),
    ...(typeof init.body === "string" ? { text: init.body } : {}),
  };
  const binding = exports.HalfMQEntrypoint({ props: PROPS });
  const { status, headers: answered, body } = await binding.call(call);
  return new Response(body, { status, headers: answered });
}

const themes = Object.entries(THEMES)
  .filter(([theme]) => OVER_RPC.has(theme))
  .map(([theme, cases]) => {
    const asked = Object.entries(cases).filter(([name]) => !ELSEWHERE.has(name));
    return [theme, Object.fromEntries(asked)] as const;
  });

conformance(
  {
    name: "rpc",
    key: "",
    fetch: overRpc,
    listen: () => Promise.reject(new Error("nothing is called here")),
    connect: () => Promise.reject(new Error("there are no sockets here")),
  },
  Object.fromEntries(themes),
);
