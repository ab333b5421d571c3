/** One batch on its way: the call, and the telling of its end. It decides nothing and never throws. */
import type { Delivery } from "../core/message.ts";
import type { Leaser } from "../leasing/leaser.ts";
import type { PushRecord } from "../protocol/rpc.ts";
import type { PushSettings } from "../protocol/topic.ts";
import { classify, type Fate, type Verdict } from "./classify.ts";
import { type Envelope, eventEnvelope, pushBody, pushHeaders } from "./envelope.ts";
import type { Ports } from "./ports.ts";
import { callWorker } from "./worker-batch.ts";

const JSON_TYPE = "application/json";

export interface Batch {
  readonly record: PushRecord;
  readonly push: PushSettings;
  readonly leaser: Leaser;
  readonly messages: readonly Delivery[];
}

/** What is given back as if it had not been delivered, but for what was said of single messages. */
export interface Uncounted {
  readonly fates?: readonly (Fate | undefined)[];
  readonly delayMs?: number;
}

export async function deliver(ports: Ports, batch: Batch): Promise<Verdict> {
  const { push, record, messages } = batch;
  const { clock } = ports;
  if ("binding" in push) {
    const worker = ports.worker(push.binding);
    if (worker === undefined) return { is: "busy", reason: "no_such_binding" };
    const { timeoutMs } = push;
    return callWorker(worker, messages, { topic: record.topic, timeoutMs, clock });
  }
  const addressee = { topic: record.topic, group: record.group.name };
  const [event] = push.format === undefined ? [] : messages;
  const { contentType, headers, body }: Envelope =
    push.format === undefined || event === undefined
      ? { contentType: JSON_TYPE, headers: {}, body: pushBody(addressee, messages, clock.nowMs()) }
      : eventEnvelope(push.format, event);
  const answer = await ports.post({
    url: push.url,
    secrets: record.secrets,
    id: `dlv_${ports.newId()}`,
    headers: {
      ...headers,
      ...pushHeaders(addressee, messages, record.group.settings.maxAttempts),
    },
    contentType,
    body,
    timeoutMs: push.timeoutMs,
  });
  const receipts = messages.map(({ receipt }) => receipt);
  // Who takes events answers by the status; a body may be anything, an event of his own even.
  const heard = event === undefined ? answer : { ...answer, bodyText: "" };
  const verdict = classify(heard, receipts, clock.nowMs());
  return answer.status === 0 ? verdict : { ...verdict, status: answer.status };
}

interface Order {
  readonly verb: "ack" | "nack" | "release";
  readonly delayMs?: number;
  readonly reason?: string;
  readonly retry?: boolean;
}

/** Tells the queue; what it cannot be told ends with its lease. */
export async function settle(
  { log }: Ports,
  { leaser, messages, record }: Batch,
  end: Verdict | Uncounted,
): Promise<void> {
  const orders = new Map<string, { order: Order; receipts: string[] }>();
  for (const [index, { receipt }] of messages.entries()) {
    const order = orderOf(end, index);
    const key = JSON.stringify([order.verb, order.delayMs, order.reason, order.retry]);
    const known = orders.get(key);
    if (known === undefined) orders.set(key, { order, receipts: [receipt] });
    else known.receipts.push(receipt);
  }
  await Promise.all(
    Array.from(orders.values(), async ({ order, receipts }) => {
      const outcome = await leaser.settle(receipts, order);
      if (outcome.ok) return;
      const { topic, group } = record;
      const fields = { topic, group: group.name, verb: order.verb, code: outcome.code };
      log.error("push.settle_failed", fields);
    }),
  );
}

function orderOf(end: Verdict | Uncounted, index: number): Order {
  const fate = "fates" in end ? end.fates?.[index] : undefined;
  if (fate?.is === "acked") return { verb: "ack" };
  if (fate?.is === "released") return { verb: "release" };
  if (fate?.is === "nacked") {
    const { is: _, ...how } = fate;
    return { verb: "nack", ...how };
  }
  const { delayMs } = "delayMs" in end ? end : {};
  const delay = delayMs === undefined ? {} : { delayMs };
  return "is" in end && end.is === "failed"
    ? { verb: "nack", reason: end.reason, ...delay }
    : { verb: "release", ...delay };
}
