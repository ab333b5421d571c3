/**
 * A message's body: Cloudflare has text and JSON, HalfMQ JSON and bytes with a type. A text is kept as bytes of text/plain, so
 * that it comes back as it went in; native programs' bytes are shown in Base64, as Cloudflare shows JSON and bytes.
 */
import { encodeBase64 } from "../../core/base64.ts";
import { encodeText, utf8Text } from "../../core/bytes.ts";
import type { Content } from "../../core/record.ts";

type Body = Pick<Content, "body" | "contentType">;

const TEXT = "text/plain; charset=utf-8";
/** Digits that every number of JavaScript keeps. */
const DIGITS_MAX = 15;

interface RawJson {
  rawJSON(text: string): unknown;
}

/**
 * JSON whose numbers are kept digit by digit where a JavaScript number would lose some: `JSON.stringify` writes them as they
 * came (ECMA-262, JSON.parse source text access). Throws what JSON.parse throws.
 */
export function parseExactly(text: string): unknown {
  const raw = JSON as unknown as RawJson;
  const revive = (
    _key: string,
    value: unknown,
    context?: { readonly source?: string },
  ): unknown => {
    const source = context?.source;
    if (typeof value !== "number" || source === undefined) return value;
    const isExact =
      Number.isSafeInteger(value) || source.replaceAll(/\D/g, "").length <= DIGITS_MAX;
    return isExact ? value : raw.rawJSON(source);
  };
  return JSON.parse(text, revive);
}

export const textBody = (text: string): Body => ({
  body: { bytes: encodeText(text) },
  contentType: TEXT,
});

export const jsonBody = (value: unknown): Body => ({
  body: { json: JSON.stringify(value ?? null) },
});

export interface Shown {
  readonly body: string;
  readonly type: "text" | "json" | "bytes";
}

export function shown({ body, contentType }: Body): Shown {
  if ("json" in body) return { body: encodeBase64(encodeText(body.json)), type: "json" };
  // One that cannot be had: the door has no word for it.
  if ("ref" in body) return { body: "", type: "bytes" };
  const text = contentType === TEXT ? utf8Text(body.bytes) : undefined;
  if (text !== undefined) return { body: text, type: "text" };
  return { body: encodeBase64(body.bytes), type: "bytes" };
}
