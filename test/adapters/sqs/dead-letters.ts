/** Redrive policies, dead letter queues and move tasks through the SDK. */
import {
  CancelMessageMoveTaskCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ListDeadLetterSourceQueuesCommand,
  ListMessageMoveTasksCommand,
  PurgeQueueCommand,
  ResourceNotFoundException,
  SendMessageCommand,
  SetQueueAttributesCommand,
  StartMessageMoveTaskCommand,
} from "@aws-sdk/client-sqs";
import { expect } from "vitest";
import { sorted, unique, until } from "../../conformance/kit.ts";
import { type Cases, errorOf, type Made, queue, receive, there, type World } from "./kit.ts";

const arnOf = ({ name }: Made): string => `arn:aws:sqs:eu-central-1:default:${name}`;
const policy = (target: Made, maxReceiveCount: number | string = 1) => ({
  RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arnOf(target), maxReceiveCount }),
});

const set = ({ sqs }: World, { url }: Made, Attributes: Record<string, string>) =>
  sqs.send(new SetQueueAttributesCommand({ QueueUrl: url, Attributes }));

const shown = async ({ sqs }: World, { url }: Made): Promise<Record<string, string>> =>
  (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] })))
    .Attributes ?? {};

const send = ({ sqs }: World, { url }: Made, body: string, more: object = {}) =>
  sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: body, ...more }));

const all = { MessageSystemAttributeNames: ["All" as const], MessageAttributeNames: ["All"] };

/** Receives whatever is there, and gives it back at once. */
async function fail(world: World, made: Made, count: number): Promise<void> {
  for (let left = count; left > 0;) {
    const messages = await receive(world, made);
    for (const { ReceiptHandle } of messages)
      await world.sqs.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: made.url,
          ReceiptHandle,
          VisibilityTimeout: 0,
        }),
      );
    left -= messages.length;
  }
}

/** A queue whose messages die when they were received once, and where they go. */
async function pair(world: World, attributes: Record<string, string> = {}) {
  const dead = await queue(world, attributes, "dead");
  const source = await queue(world, { ...attributes, ...policy(dead) }, "source");
  return { dead, source };
}

const tasks = async ({ sqs }: World, dead: Made) =>
  (await sqs.send(new ListMessageMoveTasksCommand({ SourceArn: arnOf(dead), MaxResults: 10 })))
    .Results ?? [];

const taskBecomes = (world: World, dead: Made, status: string) =>
  until(`the task is ${status}`, async () => {
    const [newest] = await tasks(world, dead);
    return newest?.Status === status && newest;
  });

const start = ({ sqs }: World, dead: Made, more: object = {}) =>
  sqs.send(new StartMessageMoveTaskCommand({ SourceArn: arnOf(dead), ...more }));

