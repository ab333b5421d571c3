/** Attributes of CloudEvents 1.0 as headers, by its HTTP binding. Pure; events as JSON are event.ts's. */
import { encodeText } from "./bytes.ts";
import { textOf } from "./event.ts";

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
  return textOf(Uint8Array.from(bytes));
}
