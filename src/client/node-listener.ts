/** Mounts a fetch-style handler in a server of `node:http`, which it knows by shape alone: nothing of Node is imported. */
import { BODY_BYTES_MAX, type CheckHandler } from "./check-handler.ts";

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
}

/** `createServer(nodeListener(mq.checkHandler({…})))`. What the handler throws is answered 500. */
export function nodeListener(
  handler: CheckHandler,
): (request: NodeRequest, response: NodeResponse) => void {
  const answer = async (request: NodeRequest, response: NodeResponse): Promise<void> => {
    try {
      const { status, headers, text } = await respond(handler, request);
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
  handler: CheckHandler,
  request: NodeRequest,
): Promise<{ status: number; headers: Record<string, string>; text: string }> {
  const { method = "GET", url = "/" } = request;
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined)
      headers.set(name, typeof value === "string" ? value : value.join(", "));
  }
  const hasBody = method !== "GET" && method !== "HEAD";
  const init = hasBody ? { method, headers, body: await textOf(request) } : { method, headers };
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
    if (bytes > BODY_BYTES_MAX) break;
  }
  return text + decoder.decode();
}
