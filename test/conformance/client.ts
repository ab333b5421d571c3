/** A client of the wire contract, for tests: it speaks HTTP only and checks what must hold of every answer. */
import { expect, onTestFinished } from "vitest";
import { describedBy } from "./described.ts";
import {
  type Answerer,
  type Call,
  type CallAnswer,
  type Check,
  type Json,
  type Message,
  NEVER,
  type Options,
  type Prepared,
  type Result,
  type Sent,
  type Stats,
  type Target,
  there,
  type Transaction,
  unique,
  until,
} from "./kit.ts";

/** One case: its name is a sentence, `row N: …` for a row of the reference. */
export type Cases = Readonly<Record<string, (mq: Mq) => Promise<void>>>;

/** A whole answer. */
export class Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;

  constructor(status: number, headers: Headers, text: string) {
    this.status = status;
    this.headers = headers;
    this.text = text;
  }

  get json(): Json {
    return JSON.parse(this.text) as Json;
  }
}

const segment = encodeURIComponent;

/** A client of the wire contract. */
export class Mq {
  readonly target: Target;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(target: Target, key = target.key, headers: Readonly<Record<string, string>> = {}) {
    this.target = target;
    this.key = key;
    this.headers = headers;
  }

  /** The same server with another key. */
  with(key: string, headers: Readonly<Record<string, string>> = {}): Mq {
    return new Mq(this.target, key, headers);
  }

  async call(method: string, path: string, body?: unknown, options: Options = {}): Promise<Answer> {
    const headers = new Headers({ ...this.headers, ...options.headers });
    if (this.key !== "" && !headers.has("authorization"))
      headers.set("authorization", `Bearer ${this.key}`);
    if (options.once !== undefined) headers.set("idempotency-key", options.once);
    const text = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
    if (text !== undefined && !headers.has("content-type"))
      headers.set("content-type", "application/json");
    const init = { method, headers, ...(text === undefined ? {} : { body: text }) };
    const got = await this.target.fetch(path, init);
    const answer = new Answer(got.status, got.headers, await got.text());
    const isJson = answer.headers.get("content-type") === "application/json";
    if (got.status < 300 && isJson && answer.text !== "")
      (await describedBy(this.target))(method, path, got.status, answer.json);
    return answer;
  }

  /** A call that must succeed. */
  async ok<T = Json>(method: string, path: string, body?: unknown, options?: Options): Promise<T> {
    const answer = await this.call(method, path, body, options);
    expect(answer.status, `${method} ${path}: ${answer.text}`).toBeLessThan(300);
    return (answer.text === "" ? {} : answer.json) as T;
  }

  /** A call that must be refused with exactly this. */
  async refused(
    [status, code]: readonly [number, string],
    ...request: Parameters<Mq["call"]>
  ): Promise<Json> {
    const answer = await this.call(...request);
    expect({ status: answer.status, code: codeIn(answer) }, answer.text).toEqual({ status, code });
    return answer.json;
  }

  async topic(settings: Json = {}): Promise<Topic> {
    const name = unique("topic");
    await this.ok("PUT", `/v1/topics/${name}`, settings);
    return new Topic(this, name);
  }

  /** What a list answers over all its pages. */
  async all<T>(path: string, limit = 1_000): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const more = cursor === undefined ? "" : `&cursor=${segment(cursor)}`;
      const glue = path.includes("?") ? "&" : "?";
      const page = await this.ok<{ items: T[]; nextCursor?: string }>(
        "GET",
        `${path}${glue}limit=${limit}${more}`,
      );
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return items;
  }

  transaction(id: string): Promise<Transaction> {
    return this.ok<Transaction>("GET", `/v1/transactions/${segment(id)}`);
  }

  decide(id: string, verb: string, body?: Json, options?: Options): Promise<Answer> {
    return this.call("POST", `/v1/transactions/${segment(id)}/${verb}`, body ?? {}, options);
  }

  async commit(id: string, body?: Json, options?: Options): Promise<Transaction> {
    const answer = await this.decide(id, "commit", body, options);
    expect(answer.status, answer.text).toBe(200);
    return answer.json as unknown as Transaction;
  }

  async rollback(id: string, body?: Json, options?: Options): Promise<Transaction> {
    const answer = await this.decide(id, "rollback", body, options);
    expect(answer.status, answer.text).toBe(200);
    return answer.json as unknown as Transaction;
  }

  /** Waits until the transaction is so. */
  becomes(id: string, state: string, deadlineMs?: number): Promise<Transaction> {
    return until(
      `transaction becomes ${state}`,
      async () => {
        const seen = await this.transaction(id);
        return seen.state === state && seen;
      },
      deadlineMs,
    );
  }

  /** What a polling producer is asked. */
  async checks(producerGroup: string, waitMs = 0, maxMessages = 16): Promise<readonly Check[]> {
    const path = `/v1/producer-groups/${segment(producerGroup)}/checks/receive`;
    const answer = await this.ok<{ checks: Check[] }>("POST", path, { waitMs, maxMessages });
    return answer.checks;
  }

  /** A producer group with a webhook; it is gone after the test. */
  async producers(answer: Answerer, check: Json = {}): Promise<Producers> {
    const calls: Call[] = [];
    const listening = await this.target.listen((call) => {
      calls.push(call);
      return answer(call);
    });
    const group = unique("producers");
    const path = `/v1/producer-groups/${group}`;
    onTestFinished(async () => {
      await this.call("DELETE", path);
      await listening.close();
    });
    const made = await this.ok<{ secret: string }>("PUT", path, {
      check: { url: listening.url, ...check },
    });
    return { group, secret: made.secret, url: listening.url, calls };
  }
}

