/** ReceiveMessage: leases messages and shows them as SQS does, with the attributes that were asked for. */
import { encodeBase64 } from "../../core/base64.ts";
import { encodeText } from "../../core/bytes.ts";
import type { Delivery, Received, ReceiveRequest } from "../../broker/broker.ts";
import { type GiveBack, receiveFor } from "../leaving.ts";
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
  readonly giveBack?: GiveBack;
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
  });
  if (!received.ok) return received;
  const { messages, giveBack } = received.value;
  const asked: Asked = {
    system,
    own: input.MessageAttributeNames ?? [],
    says: context.says,
    // Asked again: a wait takes its time.
    receivedAt: context.edge.clock.nowMs(),
  };
  const Messages = messages.map((each) => messageOut(queue, each, asked));
  return done({
    output: Messages.length === 0 ? {} : { Messages },
    ...(giveBack === undefined ? {} : { giveBack }),
  });
}

interface Asked {
  /** Attributes by name. */
  readonly system: readonly string[];
  readonly own: readonly string[];
  readonly says: Context["says"];
  readonly receivedAt: number;
}

/** Of a dead letter queue a wait is cut, so that what dies meanwhile is fetched. */
async function receive(
  context: Context,
  queue: Queue,
  { waitMs, ...request }: ReceiveRequest,
): Promise<Result<Received>> {
  const { edge, signal } = context;
  const isTarget = sourcesOf(queue).length > 0;
  const until = edge.clock.nowMs() + waitMs;
  for (;;) {
    const gathered = await gather(context, queue);
    if (!gathered.ok) return gathered;
    const leftMs = Math.max(0, until - edge.clock.nowMs());
    const sliceMs = isTarget ? Math.min(leftMs, SLICE_MS) : leftMs;
    const received = await receiveFor(context, queue.at, { ...request, waitMs: sliceMs });
    if (!received.ok) return faultOf(received);
    const isOver = received.value.messages.length > 0 || signal.aborted || leftMs <= sliceMs;
    if (isOver) return received;
  }
}

function messageOut(
  queue: Queue,
  delivery: Delivery,
  { system, own, says, receivedAt }: Asked,
): MessageOut {
  const { content, receipt } = delivery;
  const sent = textOf(content);
  const body = typeof sent === "string" && says(sent) ? sent : encodeBase64(bytesOf(sent));
  const attributes = chosen(attributesOf(content.properties, says), own);
  const known = Object.entries(systemAttributes(queue, delivery, receivedAt)).filter(
    ([name, value]) => (system.includes("All") || system.includes(name)) && says(value),
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

const bytesOf = (sent: string | Uint8Array): Uint8Array =>
  typeof sent === "string" ? encodeText(sent) : sent;

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