export const deadLetters: Cases = {
  "what was received too often is in the dead letter queue, with where it comes from": async (
    world,
  ) => {
    const { dead, source } = await pair(world);
    const MessageAttributes = { kind: { DataType: "Number", StringValue: "7" } };
    const sent = await send(world, source, "poison", { MessageAttributes });
    await send(world, source, "good");
    await fail(world, source, 2);
    const got = await receive(world, dead, all);
    expect(sorted(got.map(({ Body }) => Body))).toEqual(sorted(["poison", "good"]));
    const poison = there(got.find(({ Body }) => Body === "poison"));
    expect(poison).toMatchObject({ MessageId: sent.MessageId, MessageAttributes });
    expect(poison.Attributes?.DeadLetterQueueSourceArn).toBe(arnOf(source));
    expect(await receive(world, source, { WaitTimeSeconds: 0 })).toEqual([]);
    expect((await world.native.topics.stats(source.name)).groups[0]?.deadLetters).toBe(0);
    for (const { ReceiptHandle } of got)
      await world.sqs.send(new DeleteMessageCommand({ QueueUrl: dead.url, ReceiptHandle }));
    await until("the dead letter queue is empty", async () => {
      const { ApproximateNumberOfMessages: visible, ApproximateNumberOfMessagesNotVisible: held } =
        await shown(world, dead);
      return visible === "0" && held === "0";
    });
  },

  "whoever waits at a dead letter queue gets what dies meanwhile": async (world) => {
    const { dead, source } = await pair(world);
    const waiting = receive(world, dead, { WaitTimeSeconds: 20 });
    await send(world, source, "late");
    await fail(world, source, 1);
    expect((await waiting).map(({ Body }) => Body)).toEqual(["late"]);
  },

  "the same message may die twice, and is there twice": async (world) => {
    const { dead, source } = await pair(world);
    await send(world, source, "again");
    await fail(world, source, 1);
    // Put back natively before anybody fetched it: the same id, another death.
    await world.native.groups.redrive(source.name, "sqs");
    await fail(world, source, 1);
    expect(await receive(world, dead)).toHaveLength(1);
    await send(world, source, "other");
    await fail(world, source, 1);
    expect((await receive(world, dead)).map(({ Body }) => Body)).toEqual(["other"]);
  },

  "a policy is shown, taken away, and refused when its target is none": async (world) => {
    const { dead, source } = await pair(world);
    const policyNow = async () => (await shown(world, source))["RedrivePolicy"];
    expect(JSON.parse(there(await policyNow()))).toEqual({
      deadLetterTargetArn: arnOf(dead),
      maxReceiveCount: 1,
    });
    const sources = async () => {
      const list = new ListDeadLetterSourceQueuesCommand({ QueueUrl: dead.url });
      return (await world.sqs.send(list)).queueUrls ?? [];
    };
    expect(await sources()).toEqual([source.url]);
    await set(world, source, { RedrivePolicy: "" });
    expect(await policyNow()).toBeUndefined();
    expect(await sources()).toEqual([]);
    const fifo = await queue(world, { FifoQueue: "true" });
    for (const wrong of [
      policy({ name: unique("nothing"), url: "" }),
      policy(dead, 0),
      policy(dead, "many"),
      policy(fifo),
      policy(source),
      { RedrivePolicy: "{" },
    ]) {
      expect((await errorOf(set(world, source, wrong))).name).toBe("InvalidParameterValue");
    }
    await set(world, source, policy(dead, "5"));
    expect(await policyNow()).toContain('"maxReceiveCount":5');
    const same = new CreateQueueCommand({
      QueueName: source.name,
      Attributes: policy(dead, "5"),
    });
    expect((await world.sqs.send(same)).QueueUrl).toBe(source.url);
  },

  "a dead letter queue says whose letters it takes": async (world) => {
    const dead = await queue(world);
    const source = await queue(world);
    await set(world, dead, {
      RedriveAllowPolicy: JSON.stringify({ redrivePermission: "denyAll" }),
    });
    expect((await errorOf(set(world, source, policy(dead)))).name).toBe("InvalidParameterValue");
    await set(world, dead, {
      RedriveAllowPolicy: JSON.stringify({
        redrivePermission: "byQueue",
        sourceQueueArns: [arnOf(source)],
      }),
    });
    await set(world, source, policy(dead));
    expect((await shown(world, dead))["RedriveAllowPolicy"]).toContain(source.name);
  },

  "dead letters outlive the queue that they died in, and a target that is made anew knows its sources":
    async (world) => {
      const { dead, source } = await pair(world);
      await send(world, source, "orphan");
      await fail(world, source, 1);
      await world.sqs.send(new DeleteQueueCommand({ QueueUrl: source.url }));
      expect((await receive(world, dead)).map(({ Body }) => Body)).toEqual(["orphan"]);
      const other = await pair(world);
      await world.sqs.send(new DeleteQueueCommand({ QueueUrl: other.dead.url }));
      await send(world, other.source, "kept");
      await fail(world, other.source, 1);
      await world.sqs.send(new CreateQueueCommand({ QueueName: other.dead.name }));
      expect((await receive(world, other.dead)).map(({ Body }) => Body)).toEqual(["kept"]);
    },

  "a purge of a dead letter queue leaves nothing of its sources' letters": async (world) => {
    const { dead, source } = await pair(world);
    await send(world, source, "gone");
    await fail(world, source, 1);
    await world.sqs.send(new PurgeQueueCommand({ QueueUrl: dead.url }));
    expect(await receive(world, dead, { WaitTimeSeconds: 0 })).toEqual([]);
  },

  "FIFO letters keep group and order": async (world) => {
    const { dead, source } = await pair(world, { FifoQueue: "true" });
    for (const body of ["a1", "a2"])
      await send(world, source, body, { MessageGroupId: "a", MessageDeduplicationId: body });
    await fail(world, source, 2);
    const got = await receive(world, dead, all);
    expect(got.map(({ Body, Attributes }) => [Body, Attributes?.MessageGroupId])).toEqual([
      ["a1", "a"],
      ["a2", "a"],
    ]);
    expect(got[0]?.Attributes?.MessageDeduplicationId).toBe("a1");
  },
};

