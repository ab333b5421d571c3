/** The broker as SQS shows it to the unmodified `@aws-sdk/client-sqs`. */
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  type Message as SqsMessage,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
  StartMessageMoveTaskCommand,
} from "@aws-sdk/client-sqs";
import { LACKING_VERBS } from "../../../src/adapters/sqs/lacks.ts";
import { LIMITS } from "../../../src/client/index.ts";
import { there, unique } from "../../conformance/kit.ts";
import { client } from "../sqs/kit.ts";
import { credentialsOf, type Server } from "./server.ts";
import {
  broken,
  type Got,
  lacks,
  type Making,
  type Sending,
  type Stranger,
  type Through,
  type Who,
} from "./through.ts";

const arnOf = (name: string): string => `arn:aws:sqs:eu-central-1:default:${name}`;

export async function sqs(server: Server, making: Making): Promise<Through> {
  const { ordered = false, maxAttempts, invisibleSeconds } = making;
  const sdk = client(server);
  const suffix = ordered ? ".fifo" : "";
  const fifo = ordered ? { FifoQueue: "true" } : {};
  const make = async (QueueName: string, Attributes: Record<string, string>): Promise<string> => {
    const made = await sdk.send(new CreateQueueCommand({ QueueName, Attributes }));
    return there(made.QueueUrl);
  };
  const deadName = unique("dead") + suffix;
  const deadUrl = await make(deadName, { ...fifo, VisibilityTimeout: "1" });
  const name = unique("queue") + suffix;
  const policy = { deadLetterTargetArn: arnOf(deadName), maxReceiveCount: maxAttempts };
  const url = await make(name, {
    ...fifo,
    ...(maxAttempts === undefined ? {} : { RedrivePolicy: JSON.stringify(policy) }),
    ...(invisibleSeconds === undefined ? {} : { VisibilityTimeout: String(invisibleSeconds) }),
  });
  return new Sqs(server, sdk, { name, url, deadName, deadUrl });
}

interface Names {
  readonly name: string;
  readonly url: string;
  readonly deadName: string;
  readonly deadUrl: string;
}

class Sqs implements Through {
  readonly bodyLettersMax = LIMITS.bodyBytesMax;
  readonly refused: Sending = { body: "refused", delaySeconds: 901 };
  readonly prepare = lacks(LACKING_VERBS.transactions);
  readonly sendLater = lacks(LACKING_VERBS.recall);
  readonly filter = lacks(LACKING_VERBS.filters);
  readonly anotherGroup = lacks(LACKING_VERBS.groups);
  readonly #server: Server;
  readonly #sdk: SQSClient;
  readonly #names: Names;

  constructor(server: Server, sdk: SQSClient, names: Names) {
    this.#server = server;
    this.#sdk = sdk;
    this.#names = names;
  }

  async send(...messages: readonly Sending[]): Promise<void> {
    const stored = await this.sendBatch(...messages);
    if (stored.includes(false)) throw new Error("not all were stored");
  }

  async sendBatch(...messages: readonly Sending[]): Promise<readonly boolean[]> {
    const Entries = messages.map((message, at) => ({ Id: `e${at}`, ...entryOf(message) }));
    const { Successful = [] } = await this.#sdk.send(
      new SendMessageBatchCommand({ QueueUrl: this.#names.url, Entries }),
    );
    const stored = new Set(Successful.map(({ Id }) => Id));
    return Entries.map(({ Id }) => stored.has(Id));
  }

  async receive(waitSeconds = 20): Promise<readonly Got[]> {
    return (await this.#receive(this.#names.url, waitSeconds)).map(gotOf);
  }

  async #receive(QueueUrl: string, WaitTimeSeconds: number): Promise<readonly SqsMessage[]> {
    const { Messages = [] } = await this.#sdk.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds,
        MessageAttributeNames: ["All"],
        MessageSystemAttributeNames: ["ApproximateReceiveCount"],
      }),
    );
    return Messages;
  }

  leave(): Promise<void> {
    const { url: QueueUrl } = this.#names;
    const wait = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 });
    return broken(this, (abortSignal) => this.#sdk.send(wait, { abortSignal }));
  }

  async ack(...handles: readonly string[]): Promise<readonly string[]> {
    const Entries = handles.map((ReceiptHandle, at) => ({ Id: `e${at}`, ReceiptHandle }));
    const { Failed = [] } = await this.#sdk.send(
      new DeleteMessageBatchCommand({ QueueUrl: this.#names.url, Entries }),
    );
    const failed = new Set(Failed.map(({ Id }) => Id));
    return Entries.filter(({ Id }) => failed.has(Id)).map(({ ReceiptHandle }) => ReceiptHandle);
  }

  giveBack(handle: string): Promise<void> {
    return this.extend(handle, 0);
  }

  async extend(ReceiptHandle: string, VisibilityTimeout: number): Promise<void> {
    const { url: QueueUrl } = this.#names;
    const change = { QueueUrl, ReceiptHandle, VisibilityTimeout };
    await this.#sdk.send(new ChangeMessageVisibilityCommand(change));
  }

  async purge(): Promise<void> {
    await this.#sdk.send(new PurgeQueueCommand({ QueueUrl: this.#names.url }));
  }

  async deadLetters(): Promise<readonly string[]> {
    return (await this.#receive(this.#names.deadUrl, 1)).map(({ Body = "" }) => Body);
  }

  async redrive(): Promise<void> {
    const { deadName } = this.#names;
    await this.#sdk.send(new StartMessageMoveTaskCommand({ SourceArn: arnOf(deadName) }));
  }

  async as(who: Who): Promise<Stranger> {
    const credentials = await credentialsOf(this.#server, who, this.#names.name);
    const theirs = new Sqs(this.#server, client(this.#server, credentials), this.#names);
    return { send: (body) => theirs.send({ body }), take: () => theirs.receive(0) };
  }
}

const entryOf = ({ body, properties = {}, messageGroup, dedupId, delaySeconds }: Sending) => ({
  MessageBody: body as string,
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

const gotOf = (message: SqsMessage): Got => ({
  id: there(message.MessageId),
  body: there(message.Body),
  properties: Object.fromEntries(
    Object.entries(message.MessageAttributes ?? {}).map(([name, { StringValue = "" }]) => [
      name,
      StringValue,
    ]),
  ),
  tag: undefined,
  attempt: Number(message.Attributes?.ApproximateReceiveCount),
  handle: there(message.ReceiptHandle),
});
