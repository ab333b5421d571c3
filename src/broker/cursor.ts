/**
 * Cursors of lists that run over the queues of a topic: where each queue goes on, and of which incarnation, as opaque
 * text. A cursor names positions, never counts, so it stays good while things come and go.
 */
import { decodeText, encodeText } from "../core/bytes.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";

/** A queue's position, or its own cursor; null: this queue is finished. */
export type Position = number | string | null;

interface CursorBody {
  readonly i: number;
  readonly p: Readonly<Record<string, Position>>;
}

const QUEUES_MAX = 256;
const TEXT_CHARS_MAX = 15_000;

export function encodeCursor(
  incarnation: number,
  positions: ReadonlyMap<number, Position>,
): string {
  const body: CursorBody = { i: incarnation, p: Object.fromEntries(positions) };
  return toBase64Url(JSON.stringify(body));
}

export const BAD_CURSOR = refuse("invalid_request", "The cursor is not one that this list gave", {
  field: "cursor",
});

export function decodeCursor(
  text: string | undefined,
  incarnation: number,
): Outcome<Map<number, Position>> {
  if (text === undefined) return accept(new Map());
  if (text.length > TEXT_CHARS_MAX) return BAD_CURSOR;
  const body = parse(text);
  if (body === undefined || body.i !== incarnation) return BAD_CURSOR;
  const positions = new Map<number, Position>();
  for (const [name, position] of Object.entries(body.p)) {
    const queue = Number(name);
    if (!Number.isSafeInteger(queue) || queue < 0 || queue >= QUEUES_MAX) return BAD_CURSOR;
    if (typeof position === "number" && (!Number.isSafeInteger(position) || position < 0))
      return BAD_CURSOR;
    positions.set(queue, position);
  }
  return accept(positions);
}

function parse(text: string): CursorBody | undefined {
  try {
    const body: unknown = JSON.parse(fromBase64Url(text));
    if (typeof body !== "object" || body === null || !("i" in body) || !("p" in body))
      return undefined;
    if (typeof body.i !== "number" || typeof body.p !== "object" || body.p === null)
      return undefined;
    const positions = Object.values(body.p);
    const sound = positions.every(
      (each) => each === null || ["number", "string"].includes(typeof each),
    );
    return sound ? (body as CursorBody) : undefined;
  } catch {
    return undefined;
  }
}

function toBase64Url(text: string): string {
  const binary = Array.from(encodeText(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): string {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return decodeText(Uint8Array.from(binary, (char) => char.charCodeAt(0)));
}
