/** SendMessage and its batch: from SQS's entry to a message of HalfMQ, and what became of it. */
import { utf8Length } from "../../core/bytes.ts";
import type { Content } from "../../core/record.ts";
import { sha256 } from "../../platform/constant-time.ts";
import type { SentMessage } from "../../protocol/rpc.ts";
import { bytesToHex } from "@noble/hashes/utils.js";
import { bodyOf } from "../text-body.ts";
import { entriesOf, failed, type FailedEntry } from "./batches.ts";
import { type Context, type Queue, queueAt } from "./context.ts";
import { done, fault, faultOf, type Fault, type Result } from "./faults.ts";
import { type BatchInput, ENTRIES, type MessageIn } from "./inputs.ts";
import {
  type Attributes,
  attributesMd5,
  attributesSize,
  holdsForeignSign,
  md5Hex,
  OWN_PROPERTY,
  propertiesOf,
} from "./message-attributes.ts";
import { sequenceNumber } from "./sequence.ts";
import { settingsOf } from "./settings.ts";

/** Bodies and attributes of a batch together. */
const BATCH_BYTES_MAX = 1_048_576;
const TRACE_HEADER = "AWSTraceHeader";
const WORD = /^[\x21-\x7e]{1,128}$/;

interface Outgoing {
  readonly content: Content;
  readonly size: number;
  readonly digests: {
    readonly MD5OfMessageBody: string;
    readonly MD5OfMessageAttributes?: string;
    readonly MD5OfMessageSystemAttributes?: string;
  };
}

interface SentOut {
  readonly MessageId: string;
  readonly SequenceNumber?: string;
  readonly MD5OfMessageBody: string;
  readonly MD5OfMessageAttributes?: string;
  readonly MD5OfMessageSystemAttributes?: string;
}

export async function sendMessage(
  context: Context,
  input: MessageIn & { readonly QueueUrl: string },
): Promise<Result<SentOut>> {
  const queue = await queueAt(context, input.QueueUrl, ["send"]);
  if (!queue.ok) return queue;
  const outgoing = outgoingOf(queue.value, input);
  if (!outgoing.ok) return outgoing;
  const sent = await send(context, queue.value, [outgoing.value]);
  return sent.ok ? (sent.value[0] ?? LOST) : sent;
}

type BatchOut = {
  readonly Successful: readonly ({ readonly Id: string } & SentOut)[];
  readonly Failed: readonly FailedEntry[];
};

export async function sendMessageBatch(
  context: Context,
  input: BatchInput,
): Promise<Result<BatchOut>> {
  const queue = await queueAt(context, input.QueueUrl, ["send"]);
  if (!queue.ok) return queue;
  const entries = entriesOf(ENTRIES.SendMessageBatch, input);
  if (!entries.ok) return entries;
  const good: { readonly Id: string; readonly outgoing: Outgoing }[] = [];
  const Failed: FailedEntry[] = [];
  for (const { Id, said } of entries.value) {
    const outgoing = said.ok ? outgoingOf(queue.value, said.value) : said;
    if (outgoing.ok) good.push({ Id, outgoing: outgoing.value });
    else Failed.push(failed(Id, outgoing));
  }
  // What is wrong with an entry does not make the request shorter.
  if (input.Entries.reduce((sum, entry) => sum + sizeOf(entry), 0) > BATCH_BYTES_MAX) {
    const detail = `Batch requests cannot be longer than ${BATCH_BYTES_MAX} bytes.`;
    return fault("BatchRequestTooLong", detail);
  }
  if (good.length === 0) return done({ Successful: [], Failed });
  const sent = await send(
    context,
    queue.value,
    good.map(({ outgoing }) => outgoing),
  );
  if (!sent.ok) return sent;
  const Successful: BatchOut["Successful"][number][] = [];
  for (const [place, { Id }] of good.entries()) {
    const each = sent.value[place] ?? LOST;
    if (each.ok) Successful.push({ Id, ...each.value });
    else Failed.push(failed(Id, each));
  }
  return done({ Successful, Failed });
}

/** Of an entry, good or not. */
function sizeOf(entry: object): number {
  const { MessageBody: text, MessageAttributes: attributes } = entry as Record<string, unknown>;
  const judged = ENTRIES.SendMessageBatch.shape.MessageAttributes.safeParse(attributes);
  const size = judged.success ? attributesSize(judged.data ?? {}) : 0;
  return size + (typeof text === "string" ? utf8Length(text) : 0);
}

const LOST = fault("ServiceUnavailable", "The message was not stored; send it again.");

