/**
 * From a checked message of a request to the content that is stored: the body's text as it came, and the relations that
 * need the clock. It never changes a field, and never reads a clock: the instant comes with the call.
 */
import { utf8Length } from "../core/bytes.ts";
import type { JsonText } from "../core/raw-body.ts";
import type { Content } from "../core/record.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import { decodeBase64 } from "../core/base64.ts";
import type { Call, Edge } from "./operation.ts";
import type { MessageIn } from "./message-schema.ts";

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

export interface Circumstances {
  readonly nowMs: number;
  readonly bodyBytesMax: number;
  /** Of the request; it travels with each of its messages. */
  readonly traceparent?: string;
}

export function circumstancesOf(edge: Edge, call: Call): Circumstances {
  const traceparent = call.request.headers.get("traceparent");
  const { bodyBytesMax } = edge;
  const nowMs = edge.nowMs();
  return traceparent !== null && TRACEPARENT.test(traceparent)
    ? { nowMs, bodyBytesMax, traceparent }
    : { nowMs, bodyBytesMax };
}

type Body = Content["body"];
const NULL: JsonText = { json: "null" };

/** Where a message stands in its request: the text in front of its fields' names, or its index in `messages`. */
type Place = string | number;

const fieldAt = (at: Place, field: string): string =>
  typeof at === "number" ? `messages[${at}].${field}` : `${at}${field}`;

export function contentOf(
  message: MessageIn,
  bodyText: JsonText | undefined,
  at: Place,
  { nowMs, bodyBytesMax, traceparent }: Circumstances,
): Outcome<Content> {
  const body = bodyOf(message, bodyText, at, bodyBytesMax);
  if (!body.ok) return body;
  const late = lateFault(message, at, nowMs);
  if (late !== undefined) return late;
  const content: { -readonly [K in keyof Content]: Content[K] } = { body: body.value };
  if (message.contentType !== undefined) content.contentType = message.contentType;
  if (message.tag !== undefined) content.tag = message.tag;
  if (message.keys !== undefined) content.keys = message.keys;
  if (message.properties !== undefined) {
    content.properties = message.properties as Record<string, string>;
  }
  if (message.messageGroup !== undefined) content.messageGroup = message.messageGroup;
  if (message.delayMs !== undefined && message.delayMs > 0) content.delayMs = message.delayMs;
  if (message.deliverAt !== undefined) content.deliverAt = message.deliverAt;
  if (message.ttlMs !== undefined) content.ttlMs = message.ttlMs;
  if (message.expiresAt !== undefined) content.expiresAt = message.expiresAt;
  if (message.dedupId !== undefined) content.dedupId = message.dedupId;
  if (message.producer !== undefined) content.producer = message.producer;
  if (traceparent !== undefined) content.traceparent = traceparent;
  return accept(content);
}

function bodyOf(
  message: MessageIn,
  text: JsonText | undefined,
  at: Place,
  limit: number,
): Outcome<Body> {
  if (message.bodyBase64 === undefined) {
    const body = text ?? NULL;
    const { json, utf8 } = body;
    const isShort = json.length * 3 <= limit;
    const actual = utf8?.length ?? (isShort ? json.length : utf8Length(json));
    return actual > limit ? tooLarge(fieldAt(at, "body"), limit, actual) : accept(body);
  }
  const field = fieldAt(at, "bodyBase64");
  const bytes = decodeBase64(message.bodyBase64);
  if (bytes === undefined) {
    return refuse("invalid_request", `${field}: not base64 (RFC 4648, with padding)`, { field });
  }
  return bytes.length > limit ? tooLarge(field, limit, bytes.length) : accept({ bytes });
}

const tooLarge = (field: string, limit: number, actual: number): Refusal =>
  refuse("message_too_large", `${field}: a body has at most ${limit} bytes`, {
    field,
    limit,
    actual,
  });

function lateFault({ deliverAt = 0 }: MessageIn, at: Place, nowMs: number): Refusal | undefined {
  const latest = nowMs + LIMITS.delayMsMax;
  if (deliverAt <= latest) return undefined;
  const field = fieldAt(at, "deliverAt");
  return refuse("invalid_request", `${field}: at most 366 days from now`, {
    field,
    limit: latest,
    actual: deliverAt,
  });
}

/**
 * The refusal of a message that would be over before it is delivered. Of a request that comes again it may be true though it
 * was not at first; so what was answered to its key goes before.
 */
export function overdueFault(message: MessageIn, at: Place, nowMs: number): Refusal | undefined {
  const { delayMs = 0, deliverAt = 0, expiresAt } = message;
  const delivery = Math.max(nowMs + delayMs, deliverAt);
  if (expiresAt === undefined || expiresAt > delivery) return undefined;
  const field = fieldAt(at, "expiresAt");
  return refuse("invalid_request", `${field}: not after its delivery`, {
    field,
    limit: delivery,
    actual: expiresAt,
  });
}
