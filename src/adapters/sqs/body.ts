/**
 * A message's body, which SQS has as text and HalfMQ as JSON or bytes. A text is kept as a JSON string, so that native readers
 * see it as text; what native programs sent is shown as its JSON text, or as Base64.
 */
import { encodeBase64 } from "../../core/base64.ts";
import { decodeText, encodeText, utf8Length } from "../../core/bytes.ts";
import type { Content } from "../../core/record.ts";
import { LIMITS } from "../../protocol/limits.ts";

type Body = Pick<Content, "body" | "contentType">;

const PLAIN_TEXT = "text/plain; charset=utf-8";

/** Escapes may make a JSON string longer than a body may be; such a text is kept as bytes. */
export function bodyOf(text: string): Body {
  const json = JSON.stringify(text);
  if (utf8Length(json) <= LIMITS.bodyBytesMax) return { body: { json } };
  return { body: { bytes: encodeText(text) }, contentType: PLAIN_TEXT };
}

export function textOf({ body, contentType }: Body): string {
  if ("bytes" in body)
    return contentType === PLAIN_TEXT ? decodeText(body.bytes) : encodeBase64(body.bytes);
  const json = body.json.trim();
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}
