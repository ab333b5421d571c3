/** The SQS door and the native one in front of the same topics: what goes in through one comes out through the other. */
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  QueueDoesNotExist,
  SendMessageCommand,
  GetQueueUrlCommand,
} from "@aws-sdk/client-sqs";
import { expect } from "vitest";
import { unique } from "../../conformance/kit.ts";
import { type Cases, errorOf, queue, receive } from "./kit.ts";

export const native: Cases = {
  "what SQS programs send, native groups receive, with attributes as properties": async (world) => {
    const made = await queue(world);
    await world.sqs.send(
      new SendMessageCommand({
        QueueUrl: made.url,
        MessageBody: "over there",
        MessageAttributes: { kind: { DataType: "Number", StringValue: "7" } },
      }),
    );
    const consumer = world.native.consumer(made.name, "other");
    const [message] = await consumer.receive({ waitMs: 20_000 });
    expect(message?.body).toBe("over there");
    expect(message?.properties).toMatchObject({ kind: "7" });
  },

  "what native programs send, SQS programs receive: texts as texts, JSON as its text": async (
    world,
  ) => {
    const made = await queue(world);
    await world.native.send<unknown>(made.name, [
      { body: "a text", properties: { tenant: "t1" } },
      { body: { order: 7 } },
    ]);
    const got = await receive(world, made, { MessageAttributeNames: ["All"] });
    expect(got.map(({ Body }) => Body)).toEqual(["a text", '{"order":7}']);
    expect(got[0]?.MessageAttributes).toEqual({
      tenant: { DataType: "String", StringValue: "t1" },
    });
  },

  "a transaction's message reaches an SQS program when it is committed, and not before": async (
    world,
  ) => {
    const made = await queue(world);
    const transaction = await world.native.transaction(made.name, {
      producerGroup: "shop",
      message: { body: "paid" },
    });
    expect(await receive(world, made, { WaitTimeSeconds: 0 })).toEqual([]);
    await transaction.commit();
    expect((await receive(world, made)).map(({ Body }) => Body)).toEqual(["paid"]);
  },

  "a topic becomes a queue when SQS makes one of its name, and stays a topic when that is deleted":
    async (world) => {
      const name = unique("shared");
      await world.native.topics.put(name, { retentionMs: 86_400_000, labels: { owner: "shop" } });
      await world.native.groups.put(name, "billing", {});
      const find = new GetQueueUrlCommand({ QueueName: name });
      expect(await errorOf(world.sqs.send(find))).toBeInstanceOf(QueueDoesNotExist);
      const { QueueUrl } = await world.sqs.send(new CreateQueueCommand({ QueueName: name }));
      expect((await world.native.topics.get(name)).retentionMs).toBe(86_400_000);
      await world.sqs.send(new DeleteQueueCommand({ QueueUrl }));
      expect(await errorOf(world.sqs.send(find))).toBeInstanceOf(QueueDoesNotExist);
      const topic = await world.native.topics.get(name);
      expect(topic.labels).toEqual({ owner: "shop" });
      expect(await world.native.groups.get(name, "billing")).toMatchObject({ group: "billing" });
    },
};
