/**
 * Messages as JSON text. A JSON body is laid in as the text that came; nothing here ever parses one.
 */
import type { DeadLetter, Delivery, Message } from "../broker/broker.ts";
import { encodeBase64 } from "./base64.ts";

/** All fields of a message out but those of its delivery, without the closing brace. */
function openMessage(message: Message): string {
  const { content } = message;
  const { body } = content;
  let text = `{"id":"${message.id}","topic":"${message.topic}","queue":${message.queue},"offset":${message.offset}`;
  text += "json" in body ? `,"body":${body.json}` : `,"bodyBase64":"${encodeBase64(body.bytes)}"`;
  if (content.contentType !== undefined)
    text += `,"contentType":${JSON.stringify(content.contentType)}`;
  if (content.tag !== undefined) text += `,"tag":${JSON.stringify(content.tag)}`;
  if (content.keys !== undefined) text += `,"keys":${JSON.stringify(content.keys)}`;
  if (content.properties !== undefined)
    text += `,"properties":${JSON.stringify(content.properties)}`;
  if (content.messageGroup !== undefined)
    text += `,"messageGroup":${JSON.stringify(content.messageGroup)}`;
  text += `,"sentAt":${message.sentAt},"storedAt":${message.storedAt}`;
  if (message.transactionId !== undefined) text += `,"transactionId":"${message.transactionId}"`;
  if (content.traceparent !== undefined)
    text += `,"traceparent":${JSON.stringify(content.traceparent)}`;
  return text;
}

export const messageJson = (message: Message): string => `${openMessage(message)}}`;

const deliveryJson = (delivery: Delivery): string =>
  `${openMessage(delivery)},"deliveryAttempt":${delivery.deliveryAttempt},` +
  `"receipt":"${delivery.receipt}","invisibleUntil":${delivery.invisibleUntil}}`;

export const deadLetterJson = (letter: DeadLetter): string =>
  `${openMessage(letter)},"deliveryAttempt":${letter.attempts},"deadAt":${letter.deadAt},` +
  `"reason":${JSON.stringify(letter.reason)}}`;

export function receivedJson(messages: readonly Delivery[], paused: boolean): string {
  const list = messages.map(deliveryJson).join(",");
  return `{"messages":[${list}]${paused ? ',"paused":true' : ""}}`;
}

/** A page whose items are JSON texts already. */
export function pageJson(items: readonly string[], nextCursor: string | undefined): string {
  const more = nextCursor === undefined ? "" : `,"nextCursor":${JSON.stringify(nextCursor)}`;
  return `{"items":[${items.join(",")}]${more}}`;
}
