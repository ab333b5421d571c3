/** Standard queues through the SDK: made, sent to, received from, and what their attributes and tags say. */
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  InvalidAttributeName,
  InvalidAttributeValue,
  InvalidMessageContents,
  ListQueuesCommand,
  ListQueueTagsCommand,
  MessageNotInflight,
  PurgeQueueCommand,
  QueueDoesNotExist,
  QueueNameExists,
  ReceiptHandleIsInvalid,
  SendMessageCommand,
  SetQueueAttributesCommand,
  TagQueueCommand,
  UnsupportedOperation,
  UntagQueueCommand,
  AddPermissionCommand,
} from "@aws-sdk/client-sqs";
import { expect } from "vitest";
import { unique, until } from "../../conformance/kit.ts";
import { type Cases, errorOf, type Made, queue, receive, there, type World } from "./kit.ts";

const send = ({ sqs }: World, { url }: Made, body: string, more: object = {}) =>
  sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: body, ...more }));

const attributes = async ({ sqs }: World, { url }: Made, ...names: string[]) =>
  (
    await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: names as ["All"] }),
    )
  ).Attributes ?? {};

export const standard: Cases = {
  "a message that was sent is received with its text and deleted for good": async (world) => {
    const made = await queue(world);
    const body = 'texts of any kind: "quotes", ünïcödé 🎈,\nlines and {"json": 1}';
    const sent = await send(world, made, body);
    const [message, ...others] = await receive(world, made);
    expect(others).toEqual([]);
    expect(message).toMatchObject({ Body: body, MessageId: sent.MessageId });
    const handle = there(there(message).ReceiptHandle);
    const remove = new DeleteMessageCommand({ QueueUrl: made.url, ReceiptHandle: handle });
    await world.sqs.send(remove);
    await world.sqs.send(remove);
    await until("the queue is empty", async () => {
      const counts = await attributes(world, made, "All");
      return (
        counts["ApproximateNumberOfMessages"] === "0" &&
        counts["ApproximateNumberOfMessagesNotVisible"] === "0"
      );
    });
  },

  "a queue is found by its name, and one that nobody made is the error that programs catch": async (
    world,
  ) => {
    const made = await queue(world);
    const found = await world.sqs.send(new GetQueueUrlCommand({ QueueName: made.name }));
    expect(found.QueueUrl).toBe(made.url);
    expect(made.url).toBe(`${world.server.url}/default/${made.name}`);
    const name = unique("nothing");
    for (const command of [
      new GetQueueUrlCommand({ QueueName: name }),
      new SendMessageCommand({ QueueUrl: made.url + name, MessageBody: "x" }),
    ]) {
      const error = await errorOf(world.sqs.send(command as GetQueueUrlCommand));
      expect(error).toBeInstanceOf(QueueDoesNotExist);
      expect(error.Code).toBe("AWS.SimpleQueueService.NonExistentQueue");
    }
  },

  "making a queue again is no change, unless something differs": async (world) => {
    const made = await queue(world, { VisibilityTimeout: "7" });
    const again = (timeout?: string) =>
      world.sqs.send(
        new CreateQueueCommand({
          QueueName: made.name,
          ...(timeout === undefined ? {} : { Attributes: { VisibilityTimeout: timeout } }),
        }),
      );
    expect((await again("7")).QueueUrl).toBe(made.url);
    expect((await again()).QueueUrl).toBe(made.url);
    expect(await errorOf(again("8"))).toBeInstanceOf(QueueNameExists);
    const bad = new CreateQueueCommand({ QueueName: "no spaces" });
    expect((await errorOf(world.sqs.send(bad))).name).toBe("InvalidParameterValue");
  },

  "attributes are shown as they were set, and wrong ones are refused by name": async (world) => {
    const made = await queue(world, {
      DelaySeconds: "3",
      MaximumMessageSize: "2048",
      MessageRetentionPeriod: "600",
      ReceiveMessageWaitTimeSeconds: "2",
      VisibilityTimeout: "11",
    });
    const shown = await attributes(world, made, "All");
    expect(shown).toMatchObject({
      DelaySeconds: "3",
      MaximumMessageSize: "2048",
      MessageRetentionPeriod: "600",
      ReceiveMessageWaitTimeSeconds: "2",
      VisibilityTimeout: "11",
      QueueArn: `arn:aws:sqs:eu-central-1:default:${made.name}`,
      ApproximateNumberOfMessages: "0",
    });
    expect(shown).not.toHaveProperty("FifoQueue");
    const set = (Attributes: Record<string, string>) =>
      world.sqs.send(new SetQueueAttributesCommand({ QueueUrl: made.url, Attributes }));
    await set({ DelaySeconds: "0", VisibilityTimeout: "0" });
    expect(await attributes(world, made, "VisibilityTimeout", "DelaySeconds")).toEqual({
      DelaySeconds: "0",
      VisibilityTimeout: "0",
    });
    expect(await errorOf(set({ VisibilityTimeout: "43201" }))).toBeInstanceOf(
      InvalidAttributeValue,
    );
    expect(await errorOf(set({ Colour: "red" }))).toBeInstanceOf(InvalidAttributeName);
    expect(await errorOf(set({ ContentBasedDeduplication: "true" }))).toBeInstanceOf(
      InvalidAttributeName,
    );
    expect(await errorOf(set({ Policy: "{}" }))).toBeInstanceOf(UnsupportedOperation);
    await send(world, made, "x".repeat(2_048));
    expect((await errorOf(send(world, made, "x".repeat(2_049)))).message).toContain("2048 bytes");
  },

  "what has no verb here says so, and why": async (world) => {
    const made = await queue(world);
    const error = await errorOf(
      world.sqs.send(
        new AddPermissionCommand({
          QueueUrl: made.url,
          Label: "l",
          AWSAccountIds: ["1"],
          Actions: ["SendMessage"],
        }),
      ),
    );
    expect(error).toBeInstanceOf(UnsupportedOperation);
    expect(error.message).toContain("HalfMQ keys");
  },

  "attributes may have names that every object has": async (world) => {
    const made = await queue(world);
    const MessageAttributes = {
      constructor: { DataType: "String", StringValue: "a" },
      toString: { DataType: "Number", StringValue: "1" },
      valueOf: { DataType: "Binary", BinaryValue: Uint8Array.of(1, 2) },
    };
    await world.sqs.send(
      new SendMessageCommand({ QueueUrl: made.url, MessageBody: "x", MessageAttributes }),
    );
    const [message] = await receive(world, made, { MessageAttributeNames: ["All"] });
    expect(Object.entries(there(message?.MessageAttributes))).toEqual(
      Object.entries(MessageAttributes),
    );
    for (const name of ["toString", "constructor"]) {
      const AttributeNames = [name as "All"];
      const get = new GetQueueAttributesCommand({ QueueUrl: made.url, AttributeNames });
      expect((await errorOf(world.sqs.send(get))).name).toBe("InvalidAttributeName");
      const Attributes = Object.fromEntries([[name, "1"]]);
      const set = new SetQueueAttributesCommand({ QueueUrl: made.url, Attributes });
      expect((await errorOf(world.sqs.send(set))).name).toBe("InvalidAttributeName");
    }
  },

  "message attributes keep their types, and come when they are asked for": async (world) => {
    const made = await queue(world);
    const MessageAttributes = {
      city: { DataType: "String", StringValue: "Köln" },
      "count.exact": { DataType: "Number", StringValue: "12345678901234567890" },
      "count.kind": { DataType: "Number.int", StringValue: "-7" },
      raw: { DataType: "Binary.gif", BinaryValue: Uint8Array.of(0, 255, 3) },
    };
    const sent = await send(world, made, "with attributes", { MessageAttributes });
    // Of these four, by AWS's algorithm, computed apart from this code.
    expect(sent.MD5OfMessageAttributes).toBe("8771458b99d68a2331e7e2c42ee6933e");
    const hidden = { VisibilityTimeout: 0 };
    const [none] = await receive(world, made, hidden);
    expect(none?.MessageAttributes).toBeUndefined();
    const [some] = await receive(world, made, { ...hidden, MessageAttributeNames: ["count.*"] });
    expect(Object.keys(some?.MessageAttributes ?? {}).toSorted()).toEqual([
      "count.exact",
      "count.kind",
    ]);
    const [all] = await receive(world, made, { MessageAttributeNames: ["All"] });
    expect(all?.MessageAttributes).toEqual(MessageAttributes);
    expect(all?.MD5OfMessageAttributes).toBe(sent.MD5OfMessageAttributes);
    for (const wrong of [
      { "AWS.x": { DataType: "String", StringValue: "x" } },
      { x: { DataType: "Text", StringValue: "x" } },
      { x: { DataType: "Number", StringValue: "twelve" } },
      { x: { DataType: "String", StringValue: "" } },
    ]) {
      const error = await errorOf(send(world, made, "x", { MessageAttributes: wrong }));
      expect(error.name).toBe("InvalidParameterValue");
    }
  },

  "system attributes say how often and when": async (world) => {
    const made = await queue(world);
    const before = Date.now();
    await send(world, made, "counted", {
      MessageGroupId: "tenant-1",
      MessageSystemAttributes: {
        AWSTraceHeader: { DataType: "String", StringValue: "Root=1-5759e988" },
      },
    });
    const asked = { MessageSystemAttributeNames: ["All" as const], VisibilityTimeout: 0 };
    const [first] = await receive(world, made, asked);
    expect(first?.Attributes).toMatchObject({
      ApproximateReceiveCount: "1",
      AWSTraceHeader: "Root=1-5759e988",
      MessageGroupId: "tenant-1",
    });
    expect(Number(first?.Attributes?.SentTimestamp)).toBeGreaterThan(before - 60_000);
    const [second] = await receive(world, made, asked);
    expect(second?.Attributes?.ApproximateReceiveCount).toBe("2");
    expect(
      await errorOf(receive(world, made, { AttributeNames: ["Nothing" as "All"] })),
    ).toBeInstanceOf(InvalidAttributeName);
  },

  "an empty receive answers at once, or after its wait, and a wait ends with a message": async (
    world,
  ) => {
    const made = await queue(world);
    expect(await receive(world, made, { WaitTimeSeconds: 0 })).toEqual([]);
    const waiting = receive(world, made, { WaitTimeSeconds: 20 });
    await send(world, made, "at last");
    expect((await waiting).map(({ Body }) => Body)).toEqual(["at last"]);
  },

  "a delayed message comes after its delay, the queue's or its own": async (world) => {
    const made = await queue(world, { DelaySeconds: "900" });
    await send(world, made, "later");
    await send(world, made, "now", { DelaySeconds: 0 });
    expect((await receive(world, made)).map(({ Body }) => Body)).toEqual(["now"]);
    await until("one is counted as delayed", async () => {
      const counts = await attributes(world, made, "ApproximateNumberOfMessagesDelayed");
      return counts["ApproximateNumberOfMessagesDelayed"] === "1";
    });
    const error = await errorOf(send(world, made, "never", { DelaySeconds: 901 }));
    expect(error.name).toBe("InvalidParameterValue");
  },

  "a visibility of 0 gives a message back, a longer one keeps it": async (world) => {
    const made = await queue(world, { VisibilityTimeout: "1" });
    await send(world, made, "mine");
    const [mine] = await receive(world, made);
    const change = (VisibilityTimeout: number, handle = there(mine?.ReceiptHandle)) =>
      world.sqs.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: made.url,
          ReceiptHandle: handle,
          VisibilityTimeout,
        }),
      );
    await change(600);
    expect(await receive(world, made, { WaitTimeSeconds: 2 })).toEqual([]);
    await change(0);
    const [again] = await receive(world, made);
    expect(again?.Body).toBe("mine");
    expect(await errorOf(change(60))).toBeInstanceOf(MessageNotInflight);
    expect(await errorOf(change(60, "no handle"))).toBeInstanceOf(ReceiptHandleIsInvalid);
  },

  "what SQS takes for no text is refused, and the largest text is taken": async (world) => {
    const made = await queue(world);
    expect(await errorOf(send(world, made, "a\u0000b"))).toBeInstanceOf(InvalidMessageContents);
    expect((await errorOf(send(world, made, ""))).name).toBe("MissingParameter");
    // Twice as long as a JSON string, which is more than an inline body may be.
    const largest = '"'.repeat(1_048_576);
    await send(world, made, largest);
    const [message] = await receive(world, made);
    expect(message?.Body === largest).toBe(true);
    const error = await errorOf(send(world, made, `${largest}x`));
    expect(error.name).toBe("InvalidParameterValue");
  },

  "a purge leaves nothing to receive": async (world) => {
    const made = await queue(world);
    for (const body of ["a", "b", "c"]) await send(world, made, body);
    await receive(world, made, { MaxNumberOfMessages: 1 });
    await world.sqs.send(new PurgeQueueCommand({ QueueUrl: made.url }));
    expect(await receive(world, made, { WaitTimeSeconds: 0 })).toEqual([]);
    await send(world, made, "after");
    expect((await receive(world, made)).map(({ Body }) => Body)).toEqual(["after"]);
  },

  "queues are listed by prefix, page by page": async (world) => {
    const stem = unique("listed");
    const urls: string[] = [];
    for (let count = 0; count < 3; count++) urls.push((await queue(world, {}, stem)).url);
    const all = await world.sqs.send(new ListQueuesCommand({ QueueNamePrefix: stem }));
    expect(all.QueueUrls).toEqual(urls);
    const paged: string[] = [];
    let NextToken: string | undefined;
    do {
      const page: { QueueUrls?: string[] | undefined; NextToken?: string | undefined } =
        await world.sqs.send(
          new ListQueuesCommand({ QueueNamePrefix: stem, MaxResults: 2, NextToken }),
        );
      paged.push(...(page.QueueUrls ?? []));
      ({ NextToken } = page);
    } while (NextToken !== undefined);
    expect(paged).toEqual(urls);
  },

  "tags are the topic's labels, and come and go one by one": async (world) => {
    const made = await queue(world);
    const tag = (Tags: Record<string, string>) =>
      world.sqs.send(new TagQueueCommand({ QueueUrl: made.url, Tags }));
    await tag({ team: "shop", "cost centre": "" });
    await tag({ stage: "test" });
    await world.sqs.send(new UntagQueueCommand({ QueueUrl: made.url, TagKeys: ["team"] }));
    const { Tags } = await world.sqs.send(new ListQueueTagsCommand({ QueueUrl: made.url }));
    expect(Tags).toEqual({ "cost centre": "", stage: "test" });
    const topic = await world.native.topics.get(made.name);
    expect(topic.labels).toMatchObject({ stage: "test" });
    expect((await errorOf(tag({ "sqs:own": "x" }))).name).toBe("InvalidParameterValue");
  },

  "a deleted queue is gone, with what was in it, and can be made anew": async (world) => {
    const made = await queue(world);
    await send(world, made, "lost", { DelaySeconds: 600 });
    await world.sqs.send(new DeleteQueueCommand({ QueueUrl: made.url }));
    expect(await errorOf(send(world, made, "x"))).toBeInstanceOf(QueueDoesNotExist);
    await world.sqs.send(new CreateQueueCommand({ QueueName: made.name }));
    await send(world, made, "new");
    expect((await receive(world, made)).map(({ Body }) => Body)).toEqual(["new"]);
  },
};
