/** What the cases of the RocketMQ door share: a running HalfMQ, Alibaba Cloud's SDK in front of it, and the native client beside. */
import {
  type Answer,
  type Consumed,
  type Consumer,
  type MessageProperties,
  type MQClient,
  newClient,
  newProperties,
  type Producer,
  type TransactionProducer,
} from "./sdk.ts";
import { Mq } from "../../conformance/client.ts";
import { type Json, there, unique } from "../../conformance/kit.ts";

/** A running HalfMQ, wherever it is. */
export interface Running {
  readonly url: string;
  readonly rootKey: string;
}

/** One case: its name is a sentence, `row N: …` for a row of the reference. */
export type Cases = Readonly<Record<string, (door: Door) => Promise<void>>>;

export interface Properties {
  readonly key?: string;
  readonly shardingKey?: string;
  readonly deliverAt?: number;
  readonly checkSeconds?: number;
  readonly user?: Readonly<Record<string, string>>;
}

/** The SDK's builder, filled. */
export function properties(wanted: Properties): MessageProperties {
  const made = newProperties();
  if (wanted.key !== undefined) made.messageKey(wanted.key);
  if (wanted.shardingKey !== undefined) made.shardingKey(wanted.shardingKey);
  if (wanted.deliverAt !== undefined) made.startDeliverTime(wanted.deliverAt);
  if (wanted.checkSeconds !== undefined) made.transCheckImmunityTime(wanted.checkSeconds);
  for (const [name, value] of Object.entries(wanted.user ?? {})) made.putProperty(name, value);
  return made;
}

/** One case's own topic and group at the server. */
export class Door {
  readonly running: Running;
  readonly topic = unique("topic");
  readonly group = unique("GID");
  /** The same server's own API. */
  readonly mq: Mq;

  constructor(running: Running) {
    this.running = running;
    const fetchThere = (path: string, init: RequestInit) => fetch(`${running.url}${path}`, init);
    this.mq = new Mq({
      name: running.url,
      key: running.rootKey,
      fetch: fetchThere,
      listen: () => Promise.reject(new Error("nobody is called here")),
    });
  }

  client(id = "root", secret = this.running.rootKey, url = this.running.url): MQClient {
    return newClient(url, id, secret);
  }

  get producer(): Producer {
    return this.client().getProducer("", this.topic);
  }

  get transactions(): TransactionProducer {
    return this.client().getTransProducer("", this.topic, this.group);
  }

  consumer(tag?: string, group = this.group): Consumer {
    return this.client().getConsumer("", this.topic, group, tag);
  }

  /** Sets the case's group by the native API, before its first use. */
  async setGroup(settings: Json): Promise<void> {
    const path = `/v1/topics/${this.topic}/groups/${this.group}`;
    await this.mq.ok("PUT", path, settings);
  }
}

/** The error that the SDK throws, by its code. */
export async function thrown(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return String((error as { Code?: string }).Code);
  }
  throw new Error("it did not fail");
}

export const bodiesOf = ({ body }: Answer<readonly Consumed[]>): string[] =>
  body.map((message) => message.MessageBody);

export const first = ({ body }: Answer<readonly Consumed[]>): Consumed => there(body[0]);
