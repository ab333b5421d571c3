/** ReceiveMessage: leases messages and shows them as SQS does, with the attributes that were asked for. */
import { encodeBase64 } from "../../core/base64.ts";
import type { Delivery, Received } from "../../broker/broker.ts";
import { textOf } from "../text-body.ts";
import { done, fault, faultOf, type Result } from "./faults.ts";
import { type Context, type Queue, queueAt } from "./context.ts";
import { gather } from "./gathering.ts";
import type { Input } from "./inputs.ts";
import {
  type Attributes,
  attributesMd5,
  attributesOf,
  chosen,
  md5Hex,
  OWN_PROPERTY,
} from "./message-attributes.ts";
import { sourcesOf } from "./redrive-policy.ts";
import { sequenceNumber } from "./sequence.ts";
import { INVISIBLE_MS_MIN, settingsOf } from "./settings.ts";

interface MessageOut {
  readonly MessageId: string;
  readonly ReceiptHandle: string;
  readonly MD5OfBody: string;
  readonly Body: string;
  readonly Attributes?: Readonly<Record<string, string>>;
  readonly MessageAttributes?: Attributes;
  readonly MD5OfMessageAttributes?: string;
}

/** System attributes that a receive may ask for; SenderId is not kept, see docs/doors/sqs.md. */
const SYSTEM: ReadonlySet<string> = new Set([
  "All",
  "ApproximateFirstReceiveTimestamp",
  "ApproximateReceiveCount",
  "AWSTraceHeader",
  "DeadLetterQueueSourceArn",
  "MessageDeduplicationId",
  "MessageGroupId",
  "SenderId",
  "SentTimestamp",
  "SequenceNumber",
]);

const SLICE_MS = 2_000;

export interface ReceiveOut {
  readonly output: { readonly Messages?: readonly MessageOut[] };
  /** Ends the leases of a client that turns out to be gone. */
  readonly giveBack?: () => Promise<unknown>;
}

export async function receiveMessage(
  context: Context,
  input: Input<"ReceiveMessage">,
): Promise<Result<ReceiveOut>> {
  const found = await queueAt(context, input.QueueUrl, ["consume"]);
  if (!found.ok) return found;
  const queue = found.value;
  const system = [...(input.AttributeNames ?? []), ...(input.MessageSystemAttributeNames ?? [])];
  const unknown = system.find((name) => !SYSTEM.has(name));
  if (unknown !== undefined) return fault("InvalidAttributeName", `Unknown Attribute ${unknown}.`);
  const waitMs = (input.WaitTimeSeconds ?? settingsOf(queue).waitSeconds) * 1_000;
  const { VisibilityTimeout: seconds, ReceiveRequestAttemptId: attemptId } = input;
  const received = await receive(context, queue, {
    maxMessages: input.MaxNumberOfMessages ?? 1,
    waitMs,
    ...(seconds === undefined ? {} : { invisibleMs: Math.max(seconds * 1_000, INVISIBLE_MS_MIN) }),
    ...(attemptId === undefined || !queue.isFifo ? {} : { attemptId }),
    ...(waitMs === 0 ? {} : { signal: context.signal }),
  });
  if (!received.ok) return received;
  const { messages, giveBack } = received.value;
  const asked = { system, own: input.MessageAttributeNames ?? [] };
  // Asked again: a wait takes its time.
  const receivedAt = context.edge.nowMs();
  const Messages = messages.map((each) => messageOut(queue, each, asked, receivedAt));
  return done({
    output: Messages.length === 0 ? {} : { Messages },
    ...(giveBack === undefined || waitMs === 0 ? {} : { giveBack }),
  });
}

type Asked = { readonly system: readonly string[]; readonly own: readonly string[] };
type ReceiveRequest = Parameters<Context["edge"]["broker"]["receive"]>[1];

/** Of a dead letter queue a wait is cut, so that what dies meanwhile is fetched. */
async function receive(
  context: Context,
  queue: Queue,
  { waitMs, ...request }: ReceiveRequest,
): Promise<Result<Received>> {
  const { edge, outlive, signal } = context;
  const isTarget = sourcesOf(queue).length > 0;
  const until = edge.nowMs() + waitMs;
  for (;;) {
    const gathered = await gather(context, queue);
    if (!gathered.ok) return gathered;
    const leftMs = Math.max(0, until - edge.nowMs());
    const sliceMs = isTarget ? Math.min(leftMs, SLICE_MS) : leftMs;
    const received = edge.broker.receive(queue.at, { ...request, waitMs: sliceMs });
    // A client that went away must not take its wait's end, or what is to be given back, with it.
    if (request.signal !== undefined)
      signal.addEventListener("abort", () => outlive(received), { once: true });
    const outcome = await received;
    if (!outcome.ok) return faultOf(outcome);
    const isOver = outcome.value.messages.length > 0 || signal.aborted || leftMs <= sliceMs;
    if (isOver) return done(outcome.value);
  }
}

function messageOut(
  queue: Queue,
  delivery: Delivery,
  { system, own }: Asked,
  receivedAt: number,
): MessageOut {
  const { content, receipt } = delivery;
  const sent = textOf(content);
  const body = typeof sent === "string" ? sent : encodeBase64(sent);
  const attributes = chosen(attributesOf(content.properties), own);
  const known = Object.entries(systemAttributes(queue, delivery, receivedAt)).filter(
    ([name]) => system.includes("All") || system.includes(name),
  );
  return {
    MessageId: content.properties?.[`${OWN_PROPERTY}MessageId`] ?? delivery.id,
    ReceiptHandle: receipt,
    MD5OfBody: md5Hex(body),
    Body: body,
    ...(known.length === 0 ? {} : { Attributes: Object.fromEntries(known) }),
    ...(Object.keys(attributes).length === 0
      ? {}
      : { MessageAttributes: attributes, MD5OfMessageAttributes: attributesMd5(attributes) }),
  };
}

function systemAttributes(
  { isFifo }: Queue,
  { content, deliveryAttempt, sentAt, queue, offset }: Delivery,
  receivedAt: number,
): Record<string, string> {
  const own = (name: string): string | undefined => content.properties?.[OWN_PROPERTY + name];
  const all = {
    ApproximateReceiveCount: String(deliveryAttempt),
    // Of a later delivery it is not known any more.
    ApproximateFirstReceiveTimestamp: deliveryAttempt === 1 ? String(receivedAt) : undefined,
    SentTimestamp: own("SentTimestamp") ?? String(sentAt),
    AWSTraceHeader: own("AWSTraceHeader"),
    DeadLetterQueueSourceArn: own("DeadLetterQueueSourceArn"),
    MessageGroupId: content.messageGroup,
    MessageDeduplicationId: isFifo ? (own("MessageDeduplicationId") ?? content.dedupId) : undefined,
    SequenceNumber: isFifo ? sequenceNumber(queue, offset) : undefined,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
