/** A delivery as it goes out: the webhook's body and headers. Pure; it never sends anything. */
import { type Delivery, deliveryJson } from "../core/message.ts";

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
