/**
 * A request's events, in the three content modes of the HTTP binding: one in headers and body (binary), one as JSON
 * (structured), many as a JSON array (batched). Bounded by the body that was read; whether an event makes sense is event.ts's.
 */
import { decodeBase64 } from "../../core/base64.ts";
import { encodeText } from "../../core/bytes.ts";
import { BATCH_TYPE, EVENT_TYPE, isJsonType } from "../../core/event.ts";
import { attributeOfHeader } from "../../core/event-headers.ts";
import { memberOf, membersOf } from "../../core/raw-body.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { type Event, invalid } from "./event.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
const HEADER = /^ce-(.+)$/;
const EMPTY = new Uint8Array();
const DATA = "data";
const DATA_BASE64 = "data_base64";

export interface Read {
  readonly events: readonly Event[];
  /** Where a fault of the event is, in front of the field's name. */
  readonly at: (index: number) => string;
}

export function readEvents(headers: Headers, bytes: Uint8Array): Outcome<Read> {
  const type = headers.get("content-type") ?? "";
  const [media = ""] = type.toLowerCase().split(";");
  if (media.trim() === BATCH_TYPE) return readBatch(bytes);
  if (media.trim() === EVENT_TYPE) return single(readOne(bytes));
  if (headers.has("ce-specversion")) return single(readBinary(headers, bytes));
  return refuse(
    "unsupported_media_type",
    `An event has the header ce-specversion, or is ${EVENT_TYPE} or ${BATCH_TYPE}`,
    { field: "Content-Type", actual: type },
  );
}

const single = (event: Outcome<Event>): Outcome<Read> =>
  event.ok ? accept({ events: [event.value], at: () => "" }) : event;

// ------------------------------------------------------------ binary

function readBinary(headers: Headers, bytes: Uint8Array): Outcome<Event> {
  const attributes = new Map<string, string>();
  for (const [header, text] of headers) {
    const name = HEADER.exec(header)?.[1];
    // The content type is said by its own header, whatever a sender says beside it.
    if (name === undefined || name === "datacontenttype") continue;
    const value = attributeOfHeader(text);
    if (value === undefined) return invalid(name, "is no UTF-8 in percent-encoding");
    attributes.set(name, value);
  }
  const contentType = headers.get("content-type") ?? undefined;
  return accept({ attributes, contentType, body: bodyOfBytes(bytes, contentType) });
}

/** JSON that can be read as such is kept as its text; everything else as its bytes. */
function bodyOfBytes(bytes: Uint8Array, contentType: string | undefined): Event["body"] {
  if (contentType === undefined || !isJsonType(contentType) || bytes.length === 0) return { bytes };
  const text = jsonText(bytes);
  return text === undefined ? { bytes } : { json: text.trim() };
}

// ------------------------------------------------------------ JSON

function readOne(bytes: Uint8Array): Outcome<Event> {
  const text = jsonText(bytes);
  if (text === undefined) return refuse("invalid_json", "The event is not JSON in UTF-8");
  const value: unknown = JSON.parse(text);
  return isObject(value)
    ? eventOf(value, memberOf(text, DATA), "")
    : invalid("event", "is a JSON object");
}

function readBatch(bytes: Uint8Array): Outcome<Read> {
  const text = jsonText(bytes);
  if (text === undefined) return refuse("invalid_json", "The batch is not JSON in UTF-8");
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) return invalid("batch", "is a JSON array");
  const limit = LIMITS.requestMessagesMax;
  if (value.length > limit)
    return invalid("batch", `has at most ${limit} events`, { limit, actual: value.length });
  const wrong = value.findIndex((each) => !isObject(each));
  if (wrong >= 0) return invalid(`[${wrong}]`, "is a JSON object");
  const texts = membersOf(text, DATA);
  const events: Event[] = [];
  for (const [index, each] of (value as Record<string, unknown>[]).entries()) {
    const event = eventOf(each, texts[index], `[${index}].`);
    if (!event.ok) return event;
    events.push(event.value);
  }
  return accept({ events, at: (index) => `[${index}].` });
}

function eventOf(
  value: Readonly<Record<string, unknown>>,
  dataText: string | undefined,
  at: string,
): Outcome<Event> {
  const attributes = new Map<string, string>();
  for (const [name, said] of Object.entries(value)) {
    // A null is an attribute that is not there.
    if (name === DATA || name === DATA_BASE64 || said === null) continue;
    const text = attributeText(said);
    if (text === undefined)
      return invalid(at + name, "is a text, a boolean or an integer of 32 bits");
    attributes.set(name, text);
  }
  const contentType = attributes.get("datacontenttype");
  attributes.delete("datacontenttype");
  const body = bodyOfJson(value, dataText, contentType, at);
  return body.ok ? accept({ attributes, contentType, body: body.value }) : body;
}

function bodyOfJson(
  value: Readonly<Record<string, unknown>>,
  dataText: string | undefined,
  contentType: string | undefined,
  at: string,
): Outcome<Event["body"]> {
  const base64 = value[DATA_BASE64];
  if (base64 !== undefined && base64 !== null) {
    if (dataText !== undefined) return invalid(at + DATA_BASE64, "excludes data");
    const bytes = typeof base64 === "string" ? decodeBase64(base64) : undefined;
    return bytes === undefined
      ? invalid(at + DATA_BASE64, "is not base64 (RFC 4648, with padding)")
      : accept({ bytes });
  }
  if (dataText === undefined) return accept({ bytes: EMPTY });
  if (isJsonType(contentType)) return accept({ json: dataText });
  const data = value[DATA];
  if (data === null) return accept({ bytes: EMPTY });
  return accept({ bytes: encodeText(typeof data === "string" ? data : dataText) });
}

/** What JSON.parse takes, or nothing. */
function jsonText(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(bytes);
    JSON.parse(text);
    return text;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function attributeText(said: unknown): string | undefined {
  if (typeof said === "string") return said;
  const isInteger = Number.isInteger(said) && Math.abs(said as number) <= 2 ** 31;
  return isInteger || typeof said === "boolean" ? JSON.stringify(said) : undefined;
}
