/** FIFO queues and batches through the SDK. */
import {
  BatchEntryIdsNotDistinct,
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  EmptyBatchRequest,
  InvalidBatchEntryId,
  BatchRequestTooLong,
  GetQueueAttributesCommand,
  CreateQueueCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  SendMessageCommand,
  TooManyEntriesInBatchRequest,
} from "@aws-sdk/client-sqs";
import { expect } from "vitest";
import { sorted, unique } from "../../conformance/kit.ts";
import { type Cases, errorOf, type Made, queue, receive, there, type World } from "./kit.ts";

const FIFO = { FifoQueue: "true" };

/** Its deduplication id is its text, unless told otherwise. */
const send = ({ sqs }: World, { url }: Made, body: string, more: object) =>
  sqs.send(
    new SendMessageCommand({
      QueueUrl: url,
      MessageBody: body,
      MessageDeduplicationId: body,
      ...more,
    }),
  );

const of = (MessageGroupId: string, more: object = {}) => ({ MessageGroupId, ...more });
const refused = async (work: Promise<unknown>) => (await errorOf(work)).name;
const entry = (Id: string, MessageBody = "x") => ({ Id, MessageBody });

const sendAll = ({ sqs }: World, { url }: Made, Entries: SendMessageBatchRequestEntry[]) =>
  sqs.send(new SendMessageBatchCommand({ QueueUrl: url, Entries }));

const remove = ({ sqs }: World, { url }: Made, handle: string | undefined) =>
  sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: handle }));

export const fifo: Cases = {
  "messages of a group come in order, one batch at a time, and other groups meanwhile": async (
    world,
  ) => {
    const made = await queue(world, FIFO);
    for (const body of ["a1", "a2", "a3"]) await send(world, made, body, of("a"));
    await send(world, made, "b1", of("b"));
    const one = { MaxNumberOfMessages: 1, MessageSystemAttributeNames: ["All" as const] };
    const [first] = await receive(world, made, one);
    expect(first).toMatchObject({
      Body: "a1",
      Attributes: { MessageGroupId: "a", MessageDeduplicationId: "a1" },
    });
    const others = await receive(world, made, { WaitTimeSeconds: 0 });
    expect(others.map(({ Body }) => Body)).toEqual(["b1"]);
    await remove(world, made, first?.ReceiptHandle);
    const rest = await receive(world, made, { MessageSystemAttributeNames: ["All"] });
    expect(rest.map(({ Body }) => Body)).toEqual(["a2", "a3"]);
    const numbers = [first, ...rest].map((each) => there(each?.Attributes?.SequenceNumber));
    expect(numbers.every((number) => /^\d{20}$/u.test(number))).toBe(true);
    expect(numbers).toEqual(numbers.toSorted());
  },

  "the same deduplication id within five minutes is the same message": async (world) => {
    const made = await queue(world, FIFO);
    const first = await send(world, made, "once", of("g"));
    const again = await send(
      world,
      made,
      "another body",
      of("g", { MessageDeduplicationId: "once" }),
    );
    expect(again.MessageId).toBe(first.MessageId);
    expect(again.SequenceNumber).toBe(first.SequenceNumber);
    // It counts within its message group, as high-throughput FIFO queues have it.
    await send(world, made, "elsewhere", of("h", { MessageDeduplicationId: "once" }));
    const got = await receive(world, made);
    expect(sorted(got.map(({ Body }) => Body))).toEqual(sorted(["elsewhere", "once"]));
  },

  "by content the body says what is the same": async (world) => {
    const made = await queue(world, { ...FIFO, ContentBasedDeduplication: "true" });
    const none = { MessageDeduplicationId: undefined };
    const first = await send(world, made, "same", of("g", none));
    expect((await send(world, made, "same", of("g", none))).MessageId).toBe(first.MessageId);
    await send(world, made, "other", of("g", none));
    expect((await receive(world, made)).map(({ Body }) => Body)).toEqual(["same", "other"]);
  },

  "a FIFO queue asks for what it needs, and for nothing that it cannot do": async (world) => {
    const made = await queue(world, FIFO);
    expect(await refused(send(world, made, "x", {}))).toBe("MissingParameter");
    const none = { MessageDeduplicationId: undefined };
    expect(await refused(send(world, made, "x", of("g", none)))).toBe("InvalidParameterValue");
    expect(await refused(send(world, made, "x", of("g", { DelaySeconds: 5 })))).toBe(
      "InvalidParameterValue",
    );
    const standard = await queue(world);
    expect(await refused(send(world, standard, "x", {}))).toBe("InvalidParameterValue");
    const make = (QueueName: string, Attributes: Record<string, string>) =>
      world.sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
    expect(await refused(make(unique("plain"), FIFO))).toBe("InvalidParameterValue");
    expect(await refused(make(`${unique("q")}.fifo`, { FifoQueue: "false" }))).toBe(
      "InvalidAttributeValue",
    );
    expect(
      await refused(make(`${unique("q")}.fifo`, { ...FIFO, DeduplicationScope: "queue" })),
    ).toBe("InvalidAttributeValue");
    const { Attributes } = await world.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: made.url, AttributeNames: ["All"] }),
    );
    expect(Attributes).toMatchObject({ FifoQueue: "true", DeduplicationScope: "messageGroup" });
  },

  "the same attempt id gives the same messages, and an old handle deletes nothing": async (
    world,
  ) => {
    const made = await queue(world, { ...FIFO, VisibilityTimeout: "600" });
    await send(world, made, "m", of("g"));
    const asked = { ReceiveRequestAttemptId: "try-1" };
    const [first] = await receive(world, made, asked);
    const [again] = await receive(world, made, asked);
    expect(again?.MessageId).toBe(there(first?.MessageId));
    const back = { Id: "x", ReceiptHandle: there(again?.ReceiptHandle), VisibilityTimeout: 0 };
    await world.sqs.send(
      new ChangeMessageVisibilityBatchCommand({ QueueUrl: made.url, Entries: [back] }),
    );
    const [other] = await receive(world, made);
    expect((await errorOf(remove(world, made, again?.ReceiptHandle))).name).toBe(
      "InvalidParameterValue",
    );
    await remove(world, made, other?.ReceiptHandle);
  },
};