/** One result for each message, in order; a fault of the whole when nothing was stored. */
async function send(
  { edge, caller }: Context,
  queue: Queue,
  all: readonly Outgoing[],
): Promise<Result<readonly Result<SentOut>[]>> {
  const admitted = await edge.admit(caller, all.length);
  if (!admitted.ok) return faultOf(admitted);
  const outcome = await edge.broker.send(queue.at, { messages: all.map(({ content }) => content) });
  if (outcome.ok) {
    return done(
      all.map(({ digests }, place) => sentOut(queue, outcome.value.messages[place], digests)),
    );
  }
  const stored = outcome.facts?.["messages"];
  if (!Array.isArray(stored)) return faultOf(outcome);
  // Some of the topic's queues took theirs: what has an id is stored.
  return done(
    all.map(({ digests }, place) => sentOut(queue, stored[place] as Partial<SentMessage>, digests)),
  );
}

function sentOut(
  { isFifo }: Queue,
  sent: Partial<SentMessage> | undefined,
  digests: Outgoing["digests"],
): Result<SentOut> {
  if (sent?.id === undefined) return LOST;
  const { id, queue, offset } = sent;
  const isNumbered = isFifo && queue !== undefined && offset !== undefined;
  return done({
    MessageId: id,
    ...digests,
    ...(isNumbered ? { SequenceNumber: sequenceNumber(queue, offset) } : {}),
  });
}

function outgoingOf(queue: Queue, input: MessageIn): Result<Outgoing> {
  const { MessageBody: text, MessageAttributes: attributes = {} } = input;
  const system = input.MessageSystemAttributes ?? {};
  if (text === "") return fault("MissingParameter", "The message body must not be empty.");
  if (holdsForeignSign(text)) {
    const detail = "Invalid characters found. Valid: #x9 | #xA | #xD | #x20 and above, but #xFFFE.";
    return fault("InvalidMessageContents", detail);
  }
  const size = utf8Length(text) + attributesSize(attributes);
  const { maximumMessageSize } = settingsOf(queue);
  if (size > maximumMessageSize) {
    const detail = `One or more parameters are invalid. Reason: Message must be shorter than ${maximumMessageSize} bytes.`;
    return fault("InvalidParameterValue", detail);
  }
  const wrong = systemFault(system);
  if (wrong !== undefined) return wrong;
  const place = placeOf(queue, input);
  if (!place.ok) return place;
  const properties = propertiesOf(attributes);
  if (!properties.ok) return properties;
  const trace = system[TRACE_HEADER]?.StringValue;
  const kept =
    trace === undefined
      ? properties.value
      : { ...properties.value, [`${OWN_PROPERTY}${TRACE_HEADER}`]: trace };
  return done({
    content: {
      ...bodyOf(text),
      ...place.value,
      ...(Object.keys(kept).length === 0 ? {} : { properties: kept }),
    },
    size,
    digests: {
      MD5OfMessageBody: md5Hex(text),
      ...(isEmpty(attributes) ? {} : { MD5OfMessageAttributes: attributesMd5(attributes) }),
      ...(isEmpty(system) ? {} : { MD5OfMessageSystemAttributes: attributesMd5(system) }),
    },
  });
}

const isEmpty = (attributes: Attributes): boolean => Object.keys(attributes).length === 0;

function systemFault(system: Attributes): Fault | undefined {
  const other = Object.keys(system).find((name) => name !== TRACE_HEADER);
  if (other !== undefined) {
    return fault("InvalidParameterValue", `Message system attribute name '${other}' is invalid.`);
  }
  const judged = propertiesOf(system);
  return judged.ok ? undefined : judged;
}

const foreign = (name: string): Fault =>
  fault(
    "InvalidParameterValue",
    `${name}: The request include parameter that is not valid for this queue type`,
  );

/** Where and when: message group, dedup id, delay. */
function placeOf(queue: Queue, input: MessageIn): Result<Partial<Content>> {
  const { MessageGroupId: messageGroup, MessageDeduplicationId: given, DelaySeconds } = input;
  const { delaySeconds, isContentBased } = settingsOf(queue);
  for (const [name, value] of Object.entries({
    MessageGroupId: messageGroup,
    MessageDeduplicationId: given,
  })) {
    if (value === undefined || WORD.test(value)) continue;
    return fault("InvalidParameterValue", `${name} is 1 to 128 ASCII letters, digits and signs.`);
  }
  const delayMs = (DelaySeconds ?? delaySeconds) * 1_000;
  const delay = delayMs === 0 ? {} : { delayMs };
  const group = messageGroup === undefined ? {} : { messageGroup };
  if (!queue.isFifo) {
    return given === undefined ? done({ ...delay, ...group }) : foreign("MessageDeduplicationId");
  }
  if ((DelaySeconds ?? 0) !== 0) return foreign("DelaySeconds");
  if (messageGroup === undefined) {
    return fault("MissingParameter", "The request must contain the parameter MessageGroupId.");
  }
  const dedupId = given ?? (isContentBased ? bytesToHex(sha256(input.MessageBody)) : undefined);
  if (dedupId === undefined) {
    const detail =
      "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";
    return fault("InvalidParameterValue", detail);
  }
  return done({ ...delay, ...group, dedupId });
}
