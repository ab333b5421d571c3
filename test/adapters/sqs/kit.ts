/** What the cases of the SQS door share: the unmodified SDK, pointed at the server under test. */
import {
  type Message,
  ReceiveMessageCommand,
  type ReceiveMessageCommandInput,
  CreateQueueCommand,
  SQSClient,
  type SQSClientConfig,
} from "@aws-sdk/client-sqs";
import { HalfMQ } from "../../../src/client/index.ts";
import { unique } from "../../conformance/kit.ts";

/** A running server: its address and its root key. `fetch` for where nothing listens. */
export interface Server {
  readonly url: string;
  readonly key: string;
  readonly fetch?: typeof fetch;
}

export interface Pair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface World {
  readonly server: Server;
  readonly sqs: SQSClient;
  readonly native: HalfMQ;
}

export type Cases = Readonly<Record<string, (world: World) => Promise<void>>>;

/** The SDK as its users make it: endpoint, region and credentials; one attempt, so that a test sees the first answer. */
export const client = (
  server: Server,
  credentials: Pair = { accessKeyId: "root", secretAccessKey: server.key },
  more: SQSClientConfig = {},
): SQSClient =>
  new SQSClient({
    endpoint: server.url,
    region: "eu-central-1",
    credentials,
    maxAttempts: 1,
    ...more,
  });

export const worldOf = (server: Server): World => ({
  server,
  sqs: client(server),
  native: new HalfMQ({
    url: server.url,
    key: server.key,
    ...(server.fetch === undefined ? {} : { fetch: server.fetch }),
  }),
});

export interface Made {
  readonly name: string;
  readonly url: string;
}

/** A queue of its own; FIFO when its attributes say so. */
export async function queue(
  { sqs }: Pick<World, "sqs">,
  attributes: Record<string, string> = {},
  stem = "queue",
): Promise<Made> {
  const name = unique(stem) + (attributes["FifoQueue"] === "true" ? ".fifo" : "");
  const { QueueUrl } = await sqs.send(
    new CreateQueueCommand({ QueueName: name, Attributes: attributes }),
  );
  return { name, url: there(QueueUrl) };
}

/** What a receive brings, waiting up to twenty seconds unless told otherwise. */
export async function receive(
  { sqs }: Pick<World, "sqs">,
  { url }: Made,
  more: Partial<ReceiveMessageCommandInput> = {},
): Promise<Message[]> {
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 20,
      ...more,
    }),
  );
  return Messages;
}

export function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nothing there");
  return value;
}

/** The error that a promise rejects with. */
export async function errorOf(work: Promise<unknown>): Promise<Error & { Code?: string }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("it was not refused");
}