export const batches: Cases = {
  "a batch says of each entry what became of it": async (world) => {
    const made = await queue(world, { MaximumMessageSize: "1024" });
    const sent = await sendAll(world, made, [
      { Id: "good", MessageBody: "good" },
      { Id: "large", MessageBody: "x".repeat(1_025) },
      { Id: "bad", MessageBody: "a\u0000" },
      { Id: "late", MessageBody: "late", DelaySeconds: 900 },
      { Id: "later", MessageBody: "later", DelaySeconds: 901 },
    ]);
    expect(sent.Successful?.map(({ Id }) => Id)).toEqual(["good", "late"]);
    expect(sent.Failed).toEqual([
      expect.objectContaining({ Id: "large", SenderFault: true, Code: "InvalidParameterValue" }),
      expect.objectContaining({ Id: "bad", SenderFault: true, Code: "InvalidMessageContents" }),
      expect.objectContaining({ Id: "later", SenderFault: true, Code: "InvalidParameterValue" }),
    ]);
    const got = await receive(world, made);
    expect(got.map(({ MessageId }) => MessageId)).toEqual([sent.Successful?.[0]?.MessageId]);
  },

  "ten at a time are sent, hidden for longer, and deleted, each for itself": async (world) => {
    const made = await queue(world, { VisibilityTimeout: "600" });
    const Entries = Array.from({ length: 10 }, (_, at) => ({ Id: `e${at}`, MessageBody: `${at}` }));
    expect((await sendAll(world, made, Entries)).Successful).toHaveLength(10);
    const got = await receive(world, made);
    expect(got.map(({ Body }) => Body)).toEqual(Entries.map(({ MessageBody }) => MessageBody));
    const handles = got.map(({ ReceiptHandle, Body }) => ({
      Id: `h${there(Body)}`,
      ReceiptHandle: there(ReceiptHandle),
    }));
    const changed = await world.sqs.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl: made.url,
        Entries: [
          ...handles.slice(0, 2).map((each) => ({ ...each, VisibilityTimeout: 0 })),
          ...handles.slice(2, 4).map((each) => ({ ...each, VisibilityTimeout: 60 })),
          { Id: "none", ReceiptHandle: "no handle", VisibilityTimeout: 60 },
          { ...there(handles[4]), VisibilityTimeout: 43_201 },
        ],
      }),
    );
    expect(changed.Successful).toHaveLength(4);
    expect(changed.Failed).toHaveLength(2);
    expect(changed.Failed).toMatchObject([
      { Id: "h4", Code: "InvalidParameterValue", SenderFault: true },
      { Id: "none", Code: "ReceiptHandleIsInvalid", SenderFault: true },
    ]);
    expect((await receive(world, made)).map(({ Body }) => Body)).toEqual(["0", "1"]);
    const deleted = await world.sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: made.url,
        Entries: [...handles.slice(1), { Id: "none", ReceiptHandle: "no handle" }],
      }),
    );
    expect(deleted.Successful).toHaveLength(9);
    expect(deleted.Failed).toHaveLength(1);
  },

  "a FIFO batch keeps its order and its groups": async (world) => {
    const made = await queue(world, FIFO);
    const sent = await sendAll(
      world,
      made,
      ["a1", "b1", "a2", "b2"].map((body) => ({
        Id: body,
        MessageBody: body,
        MessageGroupId: body[0],
        MessageDeduplicationId: body,
      })),
    );
    expect(sent.Successful).toHaveLength(4);
    const got = (await receive(world, made)).map(({ Body }) => there(Body));
    expect(got.filter((body) => body.startsWith("a"))).toEqual(["a1", "a2"]);
    expect(got.filter((body) => body.startsWith("b"))).toEqual(["b1", "b2"]);
  },

  "a batch that is none is refused as a whole": async (world) => {
    const made = await queue(world);
    const eleven = Array.from({ length: 11 }, (_, at) => entry(`e${at}`));
    const large = Array.from({ length: 2 }, (_, at) => entry(`e${at}`, "x".repeat(600_000)));
    for (const [entries, kind] of [
      [[], EmptyBatchRequest],
      [eleven, TooManyEntriesInBatchRequest],
      [[entry("same"), entry("same")], BatchEntryIdsNotDistinct],
      [[entry("no spaces")], InvalidBatchEntryId],
      [large, BatchRequestTooLong],
      // One that is wrong by itself is as long.
      [
        large.map((one, at) => (at === 0 ? { ...one, DelaySeconds: 9_999 } : one)),
        BatchRequestTooLong,
      ],
    ] as const) {
      expect(await errorOf(sendAll(world, made, [...entries]))).toBeInstanceOf(kind);
    }
    expect(await receive(world, made, { WaitTimeSeconds: 0 })).toEqual([]);
  },
};
