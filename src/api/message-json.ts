/** Answers made of messages as JSON text; the messages themselves are core/message.ts. Nothing here ever parses a body. */
import type { DeadLetter, Delivery } from "../broker/broker.ts";
import { deliveryJson, openMessageJson } from "../core/message.ts";

export const deadLetterJson = (letter: DeadLetter): string =>
  `${openMessageJson(letter)},"deliveryAttempt":${letter.attempts},"deadAt":${letter.deadAt},` +
  `"reason":${JSON.stringify(letter.reason)}` +
  (letter.consumerId === undefined ? "}" : `,"consumerId":${JSON.stringify(letter.consumerId)}}`);

export function receivedJson(messages: readonly Delivery[], paused: boolean): string {
  const list = messages.map(deliveryJson).join(",");
  return `{"messages":[${list}]${paused ? ',"paused":true' : ""}}`;
}

/** A page whose items are JSON texts already. */
export function pageJson(items: readonly string[], nextCursor: string | undefined): string {
  const more = nextCursor === undefined ? "" : `,"nextCursor":${JSON.stringify(nextCursor)}`;
  return `{"items":[${items.join(",")}]${more}}`;
}
