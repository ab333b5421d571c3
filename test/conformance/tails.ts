/** The tail: messages of a topic as Server-Sent Events, without a group, across queues, and taken up again. */
import { expect, onTestFinished } from "vitest";
import type { Cases, Mq, Topic } from "./client.ts";
import { type Json, type Message, there, until } from "./kit.ts";

interface Event {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** One line of a tail, and the events that came over it. */
class Tail {
  readonly events: Event[] = [];
  /** What came before the first message. */
  start = "";
  comments = 0;
  ended = false;
  readonly #abort = new AbortController();

  static async open(topic: Topic, query = "", lastEventId?: string, mq: Mq = topic.mq) {
    const tail = new Tail();
    const headers = new Headers({ ...mq.headers, authorization: `Bearer ${mq.key}` });
    if (lastEventId !== undefined) headers.set("last-event-id", lastEventId);
    const answer = await mq.target.fetch(`${topic.path}/tail${query}`, {
      headers,
      signal: tail.#abort.signal,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/u);
    onTestFinished(() => tail.hangUp());
    void tail.#read(there(answer.body ?? undefined)).catch(() => undefined);
    await until("the line is open", () => tail.comments > 0);
    return tail;
  }

  get messages(): Message[] {
    const messages = this.events.filter(({ event }) => event === "message");
    return messages.map(({ data }) => JSON.parse(data) as Message);
  }

  get bodies(): unknown[] {
    return this.messages.map(({ body }) => body);
  }

  get lastId(): string {
    return there(this.events.at(-1)).id;
  }

  hangUp(): void {
    this.#abort.abort();
  }

  async count(count: number): Promise<void> {
    await until(`${count} messages`, () => this.messages.length >= count);
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    }
    this.ended = true;
  }

  #take(block: string): void {
    const of = (field: string): string[] =>
      block
        .split("\n")
        .filter((line) => line.startsWith(`${field}: `))
        .map((line) => line.slice(field.length + 2));
    const [id = ""] = of("id");
    if (block.startsWith(":")) {
      this.comments += 1;
      this.start ||= id;
      return;
    }
    const [event = "message"] = of("event");
    this.events.push({ id, event, data: of("data").join("\n") });
  }
}

export const tails: Cases = {
  "a tail shows what comes from now on, as a peek shows it, and leases nothing": async (mq) => {
    const topic = await mq.topic({ queues: 3 });
    await topic.send({ body: "before" });
    const tail = await Tail.open(topic);
    await topic.send({ body: { a: 1 }, tag: "t", keys: ["k"], properties: { p: "v" } });
    await tail.count(1);
    const [message] = tail.messages;
    expect(message).toMatchObject({
      body: { a: 1 },
      tag: "t",
      keys: ["k"],
      properties: { p: "v" },
    });
    expect(message).not.toHaveProperty("receipt");
    const [peeked] = await topic.peek(`?key=k`);
    expect(message).toEqual(peeked);
    for (let n = 0; n < 9; n += 1) await topic.send({ body: n, messageGroup: `group ${n}` });
    await tail.count(10);
    expect(
      (await topic.group().receive({ waitMs: 20_000, maxMessages: 100 })).length,
    ).toBeGreaterThan(0);
  },

  "a tail goes on behind the last event that was seen, in every queue": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const first = await Tail.open(topic, "?from=earliest");
    for (let n = 0; n < 8; n += 1) await topic.send({ body: n, messageGroup: `group ${n}` });
    await first.count(8);
    const [, , , { id }] = first.events as [Event, Event, Event, Event];
    first.hangUp();
    for (let n = 8; n < 12; n += 1) await topic.send({ body: n, messageGroup: `group ${n}` });
    const second = await Tail.open(topic, "", id);
    await second.count(8);
    const all = [...first.bodies.slice(0, 4), ...second.bodies].map(Number);
    expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n));
    const third = await Tail.open(topic, `?lastEventId=${second.lastId}`);
    await topic.send({ body: "new" });
    await third.count(1);
    expect(third.bodies).toEqual(["new"]);
  },

  "a tail says where it begins, so that a line that breaks before its first message misses nothing":
    async (mq) => {
      const topic = await mq.topic({ queues: 3 });
      await topic.send({ body: "before" });
      const first = await Tail.open(topic);
      first.hangUp();
      await topic.send({ body: "meanwhile" });
      const second = await Tail.open(topic, "", first.start);
      await second.count(1);
      expect(second.bodies).toEqual(["meanwhile"]);
    },

  "a tail begins at the earliest, or at an instant": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 });
    const [{ storedAt }] = (await topic.peek()) as [Message];
    await until("a later instant", () => Date.now() > storedAt + 1);
    await topic.send({ body: 2 });
    const all = await Tail.open(topic, "?from=earliest");
    await all.count(2);
    const some = await Tail.open(topic, `?from=${storedAt + 1}`);
    await some.count(1);
    expect([all.bodies, some.bodies]).toEqual([[1, 2], [2]]);
  },

  "a JSON body with line breaks comes through a tail as it was sent": async (mq) => {
    const topic = await mq.topic();
    const tail = await Tail.open(topic);
    await mq.ok("POST", `${topic.path}/messages`, undefined, {
      raw: '{"body": {\n  "a":\r\n 1,\n\n "b": "x\\n"}}',
    });
    await tail.count(1);
    expect(tail.bodies).toEqual([{ a: 1, b: "x\n" }]);
  },

  "a half message is in no tail before its commit": async (mq) => {
    const topic = await mq.topic();
    const tail = await Tail.open(topic);
    const half = await topic.prepare({ body: "half" });
    const never = await topic.prepare({ body: "never" });
    await topic.send({ body: "sent" });
    await tail.count(1);
    await mq.rollback(never.transactionId);
    await mq.commit(half.transactionId);
    await tail.count(2);
    expect(tail.bodies).toEqual(["sent", "half"]);
  },

  "a tail follows a topic that grows": async (mq) => {
    const topic = await mq.topic();
    const tail = await Tail.open(topic);
    await topic.send({ body: "before" });
    await tail.count(1);
    await mq.ok("PUT", topic.path, { queues: 5 });
    for (let n = 0; n < 15; n += 1) await topic.send({ body: n, messageGroup: `group ${n}` });
    await tail.count(16);
    expect(new Set(tail.bodies).size).toBe(16);
  },

  "a tail ends with its topic, and says so": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const tail = await Tail.open(topic);
    await mq.ok("DELETE", `${topic.path}?force=true`);
    await until("the end", () => tail.ended);
    const last = there(tail.events.at(-1));
    expect(last.event).toBe("end");
    expect(JSON.parse(last.data) as Json).toMatchObject({ code: "topic_not_found" });
    await mq.refused([404, "topic_not_found"], "GET", `${topic.path}/tail`);
  },

  "a quiet tail beats, and ends when its key is deleted": async (mq) => {
    const topic = await mq.topic();
    const name = `tailer-${topic.name}`;
    const { key } = await mq.ok<{ key: string }>("PUT", `/v1/keys/${name}`, {
      scopes: ["consume"],
      topics: [topic.name],
    });
    const tail = await Tail.open(topic, "", undefined, mq.with(key));
    await mq.ok("DELETE", `/v1/keys/${name}`);
    await until("it ends", () => tail.ended);
    expect(tail.comments).toBeGreaterThan(1);
  },

  "a tail is refused for what it does not understand": async (mq) => {
    const topic = await mq.topic();
    for (const query of [
      "?from=never",
      "?from=-1",
      "?lastEventId=%20x",
      "?lastEventId=1-",
      "?more=1",
    ])
      await mq.refused([400, "invalid_request"], "GET", `${topic.path}/tail${query}`);
    await mq.refused([404, "topic_not_found"], "GET", `/v1/topics/no-${topic.name}/tail`);
  },
};
