/**
 * What the actions take, as JSON writes it. The query protocol has only texts, so numbers are taken as texts, too; fields that
 * are not here are not looked at, since newer SDKs may send more.
 */
import { z } from "zod";
import { members } from "../../protocol/members.ts";

const text = z.string();
const name = text.min(1);
const seconds = (most: number) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^-?\d{1,9}$/.test(value) ? Number(value) : value),
    z.int().min(0).max(most),
  );
const count = (least: number, most: number) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^-?\d{1,9}$/.test(value) ? Number(value) : value),
    z.int().min(least).max(most),
  );

const DELAY_SECONDS_MAX = 900;
const VISIBILITY_SECONDS_MAX = 43_200;
const WAIT_SECONDS_MAX = 20;

const attribute = z.object({
  DataType: text,
  StringValue: text.optional(),
  BinaryValue: text.optional(),
});
const attributes = members(text, attribute).optional();
const texts = members(text, text).optional();
const names = z.array(text).optional();

const queue = { QueueUrl: name };
const message = {
  MessageBody: text,
  DelaySeconds: seconds(DELAY_SECONDS_MAX).optional(),
  MessageAttributes: attributes,
  MessageSystemAttributes: attributes,
  MessageDeduplicationId: text.optional(),
  MessageGroupId: text.optional(),
};
const handle = { ReceiptHandle: name };
const visibility = { ...handle, VisibilityTimeout: seconds(VISIBILITY_SECONDS_MAX) };

/** Of each entry only the id is judged with the batch: what else is wrong with one fails that one alone. */
const batch = z.object({ ...queue, Entries: z.array(z.looseObject({ Id: text })).max(1_000) });

export type BatchInput = z.output<typeof batch>;

/** What the entry of a batch takes beside its id. */
export const ENTRIES = {
  SendMessageBatch: z.object(message),
  DeleteMessageBatch: z.object(handle),
  ChangeMessageVisibilityBatch: z.object(visibility),
} as const;

const page = { MaxResults: count(1, 1_000).optional(), NextToken: name.optional() };

export const INPUTS = {
  CreateQueue: z.object({ QueueName: name, Attributes: texts, tags: texts }),
  DeleteQueue: z.object(queue),
  GetQueueUrl: z.object({ QueueName: name, QueueOwnerAWSAccountId: text.optional() }),
  ListQueues: z.object({ QueueNamePrefix: text.optional(), ...page }),
  GetQueueAttributes: z.object({ ...queue, AttributeNames: names }),
  SetQueueAttributes: z.object({ ...queue, Attributes: members(text, text) }),
  PurgeQueue: z.object(queue),
  TagQueue: z.object({ ...queue, Tags: members(text, text) }),
  UntagQueue: z.object({ ...queue, TagKeys: z.array(text) }),
  ListQueueTags: z.object(queue),
  ListDeadLetterSourceQueues: z.object({ ...queue, ...page }),
  StartMessageMoveTask: z.object({
    SourceArn: name,
    DestinationArn: name.optional(),
    MaxNumberOfMessagesPerSecond: count(1, 500).optional(),
  }),
  ListMessageMoveTasks: z.object({ SourceArn: name, MaxResults: count(1, 10).optional() }),
  CancelMessageMoveTask: z.object({ TaskHandle: name }),
  SendMessage: z.object({ ...queue, ...message }),
  SendMessageBatch: batch,
  ReceiveMessage: z.object({
    ...queue,
    AttributeNames: names,
    MessageSystemAttributeNames: names,
    MessageAttributeNames: names,
    MaxNumberOfMessages: count(1, 10).optional(),
    VisibilityTimeout: seconds(VISIBILITY_SECONDS_MAX).optional(),
    WaitTimeSeconds: seconds(WAIT_SECONDS_MAX).optional(),
    ReceiveRequestAttemptId: name.max(128).optional(),
  }),
  DeleteMessage: z.object({ ...queue, ...handle }),
  DeleteMessageBatch: batch,
  ChangeMessageVisibility: z.object({ ...queue, ...visibility }),
  ChangeMessageVisibilityBatch: batch,
} as const;

export type Input<A extends keyof typeof INPUTS> = z.output<(typeof INPUTS)[A]>;
export type MessageIn = Omit<Input<"SendMessage">, "QueueUrl">;
