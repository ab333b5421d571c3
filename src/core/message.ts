/**
 * A message as it leaves the broker: from the columns that a queue answers to values, and from values to JSON text. A JSON
 * body is laid in as the text that came; nothing here ever parses one, and nothing asks anyone anything.
 */
import { encodeBase64 } from "./base64.ts";
import { decodeEntry } from "./entry.ts";
import { idsOfLog } from "./ids.ts";
import { decodeRecord, unframe, type Body, type Content } from "./record.ts";
import type { Sent, SentMessage, Stored } from "../protocol/producing.ts";

/** A message as any reader sees it. */
export interface Message {
  readonly id: string;
  readonly topic: string;
  readonly queue: number;
  readonly offset: number;
  readonly sentAt: number;
  readonly storedAt: number;
  readonly transactionId?: string;
  readonly content: Content;
}

/** A message that is leased to who asked. */
export interface Delivery extends Message {
  readonly deliveryAttempt: number;
  readonly receipt: string;
  readonly invisibleUntil: number;
}

/** What a queue answered to a send, message by message. */
export function sentBy(incarnation: number, queue: number, answer: Stored): Sent {
  const { stored, ...rest } = answer;
  if (!("first" in stored)) return { ...rest, messages: stored };
  const messages: SentMessage[] = [];
  const idOf = idsOfLog(incarnation, queue);
  for (let place = 0; place < stored.count; place++) {
    const offset = stored.first + place;
    messages.push({ id: idOf(offset), queue, offset, state: "ready" });
  }
  return { ...rest, messages };
}

interface Columns {
  readonly entries: Uint8Array;
  readonly offsets: readonly number[];
  readonly storedAts: readonly number[];
}

interface DeliveredColumns extends Columns {
  readonly attempts: readonly number[];
  readonly receipts: readonly string[];
  readonly invisibleUntils: readonly number[];
}

/** The topic that a queue's answer belongs to. */
interface Origin {
  readonly topic: string;
  readonly incarnation: number;
}

/** An entry that needs neither id nor time of its own takes both from its place in the log. */
export function messagesOf(
  { topic, incarnation }: Origin,
  queue: number,
  columns: Columns,
): Message[] {
  const messages: Message[] = [];
  const idOf = idsOfLog(incarnation, queue);
  for (const [index, bytes] of unframe(columns.entries).entries()) {
    const entry = decodeEntry(bytes);
    const offset = columns.offsets[index] ?? 0;
    const storedAt = columns.storedAts[index] ?? 0;
    const id = entry.id ?? idOf(offset);
    const sentAt = entry.sentAt ?? storedAt;
    const content = decodeRecord(entry.record);
    const { transactionId } = entry;
    const message = { id, topic, queue, offset, sentAt, storedAt, content };
    messages.push(
      transactionId === undefined ? message : Object.assign(message, { transactionId }),
    );
  }
  return messages;
}

export function deliveriesOf(origin: Origin, queue: number, columns: DeliveredColumns): Delivery[] {
  return messagesOf(origin, queue, columns).map((message, index) =>
    Object.assign(message, {
      deliveryAttempt: columns.attempts[index] ?? 1,
      receipt: columns.receipts[index] ?? "",
      invisibleUntil: columns.invisibleUntils[index] ?? 0,
    }),
  );
}

/** A message as its producer wrote it, but for the trace of the request that brought it. */
export function contentJson(content: Content): string {
  const { delayMs, deliverAt, ttlMs, expiresAt, dedupId, producer } = content;
  const rest = JSON.stringify({ delayMs, deliverAt, ttlMs, expiresAt, dedupId, producer });
  const members = openContentJson(content);
  return `{${members}${rest === "{}" ? "" : `,${rest.slice(1, -1)}`}}`;
}

/** The body's member. */
function bodyJson(body: Body): string {
  if ("json" in body) return `"body":${body.json}`;
  if ("bytes" in body) return `"bodyBase64":"${encodeBase64(body.bytes)}"`;
  return `"bodyError":${JSON.stringify(bodyErrorOf(body))}`;
}

/** What stands in the place of a large body that cannot be had. */
export const bodyErrorOf = ({ ref, fault }: Extract<Body, { ref: unknown }>) => ({
  code: fault ?? "body_unavailable",
  bytes: ref.bytes,
});

/** What of a message its readers see, too. */
function openContentJson(content: Content): string {
  let text = bodyJson(content.body);
  if (content.contentType !== undefined)
    text += `,"contentType":${JSON.stringify(content.contentType)}`;
  if (content.tag !== undefined) text += `,"tag":${JSON.stringify(content.tag)}`;
  if (content.keys !== undefined) text += `,"keys":${JSON.stringify(content.keys)}`;
  if (content.properties !== undefined)
    text += `,"properties":${JSON.stringify(content.properties)}`;
  if (content.messageGroup !== undefined)
    text += `,"messageGroup":${JSON.stringify(content.messageGroup)}`;
  return text;
}

/** All fields of a message out but those of its delivery, without the closing brace. */
export function openMessageJson(message: Message): string {
  const { content } = message;
  let text = `{"id":"${message.id}","topic":"${message.topic}","queue":${message.queue},"offset":${message.offset},`;
  text += openContentJson(content);
  text += `,"sentAt":${message.sentAt},"storedAt":${message.storedAt}`;
  if (message.transactionId !== undefined) text += `,"transactionId":"${message.transactionId}"`;
  if (content.traceparent !== undefined)
    text += `,"traceparent":${JSON.stringify(content.traceparent)}`;
  return text;
}

export const messageJson = (message: Message): string => `${openMessageJson(message)}}`;

export const deliveryJson = (delivery: Delivery): string =>
  `${openMessageJson(delivery)},"deliveryAttempt":${delivery.deliveryAttempt},` +
  `"receipt":"${delivery.receipt}","invisibleUntil":${delivery.invisibleUntil}}`;