export interface Producers {
  readonly group: string;
  readonly secret: string;
  readonly url: string;
  /** The calls that came, oldest first. */
  readonly calls: readonly Call[];
}

/** What a webhook was asked. */
export function asked(call: Call): Check {
  return (JSON.parse(call.body) as { data: Check }).data;
}

export function resolution(word: string): CallAnswer {
  return { status: 200, body: JSON.stringify({ resolution: word }) };
}

function codeIn(answer: Answer): unknown {
  try {
    return answer.json["code"];
  } catch {
    return answer.text;
  }
}

/** One topic, and its consumer group `g` where no other is named. */
export class Topic {
  readonly mq: Mq;
  readonly name: string;
  readonly path: string;

  constructor(mq: Mq, name: string) {
    this.mq = mq;
    this.name = name;
    this.path = `/v1/topics/${segment(name)}`;
  }

  /** The same topic as another client sees it. */
  through(mq: Mq): Topic {
    return new Topic(mq, this.name);
  }

  async send(...messages: readonly Json[]): Promise<readonly Sent[]> {
    const answer = await this.mq.ok<{ messages: Sent[] }>("POST", `${this.path}/messages`, {
      messages,
    });
    return answer.messages;
  }

  async sendOne(message: Json): Promise<Sent> {
    const [sent] = await this.send(message);
    return there(sent);
  }

  prepare(message: Json | readonly Json[], more: Json = {}): Promise<Prepared> {
    const content = Array.isArray(message) ? { messages: message } : { message };
    return this.mq.ok<Prepared>("POST", `${this.path}/transactions`, {
      producerGroup: `${this.name}-producers`,
      check: NEVER,
      ...content,
      ...more,
    });
  }

  group(name = "g"): Group {
    return new Group(this, name);
  }

  /** What peek shows of one queue. */
  async peek(query = ""): Promise<Message[]> {
    return this.mq.all<Message>(`${this.path}/messages${query}`);
  }

  stats(): Promise<Stats> {
    return this.mq.ok<Stats>("GET", `${this.path}/stats`);
  }
}

/** A consumer group of a topic. */
export class Group {
  readonly topic: Topic;
  readonly name: string;
  readonly path: string;

  constructor(topic: Topic, name: string) {
    this.topic = topic;
    this.name = name;
    this.path = `${topic.path}/groups/${segment(name)}`;
  }

  async make(settings: Json = {}): Promise<this> {
    await this.topic.mq.ok("PUT", this.path, settings);
    return this;
  }

  async receive(options: Json = {}): Promise<readonly Message[]> {
    const answer = await this.topic.mq.ok<{ messages: Message[] }>(
      "POST",
      `${this.path}/receive`,
      options,
    );
    return answer.messages;
  }

  /** Exactly one message; waits for it. */
  async one(options: Json = {}): Promise<Message> {
    const [message] = await this.receive({ maxMessages: 1, waitMs: 20_000, ...options });
    return there(message);
  }

  /** Receives and acks until `count` came. More than that come along, where there are more. */
  async take(count: number): Promise<readonly Message[]> {
    const taken: Message[] = [];
    await until(`${count} messages`, async () => {
      const batch = await this.receive({ maxMessages: 100, waitMs: 500 });
      if (batch.length > 0) await this.ack(...batch);
      taken.push(...batch);
      return taken.length >= count;
    });
    return taken;
  }

  /** Proves that there is nothing: not now, and not in what a long poll would wait for. */
  async nothing(waitMs = 200): Promise<void> {
    expect(await this.receive({ waitMs })).toEqual([]);
  }

  async ack(...messages: readonly (Message | string)[]): Promise<readonly Result[]> {
    return this.settle("ack", { receipts: messages.map(receiptOf) });
  }

  async nack(message: Message | string, more: Json = {}): Promise<Result> {
    const [result] = await this.settle("nack", { receipts: [receiptOf(message)], ...more });
    return there(result);
  }

  async extend(message: Message | string, invisibleMs: number): Promise<Result> {
    const [result] = await this.settle("extend", { receipts: [receiptOf(message)], invisibleMs });
    return there(result);
  }

  async settle(verb: string, body: Json): Promise<readonly Result[]> {
    const answer = await this.topic.mq.ok<{ results: Result[] }>(
      "POST",
      `${this.path}/${verb}`,
      body,
    );
    return answer.results;
  }

  async deadLetters(): Promise<Json[]> {
    return this.topic.mq.all<Json>(`${this.path}/dead-letters`);
  }
}

function receiptOf(message: Message | string): string {
  return typeof message === "string" ? message : message.receipt;
}
