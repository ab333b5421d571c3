/** Mounts a fetch-style handler in a server of `node:http`, which it knows by shape alone: nothing of Node is imported. */
import { expectArgument } from "./argument.ts";
import { type FetchHandler, SIGNED_BYTES_MAX } from "./signed-request.ts";

/** The part of `IncomingMessage` that is read. */
export interface NodeRequest extends AsyncIterable<Uint8Array> {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** The part of `ServerResponse` that is written. */
export interface NodeResponse {
  writeHead(status: number, headers: Record<string, string>): unknown;
  end(body: string): unknown;
  once?(event: "close", run: () => void): unknown;
}

/**
 * `createServer(nodeListener(mq.pushHandler({…})))`, or a checkHandler. What the handler throws is answered 500; the signal of
 * its request is aborted when the caller has hung up.
 */
export function nodeListener(
  handler: FetchHandler,
): (request: NodeRequest, response: NodeResponse) => void {
  expectArgument("handler", handler, "function");
  const answer = async (request: NodeRequest, response: NodeResponse): Promise<void> => {
    try {
      const hungUp = new AbortController();
      response.once?.("close", () => hungUp.abort());
      const { status, headers, text } = await respond(handler, request, hungUp.signal);
      response.writeHead(status, headers);
      response.end(text);
    } catch {
      response.writeHead(500, {});
      response.end("");
    }
  };
  return (request, response) => void answer(request, response);
}

async function respond(
  handler: FetchHandler,
  request: NodeRequest,
  signal: AbortSignal,
): Promise<{ status: number; headers: Record<string, string>; text: string }> {
  const { method = "GET", url = "/" } = request;
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined)
      headers.set(name, typeof value === "string" ? value : value.join(", "));
  }
  const hasBody = method !== "GET" && method !== "HEAD";
  const head = { method, headers, signal };
  const init = hasBody ? { ...head, body: await textOf(request) } : head;
  const response = await handler(new Request(new URL(url, "http://localhost"), init));
  const text = await response.text();
  return { status: response.status, headers: Object.fromEntries(response.headers), text };
}

/** One byte more than any handler reads is enough for it to refuse. */
async function textOf(request: NodeRequest): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    text += decoder.decode(chunk, { stream: true });
    if (bytes > SIGNED_BYTES_MAX) break;
  }
  return text + decoder.decode();
}
