/**
 * A request that the broker signed: read within bounds and verified before anybody sees it. Used by the mounted handlers. It
 * knows nothing of what is asked.
 */
import { verifyWebhook } from "./webhook.ts";

/** A function that any fetch-style server can mount. Its `Request` and `Response` are the runtime's own. */
export type FetchHandler = (request: Request) => Promise<Response>;

/** The broker sends up to 8 MiB of messages, and Base64 and escapes add to it. */
export const SIGNED_BYTES_MAX = 16 * 1024 * 1024;

/** The body that was signed, or what to answer instead. */
type Signed =
  | { readonly ok: true; readonly body: string }
  | { readonly ok: false; readonly response: Response };

/** 405 for another method, 413 for a longer body, 401 for what none of the secrets signed lately. */
export async function readSigned(
  request: Request,
  how: {
    readonly secret: string | readonly string[];
    readonly nowMs: number;
  },
): Promise<Signed> {
  if (request.method !== "POST") return refused(405, "the broker sends a POST");
  const body = await textWithin(request, SIGNED_BYTES_MAX);
  if (body === undefined) return refused(413, "larger than anything that the broker sends");
  const { headers } = request;
  const isSigned = await verifyWebhook({ body, headers, nowMs: how.nowMs }, how.secret);
  return isSigned ? { ok: true, body } : refused(401, "not signed by this secret, or too long ago");
}

/** What a stranger, or a broker that went wrong, is told. */
export function refusal(status: number, detail: string): Response {
  return answer(status, { status, detail });
}

/** JSON with a status. */
export function answer(status: number, json: unknown): Response {
  const headers = { "content-type": "application/json" };
  return new Response(JSON.stringify(json), { status, headers });
}

const refused = (status: number, detail: string): Signed => ({
  ok: false,
  response: refusal(status, detail),
});

/** The request's text; undefined, and no more is read, when it is longer. Strangers send requests, too. */
async function textWithin(request: Request, bytesMax: number): Promise<string | undefined> {
  const reader = request.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    const chunk = value as Uint8Array;
    bytes += chunk.length;
    if (bytes > bytesMax) {
      await reader.cancel();
      return undefined;
    }
    text += decoder.decode(chunk, { stream: true });
  }
}
