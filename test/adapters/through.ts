/** The doors as the broker's suite sees them: the native client, and the SDK of SQS. */
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  type Message as SqsMessage,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  StartMessageMoveTaskCommand,
} from "@aws-sdk/client-sqs";
import { LACKING_VERBS } from "../../src/adapters/sqs/lacks.ts";
import { type Message, type OutgoingMessage } from "../../src/client/index.ts";
import { unique } from "../conformance/kit.ts";
import {
  brokerSuite,
  type Capabilities,
  type Got,
  type Making,
  type Sending,
  type Through,
} from "./broker-suite.ts";
import { client, type Server, there, worldOf } from "./sqs/kit.ts";

const EVERYTHING: Capabilities = {
  "dead letters": true,
  deduplication: true,
  delay: true,
  filters: true,
  order: true,
  purge: true,
  recall: true,
  redrive: true,
  transactions: true,
};

/** Every door, against one server. */
export function throughEveryDoor(server: () => Server): void {
  brokerSuite("the native client", (making) => nativeDoor(server(), making), EVERYTHING);
  brokerSuite("SQS", (making) => sqsDoor(server(), making), { ...EVERYTHING, ...LACKING_VERBS });
}

const NEVER_MS = 600_000;

const outgoing = ({ delaySeconds, ...rest }: Sending): OutgoingMessage<string> =>
  delaySeconds === undefined ? rest : { ...rest, delayMs: delaySeconds * 1_000 };

async function nativeDoor(server: Server, making: Making): Promise<Through> {
  const { native: mq } = worldOf(server);
  const topic = unique("topic");
  const group = "g";
  await mq.groups.put(topic, group, {
    ordered: making.ordered ?? false,
    ...(making.maxAttempts === undefined ? {} : { maxAttempts: making.maxAttempts }),
    ...(making.invisibleSeconds === undefined
      ? {}
      : { invisibleMs: making.invisibleSeconds * 1_000 }),
  });
  const consumer = mq.consumer<string>(topic, group);
  const held = new Map<string, Message<string>>();
  const holding = (handle: string): Message<string> => there(held.get(handle));
  const check = { timeoutMs: NEVER_MS, intervalMs: NEVER_MS, maxChecks: 1 };
  return {
    async send(...messages) {
      await mq.send(topic, messages.map(outgoing));
    },
    async receive(waitSeconds = 20) {
      const messages = await consumer.receive({ maxMessages: 10, waitMs: waitSeconds * 1_000 });
      return messages.map((message): Got => {
        const { body = "", properties = {}, deliveryAttempt: attempt, receipt } = message.data;
        held.set(receipt, message);
        return { body, properties, attempt, handle: receipt };
      });
    },
    async ack(...handles) {
      await Promise.all(handles.map((handle) => holding(handle).ack()));
    },
    giveBack: (handle) => holding(handle).nack({ delayMs: 0 }),
    async extend(handle, seconds) {
      await holding(handle).extend(seconds * 1_000);
    },
    async purge() {
      await mq.groups.seek(topic, group, "latest");
    },
    async deadLetters() {
      const letters: string[] = [];
      for await (const { body } of mq.groups.deadLetters<string>(topic, group))
        letters.push(body ?? "");
      return letters;
    },
    async redrive() {
      await mq.groups.redrive(topic, group);
    },
    async prepare(body) {
      const half = await mq.transaction(topic, { producerGroup: topic, message: { body }, check });
      return {
        commit: async () => void (await half.commit()),
        rollback: async () => void (await half.rollback()),
      };
    },
    async sendLater(body) {
      const { id } = await mq.send(topic, { body, delayMs: 1_000 });
      return { recall: () => mq.recall(there(id)) };
    },
    async filter(tag) {
      await mq.groups.put(topic, group, { filter: { tags: [tag] } });
    },
  };
}

const none = (verb: keyof typeof LACKING_VERBS) => () =>
  Promise.reject(new Error(LACKING_VERBS[verb]));

const arnOf = (name: string): string => `arn:aws:sqs:eu-central-1:default:${name}`;

async function sqsDoor(
  server: Server,
  { ordered = false, maxAttempts, invisibleSeconds }: Making,
): Promise<Through> {
  const sqs = client(server);
  const suffix = ordered ? ".fifo" : "";
  const fifo = ordered ? { FifoQueue: "true" } : {};
  const make = async (name: string, attributes: Record<string, string>): Promise<string> => {
    const made = new CreateQueueCommand({ QueueName: name, Attributes: attributes });
    return there((await sqs.send(made)).QueueUrl);
  };
  const dead = unique("dead") + suffix;
  const deadUrl = await make(dead, { ...fifo, VisibilityTimeout: "1" });
  const url = await make(unique("queue") + suffix, {
    ...fifo,
    ...(maxAttempts === undefined
      ? {}
      : {
          RedrivePolicy: JSON.stringify({
            deadLetterTargetArn: arnOf(dead),
            maxReceiveCount: maxAttempts,
          }),
        }),
    ...(invisibleSeconds === undefined ? {} : { VisibilityTimeout: String(invisibleSeconds) }),
  });
  const receive = async (QueueUrl: string, waitSeconds: number): Promise<SqsMessage[]> => {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: waitSeconds,
        MessageAttributeNames: ["All"],
        MessageSystemAttributeNames: ["ApproximateReceiveCount"],
      }),
    );
    return Messages;
  };
  const change = (ReceiptHandle: string, VisibilityTimeout: number) =>
    sqs.send(
      new ChangeMessageVisibilityCommand({ QueueUrl: url, ReceiptHandle, VisibilityTimeout }),
    );
  return {
    async send(...messages) {
      const Entries = messages.map((message, at) => ({ Id: `e${at}`, ...entryOf(message) }));
      const { Failed = [] } = await sqs.send(
        new SendMessageBatchCommand({ QueueUrl: url, Entries }),
      );
      if (Failed.length > 0) throw new Error(JSON.stringify(Failed));
    },
    receive: async (waitSeconds = 20) => (await receive(url, waitSeconds)).map(gotOf),
    async ack(...handles) {
      const Entries = handles.map((ReceiptHandle, at) => ({ Id: `e${at}`, ReceiptHandle }));
      await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries }));
    },
    async giveBack(handle) {
      await change(handle, 0);
    },
    async extend(handle, seconds) {
      await change(handle, seconds);
    },
    async purge() {
      await sqs.send(new PurgeQueueCommand({ QueueUrl: url }));
    },
    deadLetters: async () => (await receive(deadUrl, 1)).map(({ Body = "" }) => Body),
    async redrive() {
      await sqs.send(new StartMessageMoveTaskCommand({ SourceArn: arnOf(dead) }));
    },
    prepare: none("transactions"),
    sendLater: none("recall"),
    filter: none("filters"),
  };
}

const entryOf = ({ body, properties = {}, messageGroup, dedupId, delaySeconds }: Sending) => ({
  MessageBody: body,
  MessageGroupId: messageGroup,
  MessageDeduplicationId: dedupId,
  DelaySeconds: delaySeconds,
  MessageAttributes: Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [
      name,
      { DataType: "String", StringValue: value },
    ]),
  ),
});

const gotOf = ({ Body, MessageAttributes = {}, Attributes, ReceiptHandle }: SqsMessage): Got => ({
  body: there(Body),
  properties: Object.fromEntries(
    Object.entries(MessageAttributes).map(([name, { StringValue = "" }]) => [name, StringValue]),
  ),
  attempt: Number(Attributes?.ApproximateReceiveCount),
  handle: there(ReceiptHandle),
});
