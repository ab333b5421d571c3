/** The broker as its own client shows it. */
import { type HalfMQ, LIMITS, type OutgoingMessage } from "../../../src/client/index.ts";
import { there, unique } from "../../conformance/kit.ts";
import { credentialsOf, nativeDeadLetters, nativeOf, type Server, settingsOf } from "./server.ts";
import {
  broken,
  type Got,
  type Half,
  type Making,
  type Sending,
  type Stranger,
  type Through,
  type Who,
} from "./through.ts";

const WAIT_MS = 20_000;
/** Nothing is checked during a test. */
const NEVER = { timeoutMs: 600_000, intervalMs: 600_000, maxChecks: 1 };

export async function native(server: Server, making: Making): Promise<Through> {
  const topic = unique("topic");
  await nativeOf(server).groups.put(topic, "g", settingsOf(making));
  return new Native(server, nativeOf(server), topic, "g");
}

class Native implements Through {
  /** Between two quotation marks. */
  readonly bodyLettersMax = LIMITS.bodyBytesMax - 2;
  readonly refused: Sending = { body: "refused", delaySeconds: 400 * 86_400 };
  readonly #server: Server;
  readonly #mq: HalfMQ;
  readonly #topic: string;
  readonly #group: string;

  constructor(server: Server, mq: HalfMQ, topic: string, group: string) {
    this.#server = server;
    this.#mq = mq;
    this.#topic = topic;
    this.#group = group;
  }

  get #receipts() {
    return this.#mq.consumer(this.#topic, this.#group).receipts;
  }

  async send(...messages: readonly Sending[]): Promise<void> {
    await this.#mq.send(this.#topic, messages.map(outgoing));
  }

  /** All or none. */
  async sendBatch(...messages: readonly Sending[]): Promise<readonly boolean[]> {
    const isStored = await this.send(...messages).then(
      () => true,
      () => false,
    );
    return messages.map(() => isStored);
  }

  async receive(waitSeconds = 20): Promise<readonly Got[]> {
    const messages = await this.#mq
      .consumer<string>(this.#topic, this.#group)
      .receive({ maxMessages: 10, waitMs: waitSeconds * 1_000 });
    return messages.map((message) => ({
      id: message.id,
      body: message.data.body ?? message.bytes(),
      properties: message.properties,
      tag: message.tag,
      attempt: message.deliveryAttempt,
      handle: message.receipt,
    }));
  }

  leave(): Promise<void> {
    const consumer = this.#mq.consumer(this.#topic, this.#group);
    return broken(this, (signal) => consumer.receive({ waitMs: WAIT_MS, signal }));
  }

  async ack(...handles: readonly string[]): Promise<readonly string[]> {
    const results = await this.#receipts.ack(handles);
    return results.filter(({ ok }) => !ok).map(({ receipt }) => receipt);
  }

  async giveBack(handle: string): Promise<void> {
    await this.#receipts.nack([handle], { delayMs: 0 });
  }

  async extend(handle: string, seconds: number): Promise<void> {
    await this.#receipts.extend([handle], seconds * 1_000);
  }

  async purge(): Promise<void> {
    await this.#mq.groups.seek(this.#topic, this.#group, "latest");
  }

  deadLetters(): Promise<readonly string[]> {
    return nativeDeadLetters(this.#server, this.#topic, this.#group);
  }

  async redrive(): Promise<void> {
    await this.#mq.groups.redrive(this.#topic, this.#group);
  }

  async prepare(body: string): Promise<Half> {
    const { id } = await this.#mq.transaction(this.#topic, {
      producerGroup: this.#topic,
      message: { body },
      check: NEVER,
    });
    const { transactions } = this.#mq;
    return {
      commit: async () => void (await transactions.commit(id)),
      rollback: async () => void (await transactions.rollback(id)),
    };
  }

  async sendLater(body: string): Promise<{ recall(): Promise<void> }> {
    const { id } = await this.#mq.send(this.#topic, { body, delayMs: 3_000 });
    return { recall: () => this.#mq.recall(there(id)) };
  }

  async filter(tag: string): Promise<void> {
    await this.#mq.groups.put(this.#topic, this.#group, { filter: { tags: [tag] } });
  }

  async anotherGroup(): Promise<Through> {
    return new Native(this.#server, this.#mq, this.#topic, "another");
  }

  async as(who: Who): Promise<Stranger> {
    const { key } = await credentialsOf(this.#server, who, this.#topic);
    const mq = nativeOf({ ...this.#server, key });
    const theirs = new Native(this.#server, mq, this.#topic, this.#group);
    return { send: (body) => theirs.send({ body }), take: () => theirs.receive(0) };
  }
}

function outgoing({ body, delaySeconds, ...rest }: Sending): OutgoingMessage<string> {
  const delay = delaySeconds === undefined ? {} : { delayMs: delaySeconds * 1_000 };
  return { ...rest, ...delay, ...(typeof body === "string" ? { body } : { bytes: body }) };
}
