/** The package `sqs-consumer`, unmodified, at work on queues of HalfMQ. */
import { type Message, SendMessageBatchCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { Consumer, type ConsumerOptions } from "sqs-consumer";
import { expect, onTestFinished } from "vitest";
import { sorted, until } from "../../conformance/kit.ts";
import { type Cases, type Made, queue, receive, there, type World } from "./kit.ts";

/** A consumer that waits little between its polls, and is stopped with the test. */
function consumer(
  { sqs }: World,
  { url }: Made,
  more: Omit<ConsumerOptions, "queueUrl" | "sqs">,
): Consumer {
  const made = Consumer.create({
    queueUrl: url,
    sqs,
    waitTimeSeconds: 1,
    suppressFifoWarning: true,
    ...more,
  });
  // A wait that is broken off at the end is told as an error.
  made.on("error", () => undefined);
  onTestFinished(() => made.stop({ abort: true }));
  return made;
}

const counts = async ({ native }: World, { name }: Made) => {
  const { groups } = await native.topics.stats(name);
  return there(groups.find(({ group }) => group === "sqs"));
};

const isDone = (world: World, made: Made) =>
  until("everything is deleted", async () => (await counts(world, made)).lag === 0);

const send = ({ sqs }: World, { url }: Made, MessageBody: string) =>
  sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody }));

export const consumers: Cases = {
  "each message is handled once and deleted": async (world) => {
    const made = await queue(world);
    const Entries = Array.from({ length: 10 }, (_, at) => ({ Id: `e${at}`, MessageBody: `${at}` }));
    await world.sqs.send(new SendMessageBatchCommand({ QueueUrl: made.url, Entries }));
    const seen: string[] = [];
    const working = consumer(world, made, {
      batchSize: 5,
      handleMessage: async (message: Message) => {
        seen.push(there(message.Body));
        return message;
      },
    });
    working.start();
    await isDone(world, made);
    expect(sorted(seen)).toEqual(sorted(Entries.map(({ MessageBody }) => MessageBody)));
  },

  "a batch handler acknowledges what it returns, and the rest comes again": async (world) => {
    const made = await queue(world, { VisibilityTimeout: "1" });
    for (const body of ["keep", "done"]) await send(world, made, body);
    const seen: string[] = [];
    const working = consumer(world, made, {
      batchSize: 10,
      handleMessageBatch: async (messages: Message[]) => {
        seen.push(...messages.map(({ Body }) => there(Body)));
        const isSecond = seen.filter((body) => body === "keep").length > 1;
        return messages.filter(({ Body }) => isSecond || Body === "done");
      },
    });
    working.start();
    await isDone(world, made);
    expect(seen.filter((body) => body === "done")).toHaveLength(1);
    expect(seen.filter((body) => body === "keep")).toHaveLength(2);
  },

  "a handler that fails gives its message back at once, and at last to the dead letter queue":
    async (world) => {
      const dead = await queue(world);
      const made = await queue(world, {
        VisibilityTimeout: "600",
        RedrivePolicy: JSON.stringify({
          deadLetterTargetArn: `arn:aws:sqs:eu-central-1:default:${dead.name}`,
          maxReceiveCount: 3,
        }),
      });
      await send(world, made, "poison");
      const errors: string[] = [];
      const attempts: (string | undefined)[] = [];
      const working = consumer(world, made, {
        terminateVisibilityTimeout: true,
        messageSystemAttributeNames: ["ApproximateReceiveCount"],
        handleMessage: (message: Message) => {
          attempts.push(message.Attributes?.ApproximateReceiveCount);
          return Promise.reject(new Error("not today"));
        },
      });
      working.on("processing_error", (error) => errors.push(error.message));
      working.start();
      const [letter] = await receive(world, dead, { WaitTimeSeconds: 20 });
      expect(letter?.Body).toBe("poison");
      expect(attempts).toEqual(["1", "2", "3"]);
      expect(errors).toHaveLength(3);
    },

  "a heartbeat keeps a message that takes longer than its timeout": async (world) => {
    const made = await queue(world);
    await send(world, made, "slow");
    let handled = 0;
    const over = Promise.withResolvers<void>();
    const working = consumer(world, made, {
      visibilityTimeout: 4,
      heartbeatInterval: 1,
      handleMessage: async (message: Message) => {
        handled++;
        await over.promise;
        return message;
      },
    });
    working.start();
    await until("it is in flight", async () => (await counts(world, made)).inFlight === 1);
    // Another consumer waits for longer than the timeout, and gets nothing.
    expect(await receive(world, made, { WaitTimeSeconds: 6 })).toEqual([]);
    over.resolve();
    await isDone(world, made);
    expect(handled).toBe(1);
  },

  "a consumer that is stopped in its wait leaves the next message to others": async (world) => {
    const made = await queue(world);
    const working = consumer(world, made, {
      waitTimeSeconds: 20,
      handleMessage: (message: Message) => Promise.resolve(message),
    });
    const stopped = new Promise((resolve) => {
      working.on("stopped", () => resolve(undefined));
    });
    working.start();
    await until("it polls", () => working.status.isPolling);
    working.stop({ abort: true });
    await stopped;
    await send(world, made, "for another");
    const [message] = await receive(world, made, { WaitTimeSeconds: 20 });
    expect(message?.Body).toBe("for another");
  },
};
