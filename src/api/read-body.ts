/** A request's body from its bytes to text: of the right media type, in sound Unicode. It never parses it. */
import { type Clock, systemClock } from "../platform/clock.ts";
import { encodeText } from "../core/bytes.ts";
import type { SentText } from "../core/raw-body.ts";
import { readBytes, tooLarge } from "../platform/read-bytes.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const EMPTY: SentText = { bytes: new Uint8Array(), text: "" };

/** JSON text that came as a string, with the same bounds. */
export function sentText(text: string | undefined): Outcome<SentText> {
  if (text === undefined || text === "") return accept(EMPTY);
  if (!text.isWellFormed()) return refuse("invalid_json", "The body is not well-formed Unicode");
  const bytes = encodeText(text);
  return bytes.length > LIMITS.requestBytesMax ? tooLarge(bytes.length) : accept({ bytes, text });
}

export async function readBody(
  request: Request,
  clock: Clock = systemClock,
): Promise<Outcome<SentText>> {
  const read = await readBytes(request, clock);
  if (!read.ok) return read;
  const bytes = read.value;
  if (bytes.length === 0) return accept(EMPTY);
  const type = request.headers.get("content-type");
  if (!isJson(type)) {
    return refuse("unsupported_media_type", "The body must be application/json", {
      field: "Content-Type",
      actual: type ?? "",
    });
  }
  try {
    return accept({ bytes, text: decoder.decode(bytes) });
  } catch {
    return refuse("invalid_json", "The body is not UTF-8");
  }
}

/** JSON is UTF-8 (RFC 8259); who says that it is something else does not mean what would be read. */
function isJson(type: string | null): boolean {
  if (type === "application/json") return true;
  if (type === null || !/^application\/json[ \t]*(?:;|$)/i.test(type.trim())) return false;
  const [, charset = "utf-8"] = /;[ \t]*charset=[ \t]*"?([^\s";]*)/i.exec(type) ?? [];
  return /^utf-?8$/i.test(charset);
}