export const moveTasks: Cases = {
  "a move task brings everything back to where it died, and says so": async (world) => {
    const { dead, source } = await pair(world);
    const second = await queue(world, policy(dead));
    await send(world, source, "one");
    await send(world, second, "two");
    await fail(world, source, 1);
    await fail(world, second, 1);
    const { TaskHandle } = await start(world, dead);
    expect(there(TaskHandle).length).toBeGreaterThan(10);
    expect(await taskBecomes(world, dead, "COMPLETED")).toMatchObject({
      SourceArn: arnOf(dead),
      ApproximateNumberOfMessagesMoved: 2,
      ApproximateNumberOfMessagesToMove: 2,
    });
    expect((await receive(world, source)).map(({ Body }) => Body)).toEqual(["one"]);
    const [two] = await receive(world, second, all);
    expect(two?.Body).toBe("two");
    expect(two?.Attributes).not.toHaveProperty("DeadLetterQueueSourceArn");
  },

  "a move task with a destination and a rate": async (world) => {
    const { dead, source } = await pair(world);
    const other = await queue(world);
    for (const body of ["1", "2", "3"]) await send(world, source, body);
    await fail(world, source, 3);
    await start(world, dead, {
      DestinationArn: arnOf(other),
      MaxNumberOfMessagesPerSecond: 2,
    });
    const task = await taskBecomes(world, dead, "COMPLETED");
    expect(task).toMatchObject({
      DestinationArn: arnOf(other),
      MaxNumberOfMessagesPerSecond: 2,
      ApproximateNumberOfMessagesMoved: 3,
    });
    const got = await receive(world, other);
    expect(sorted(got.map(({ Body }) => Body))).toEqual(sorted(["1", "2", "3"]));
  },

  "a move task is cancelled, one at a time runs, and what it cannot place stays": async (world) => {
    const { dead, source } = await pair(world);
    for (let count = 0; count < 8; count++) await send(world, source, String(count));
    await fail(world, source, 8);
    const { TaskHandle } = await start(world, dead, { MaxNumberOfMessagesPerSecond: 1 });
    expect((await errorOf(start(world, dead))).name).toBe("InvalidParameterValue");
    const cancel = new CancelMessageMoveTaskCommand({ TaskHandle });
    await world.sqs.send(cancel);
    await taskBecomes(world, dead, "CANCELLED");
    expect((await errorOf(world.sqs.send(cancel))).name).toBe("UnsupportedOperation");
    const unknown = new CancelMessageMoveTaskCommand({ TaskHandle: "bm90aGluZw==" });
    expect(await errorOf(world.sqs.send(unknown))).toBeInstanceOf(ResourceNotFoundException);
    // Sent here by a program, not dead: nobody knows where it belongs.
    await world.sqs.send(new PurgeQueueCommand({ QueueUrl: dead.url }));
    await send(world, dead, "not dead");
    await start(world, dead);
    const failed = await taskBecomes(world, dead, "FAILED");
    expect(failed.FailureReason).toBe("CouldNotDetermineMessageSource");
    expect((await receive(world, dead)).map(({ Body }) => Body)).toEqual(["not dead"]);
  },

  "of several, those that can be placed are, and the others are there for whoever asks next":
    async (world) => {
      const { dead, source } = await pair(world);
      await send(world, source, "dead");
      await fail(world, source, 1);
      // A receive would hide it; a count brings it here, and leaves it in front of the other.
      await until("the dead letter is here", async () => {
        const { ApproximateNumberOfMessages: visible } = await shown(world, dead);
        return visible === "1";
      });
      await send(world, dead, "not dead");
      await start(world, dead);
      await taskBecomes(world, dead, "FAILED");
      expect((await receive(world, source)).map(({ Body }) => Body)).toEqual(["dead"]);
      expect((await receive(world, dead)).map(({ Body }) => Body)).toEqual(["not dead"]);
    },

  "what is no dead letter queue has nothing to move": async (world) => {
    const plain = await queue(world);
    expect((await errorOf(start(world, plain))).name).toBe("InvalidParameterValue");
    const nothing = { name: unique("nothing"), url: "" };
    expect(await errorOf(start(world, nothing))).toBeInstanceOf(ResourceNotFoundException);
    const { dead } = await pair(world);
    const to = { DestinationArn: arnOf(nothing) };
    expect(await errorOf(start(world, dead, to))).toBeInstanceOf(ResourceNotFoundException);
  },
};
