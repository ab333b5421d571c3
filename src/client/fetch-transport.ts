/** The broker over HTTP. It follows no redirect, so that the key never reaches another host. */
import { toBase64 } from "./base64.ts";
import type { Call, Transport } from "./http.ts";

/** What the client hands to `fetch`. */
export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal;
  readonly redirect: "manual";
}

/** The part of `fetch` that the client uses. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

export interface Destination {
  /** Without a slash at its end. */
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: Fetch;
}

export const fetchTransport = ({ base, headers, fetch }: Destination): Transport => ({
  place: base,
  async attempt(call, signal) {
    const response = await fetch(base + call.path, initOf(call, headers, signal));
    // The body is part of the attempt: an answer that breaks off is none.
    return { status: response.status, headers: response.headers, text: await response.text() };
  },
  open: (call, signal, accept) => fetch(base + call.path, initOf(call, headers, signal, accept)),
  socket: (path) => ({
    url: `${base.replace(/^http/u, "ws")}${path}`,
    protocols: protocolsOf(headers),
  }),
});

/** Browsers cannot set headers: what they would say is offered as subprotocols. */
function protocolsOf(headers: Destination["headers"]): string[] {
  const key = (headers["authorization"] ?? "").replace(/^Bearer /u, "");
  const text = toBase64(new TextEncoder().encode(key));
  const shown = text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const protocols = ["halfmq", `halfmq.bearer.${shown}`];
  const namespace = headers["halfmq-namespace"];
  if (namespace !== undefined) protocols.push(`halfmq.namespace.${namespace}`);
  return protocols;
}

/** The body of a call as JSON text. */
export const textOf = ({ text, json }: Call): string | undefined =>
  text ?? (json === undefined ? undefined : JSON.stringify(json));

function initOf(
  call: Call,
  own: Readonly<Record<string, string>>,
  signal: AbortSignal,
  accept = "application/json",
): FetchInit {
  const text = textOf(call);
  const headers: Record<string, string> = { ...own, ...call.headers, accept };
  if (text !== undefined) headers["content-type"] = "application/json";
  if (call.idempotencyKey !== undefined) headers["idempotency-key"] = call.idempotencyKey;
  if (call.traceparent !== undefined) headers["traceparent"] = call.traceparent;
  const init = { method: call.method, headers, signal, redirect: "manual" } as const;
  return text === undefined ? init : { ...init, body: text };
}
