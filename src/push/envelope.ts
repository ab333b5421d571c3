/** A delivery as it goes out: the webhook's body and headers. Pure; it never sends anything. */
import { EVENT_TYPE, structuredEvent } from "../core/event.ts";
import { binaryEvent } from "../core/event-headers.ts";
import { type Delivery, deliveryJson } from "../core/message.ts";
import type { PushFormat } from "../protocol/topic.ts";

interface Addressee {
  readonly topic: string;
  readonly group: string;
}

export function pushBody(
  { topic, group }: Addressee,
  messages: readonly Delivery[],
  nowMs: number,
): string {
  const timestamp = new Date(nowMs).toISOString();
  const list = messages.map(deliveryJson).join(",");
  return `{"type":"messages.delivery","timestamp":"${timestamp}","data":{"topic":"${topic}","group":"${group}","messages":[${list}]}}`;
}

export interface Envelope {
  readonly contentType: string;
  /** Beside those of every push. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One message as an event. What no header can say, or no text, goes as JSON: a signature is over text. */
export function eventEnvelope(format: PushFormat, message: Delivery): Envelope {
  const binary = format === "cloudevents-binary" ? binaryEvent(message) : undefined;
  return binary ?? { contentType: EVENT_TYPE, headers: {}, body: structuredEvent(message) };
}

/** Of a batch: the highest attempt, the earliest end of a lease, and the first message's trace. */
export function pushHeaders(
  { topic, group }: Addressee,
  messages: readonly Delivery[],
  maxAttempts: number,
): Record<string, string> {
  const headers: Record<string, string> = {
    "halfmq-topic": topic,
    "halfmq-group": group,
    "halfmq-attempt": String(Math.max(...messages.map((message) => message.deliveryAttempt))),
    "halfmq-max-attempts": String(maxAttempts),
    "halfmq-deadline": String(Math.min(...messages.map((message) => message.invisibleUntil))),
  };
  const traced = messages.find(({ content }) => content.traceparent !== undefined);
  if (traced?.content.traceparent !== undefined)
    headers["traceparent"] = traced.content.traceparent;
  return headers;
}
