/**
 * A message's body for doors that have it as text, where HalfMQ has JSON or bytes. A text is kept as a JSON string, so that native
 * readers see it as text; of what native programs sent any other JSON is shown as its JSON text.
 */
import { encodeText, utf8Length, utf8Text } from "../core/bytes.ts";
import type { Content } from "../core/record.ts";
import { LIMITS } from "../protocol/limits.ts";

type Body = Pick<Content, "body" | "contentType">;

const PLAIN_TEXT = "text/plain; charset=utf-8";

/** Escapes may make a JSON string longer than a body may be; such a text is kept as bytes. */
export function bodyOf(text: string): Body {
  const json = JSON.stringify(text);
  if (utf8Length(json) <= LIMITS.bodyBytesMax) return { body: { json } };
  return { body: { bytes: encodeText(text) }, contentType: PLAIN_TEXT };
}

/** The text, or the bytes of a body that is none, whatever it calls itself. */
export function textOf({ body, contentType }: Body): string | Uint8Array {
  if ("bytes" in body)
    return (contentType === PLAIN_TEXT ? utf8Text(body.bytes) : undefined) ?? body.bytes;
  // A receive hands out no message without its body.
  if ("ref" in body) return "";
  const json = body.json.trim();
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}
