/** The broker as RocketMQ over HTTP shows it to the unmodified `@aliyunmq/mq-http-sdk`. */
import { LACKING_VERBS } from "../../../src/adapters/rocketmq/lacks.ts";
import { LIMITS } from "../../../src/client/index.ts";
import { there, unique } from "../../conformance/kit.ts";
import { properties as propertiesOf } from "../rocketmq/kit.ts";
import { type Consumed, type MQClient, newClient } from "../rocketmq/sdk.ts";
import {
  type Credentials,
  credentialsOf,
  nativeDeadLetters,
  nativeOf,
  ownerOf,
  type Server,
  settingsOf,
} from "./server.ts";
import {
  type Got,
  type Half,
  lacks,
  type Making,
  type Sending,
  type Stranger,
  type Through,
  type Who,
} from "./through.ts";

const LEAVE_MS = 1_000;
/** Nothing is checked during a test. */
const NEVER_SECONDS = 600;

/** Topics and groups are made by their first use; how long a lease is, and order, are settings of the group. */
export async function rocketmq(server: Server, making: Making): Promise<Through> {
  const topic = unique("topic");
  const group = unique("GID");
  await nativeOf(server).groups.put(topic, group, settingsOf(making));
  const { ordered = false } = making;
  return new RocketMq(server, ownerOf(server), { topic, group, ordered });
}

interface Place {
  readonly topic: string;
  readonly group: string;
  readonly ordered: boolean;
}

class RocketMq implements Through {
  readonly bodyLettersMax = LIMITS.bodyBytesMax;
  readonly refused: Sending = { body: "refused", delaySeconds: 400 * 86_400 };
  readonly sendBatch = lacks(LACKING_VERBS.batches);
  readonly giveBack = lacks(LACKING_VERBS["giving back"]);
  readonly extend = lacks(LACKING_VERBS.extension);
  readonly purge = lacks(LACKING_VERBS.purge);
  readonly redrive = lacks(LACKING_VERBS.redrive);
  readonly sendLater = lacks(LACKING_VERBS.recall);
  readonly #server: Server;
  readonly #client: MQClient;
  readonly #place: Place;
  #tag: string | undefined;

  constructor(server: Server, who: Credentials, place: Place) {
    this.#server = server;
    this.#client = newClient(server.url, who.accessKeyId, who.secretAccessKey);
    this.#place = place;
  }

  async send(...messages: readonly Sending[]): Promise<void> {
    const producer = this.#client.getProducer("", this.#place.topic);
    for (const { body, tag, properties, messageGroup, delaySeconds } of messages) {
      const said = propertiesOf({
        ...(properties === undefined ? {} : { user: properties }),
        ...(messageGroup === undefined ? {} : { shardingKey: messageGroup }),
        ...(delaySeconds === undefined ? {} : { deliverAt: Date.now() + delaySeconds * 1_000 }),
      });
      await producer.publishMessage(body, tag, said);
    }
  }

  get #consumer() {
    const { topic, group } = this.#place;
    return this.#client.getConsumer("", topic, group, this.#tag);
  }

  async receive(waitSeconds = 20): Promise<readonly Got[]> {
    const call = this.#place.ordered ? "consumeMessageOrderly" : "consumeMessage";
    try {
      const { body } = await this.#consumer[call](10, waitSeconds);
      return body.map(gotOf);
    } catch (error) {
      if ((error as { Code?: string }).Code === "MessageNotExist") return [];
      throw error;
    }
  }

  /** The SDK goes away when its time is over. */
  async leave(): Promise<void> {
    const { topic, group } = this.#place;
    const line = `/topics/${topic}/messages?consumer=${group}&numOfMessages=1&waitseconds=20`;
    const wait = this.#client.request("GET", line, "Messages", "", { timeout: LEAVE_MS });
    await wait.catch(() => undefined);
  }

  async ack(...handles: readonly string[]): Promise<readonly string[]> {
    const { body = [] } = await this.#consumer.ackMessage(handles);
    return body.map(({ ReceiptHandle }) => ReceiptHandle);
  }

  deadLetters(): Promise<readonly string[]> {
    return nativeDeadLetters(this.#server, this.#place.topic, this.#place.group);
  }

  async prepare(body: string): Promise<Half> {
    const { topic, group } = this.#place;
    const producer = this.#client.getTransProducer("", topic, group);
    const said = propertiesOf({ checkSeconds: NEVER_SECONDS });
    const handle = there((await producer.publishMessage(body, "", said)).body.ReceiptHandle);
    const decide = async (verb: "commit" | "rollback"): Promise<void> => {
      const { code, body: errors } = await producer[verb](handle);
      if (code !== 204) throw new Error(JSON.stringify(errors));
    };
    return { commit: () => decide("commit"), rollback: () => decide("rollback") };
  }

  async filter(tag: string): Promise<void> {
    this.#tag = tag;
  }

  async anotherGroup(): Promise<Through> {
    const place = { ...this.#place, group: unique("GID") };
    return new RocketMq(this.#server, ownerOf(this.#server), place);
  }

  async as(who: Who): Promise<Stranger> {
    const credentials = await credentialsOf(this.#server, who, this.#place.topic);
    const theirs = new RocketMq(this.#server, credentials, this.#place);
    return { send: (body) => theirs.send({ body }), take: () => theirs.receive(0) };
  }
}

const gotOf = (message: Consumed): Got => ({
  id: message.MessageId,
  body: message.MessageBody,
  properties: message.Properties,
  tag: message.MessageTag,
  attempt: Number(message.ConsumedTimes),
  handle: message.ReceiptHandle,
});
