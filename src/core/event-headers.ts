/** Events of CloudEvents 1.0 as headers and a body, by its HTTP binding. Pure; events as JSON are event.ts's. */
import { encodeText, utf8Text } from "./bytes.ts";
import { attributesOf } from "./event.ts";
import type { Message } from "./message.ts";

/** An event as one HTTP message. */
export interface SentEvent {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Undefined when it has none: the data is no UTF-8, or its type is none that a header can say, or unknown. */
export function binaryEvent(message: Message): SentEvent | undefined {
  const { body, contentType = "json" in body ? "application/json" : undefined } = message.content;
  if ("ref" in body) return undefined;
  const text = "json" in body ? body.json : utf8Text(body.bytes);
  if (text === undefined || contentType === undefined || !/^[\x20-\x7e]+$/.test(contentType))
    return undefined;
  const headers: Record<string, string> = {};
  for (const [name, value] of attributesOf(message)) headers[`ce-${name}`] = headerText(value);
  return { contentType, headers, body: text };
}

/** A header takes printable ASCII; everything else, spaces, quotes and percent signs are percent-encoded UTF-8. */
const headerText = (value: string): string =>
  value.replaceAll(/[^\x21\x23\x24\x26-\x7e]+/gu, (some) =>
    Array.from(encodeText(some), (byte) => `%${HEX[byte >> 4]}${HEX[byte & 15]}`).join(""),
  );

const HEX = "0123456789ABCDEF";

/** An attribute's value out of its header; undefined when what it encodes is no UTF-8. A percent sign that begins no octet is itself. */
export function attributeOfHeader(header: string): string | undefined {
  const isQuoted = header.length > 1 && header.startsWith('"') && header.endsWith('"');
  const text = isQuoted ? header.slice(1, -1).replaceAll(/\\(.)/gu, "$1") : header;
  if (!text.includes("%")) return text;
  const bytes: number[] = [];
  for (const [part, octet] of text.matchAll(/%([0-9A-Fa-f]{2})|[^]/gu)) {
    if (octet === undefined) bytes.push(...encodeText(part));
    else bytes.push(Number.parseInt(octet, 16));
  }
  return utf8Text(Uint8Array.from(bytes));
}
