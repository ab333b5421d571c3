/** Transactions over several queues and topics, and what may stand in them: delay, message groups, dedup ids, filters. */
import { expect } from "vitest";
import { type Cases, type Topic } from "./client.ts";
import { bodies, type Json, NEVER, sorted, there, unique, until } from "./kit.ts";

/** Enough message groups that with 4 queues each queue has some. */
const spread = (count: number): Json[] =>
  Array.from({ length: count }, (_, body) => ({ body, messageGroup: `g${body}` }));

async function allOf(topic: Topic): Promise<unknown[]> {
  return bodies(await topic.peek());
}

export const reach: Cases = {
  "a transaction over the queues of a topic is forwarded whole, each message exactly once": async (
    mq,
  ) => {
    const topic = await mq.topic({ queues: 4 });
    const prepared = await topic.prepare(spread(40));
    expect(await allOf(topic)).toEqual([]);
    const done = await mq.commit(prepared.transactionId);
    expect(done.messages.map((message) => message.id)).toEqual(
      prepared.messages.map((message) => message.id),
    );
    expect(new Set(done.messages.map((message) => message.queue)).size).toBe(4);
    for (const message of done.messages)
      expect(message.offset, "the commit waits for its forwards").toBeTypeOf("number");
    const taken = await topic.group().take(40);
    expect(sorted(bodies(taken))).toEqual(sorted(spread(40).map((each) => each["body"])));
    await topic.group().nothing();
    for (const message of taken) {
      const placed = there(done.messages.find((each) => each.id === message.id));
      expect([message.queue, message.offset]).toEqual([placed.queue, placed.offset]);
      expect(message.transactionId).toBe(prepared.transactionId);
    }
  },

  "a transaction over several topics is committed in all of them": async (mq) => {
    const [orders, stock, mail] = [
      await mq.topic(),
      await mq.topic({ queues: 3 }),
      await mq.topic(),
    ];
    const prepared = await orders.prepare([
      { body: "order" },
      { body: "stock 1", topic: stock.name, messageGroup: "a" },
      { body: "mail", topic: mail.name },
      { body: "stock 2", topic: stock.name, messageGroup: "a" },
    ]);
    for (const topic of [orders, stock, mail]) expect(await allOf(topic)).toEqual([]);
    const done = await mq.commit(prepared.transactionId);
    expect(done.messages).toHaveLength(4);
    expect(bodies(await orders.group().take(1))).toEqual(["order"]);
    expect(bodies(await stock.group().take(2))).toEqual(["stock 1", "stock 2"]);
    expect(bodies(await mail.group().take(1))).toEqual(["mail"]);
    for (const topic of [orders, stock, mail]) await topic.group().nothing(0);
    expect(await mq.commit(prepared.transactionId)).toMatchObject({ repeated: true });
    for (const topic of [orders, stock, mail]) await topic.group().nothing(0);
  },

  "a rollback reaches no topic of the transaction": async (mq) => {
    const [here, elsewhere] = [await mq.topic(), await mq.topic()];
    const { transactionId } = await here.prepare([{ body: 1 }, { body: 2, topic: elsewhere.name }]);
    await mq.rollback(transactionId);
    await elsewhere.group().nothing(200);
    expect(await allOf(here)).toEqual([]);
    expect(await allOf(elsewhere)).toEqual([]);
  },

  "forwarded messages of one message group keep the order of their transaction": async (mq) => {
    const [home, target] = [await mq.topic(), await mq.topic({ queues: 4 })];
    const group = await target.group().make({ ordered: true });
    for (let round = 0; round < 5; round += 1) {
      const messages = Array.from({ length: 10 }, (_, index) => ({
        body: round * 10 + index,
        topic: target.name,
        messageGroup: "one",
      }));
      const { transactionId } = await home.prepare(messages);
      await mq.commit(transactionId);
    }
    const taken = bodies(await group.take(50));
    expect(taken).toEqual(Array.from({ length: 50 }, (_, index) => index));
  },

  "messages that were prepared before the target grew and committed after it keep their order":
    async (mq) => {
      const [home, target] = [await mq.topic(), await mq.topic()];
      const group = await target.group().make({ ordered: true });
      const words = Array.from({ length: 12 }, (_, word) => `w${word}`);
      const round = (body: number): Json[] => words.map((messageGroup) => ({ body, messageGroup }));
      await target.send(...round(0));
      const half = [...round(1), ...round(2)].map((each) => ({ ...each, topic: target.name }));
      const { transactionId } = await home.prepare(half);
      await mq.ok("PUT", target.path, { queues: 4 });
      const done = await mq.commit(transactionId);
      expect(new Set(done.messages.map(({ queue }) => queue)).size).toBeGreaterThan(1);
      for (const message of done.messages)
        expect(message.offset, "the commit waits for its forwards").toBeTypeOf("number");
      await target.send(...round(3));
      const seen = new Map(words.map((word): [string, unknown[]] => [word, []]));
      for (const message of await group.take(4 * words.length))
        seen.get(String(message.messageGroup))?.push(message.body);
      for (const bodiesOfGroup of seen.values()) expect(bodiesOfGroup).toEqual([0, 1, 2, 3]);
    },

  "a forwarded message is read by its id as any other, before and after its delay": async (mq) => {
    const [home, target] = [await mq.topic(), await mq.topic({ queues: 2 })];
    const group = await target.group().make();
    const { transactionId } = await home.prepare([
      { body: "now", topic: target.name },
      { body: "then", topic: target.name, delayMs: 1_500 },
    ]);
    const [now, then] = (await mq.commit(transactionId)).messages;
    const read = (id = ""): Promise<Json> => mq.ok("GET", `/v1/messages/${id}`);
    const waits = { topic: target.name, state: "delayed" };
    expect(await read(then?.id)).toMatchObject(waits);
    expect(await read(now?.id)).toMatchObject({
      topic: target.name,
      state: "ready",
      offset: now?.offset,
      groups: [{ group: group.name, state: "waiting" }],
    });
    const taken = await group.take(2);
    for (const message of taken)
      expect(await read(message.id)).toMatchObject({
        state: "ready",
        queue: message.queue,
        offset: message.offset,
        storedAt: message.storedAt,
        sentAt: message.sentAt,
        groups: [{ group: group.name, state: "acked" }],
      });
    const view = await mq.transaction(transactionId);
    expect(view.messages[1]).toMatchObject({ id: then?.id, offset: taken[1]?.offset });
    expect(view.messages[1]?.deliverAt).toBeUndefined();
  },

  "a delayed message that was forwarded is recalled and re-timed where it waits": async (mq) => {
    const [home, target] = [await mq.topic(), await mq.topic()];
    const { transactionId } = await home.prepare([
      { body: "recalled", topic: target.name, delayMs: 60_000 },
      { body: "sooner", topic: target.name, delayMs: 60_000 },
    ]);
    const [first, second] = (await mq.commit(transactionId)).messages;
    await mq.ok("DELETE", `/v1/messages/${first?.id}`);
    await mq.refused([409, "already_recalled"], "DELETE", `/v1/messages/${first?.id}`);
    expect(await mq.ok("GET", `/v1/messages/${first?.id}`)).toMatchObject({ state: "recalled" });
    await mq.ok("PATCH", `/v1/messages/${second?.id}`, { deliverAt: Date.now() + 200 });
    expect(bodies(await target.group().take(1))).toEqual(["sooner"]);
    await mq.refused([409, "already_delivered"], "DELETE", `/v1/messages/${second?.id}`);
    const later = Date.now() + 60_000;
    await mq.refused([409, "already_delivered"], "PATCH", `/v1/messages/${second?.id}`, {
      deliverAt: later,
    });
  },

  "who may read a forwarded message is the target topic's to say": async (mq) => {
    const [home, target] = [await mq.topic(), await mq.topic()];
    const { transactionId } = await home.prepare({ body: 1, topic: target.name });
    const [message] = (await mq.commit(transactionId)).messages;
    const keyOf = async (topic: string): Promise<string> => {
      const name = unique("key");
      const settings = { scopes: ["consume"], topics: [topic] };
      return (await mq.ok<{ key: string }>("PUT", `/v1/keys/${name}`, settings)).key;
    };
    const path = `/v1/messages/${message?.id}`;
    expect(await mq.with(await keyOf(target.name)).ok("GET", path)).toMatchObject({
      topic: target.name,
    });
    await mq.with(await keyOf(home.name)).refused([403, "forbidden"], "GET", path);
  },

  "a target that was deleted meanwhile makes its message undeliverable, and only that": async (
    mq,
  ) => {
    const [home, gone] = [await mq.topic(), await mq.topic()];
    const { transactionId } = await home.prepare([{ body: 1 }, { body: 2, topic: gone.name }]);
    await mq.ok("DELETE", `${gone.path}?force=true`);
    expect((await mq.decide(transactionId, "commit")).status).toBe(200);
    expect(bodies(await home.group().take(1))).toEqual([1]);
    const view = await until("undeliverable is shown", async () => {
      const seen = await mq.transaction(transactionId);
      return seen.messages[1]?.undeliverable === true && seen;
    });
    expect(view.messages[0]?.undeliverable).toBeUndefined();
    await mq.ok("PUT", gone.path, {});
    expect(await allOf(gone), "the new topic of that name is another one").toEqual([]);
  },

  "row 42: a delay inside a transaction is kept and counts from the commit": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const { transactionId } = await topic.prepare({ body: 1, delayMs: 1_500 });
    const later = Date.now() + 300;
    await until("some time passed before the commit", () => Date.now() > later);
    const done = await mq.commit(transactionId);
    expect(done.messages[0]?.offset).toBeUndefined();
    const { decidedAt } = await mq.transaction(transactionId);
    await group.nothing(0);
    const message = await group.one();
    expect(message.storedAt).toBeGreaterThanOrEqual(there(decidedAt) + 1_500);
    expect(message.transactionId).toBe(transactionId);
  },

  "row 43: message groups and delivery times work inside a transaction": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    const deliverAt = Date.now() + 1_500;
    const { transactionId } = await topic.prepare([
      { body: "now 1", messageGroup: "a" },
      { body: "then", messageGroup: "b", deliverAt },
      { body: "now 2", messageGroup: "a" },
    ]);
    await mq.commit(transactionId);
    const taken = await group.take(3);
    expect(bodies(taken)).toEqual(["now 1", "now 2", "then"]);
    expect(there(taken[2]).storedAt).toBeGreaterThanOrEqual(deliverAt);
  },

  "rows 44, 45: one topic takes plain and half messages alike": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: "plain" });
    const { transactionId } = await topic.prepare({ body: "half" });
    await topic.send({ body: "delayed", delayMs: 200 }, { body: "ordered", messageGroup: "g" });
    await mq.commit(transactionId);
    const taken = bodies(await topic.group().take(4));
    expect(sorted(taken)).toEqual(sorted(["plain", "half", "delayed", "ordered"]));
  },

  "row 61: a group's filter works on committed messages as on others": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ filter: { tags: ["a", "c"] } });
    for (const tag of ["a", "b", "c"]) {
      const { transactionId } = await topic.prepare({ body: tag, tag });
      await mq.commit(transactionId);
    }
    expect(bodies(await group.take(2))).toEqual(["a", "c"]);
    await group.nothing(0);
  },

  "a transaction has at most 100 messages": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare(spread(100));
    await mq.commit(transactionId);
    expect(await allOf(topic)).toHaveLength(100);
    const answer = await mq.refused(
      [400, "invalid_request"],
      "POST",
      `${topic.path}/transactions`,
      { producerGroup: "p", messages: spread(101) },
    );
    expect(answer).toMatchObject({ field: "messages", limit: 100, actual: 101 });
  },

  "a bad message refuses the whole transaction and names its field": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/transactions`;
    const messages = [{ body: 1 }, { body: 2, delayMs: -1 }];
    const bad = await mq.refused([400, "invalid_request"], "POST", path, {
      producerGroup: "p",
      messages,
    });
    expect(bad["field"]).toBe("messages[1].delayMs");
    const producer = { id: "p", epoch: 1, sequence: 1 };
    const one = await mq.refused([400, "invalid_request"], "POST", path, {
      producerGroup: "p",
      message: { body: 1, producer },
    });
    expect(one["field"]).toBe("message.producer");
    const both = { producerGroup: "p", message: { body: 1 }, messages: [{ body: 2 }] };
    await mq.refused([400, "invalid_request"], "POST", path, both);
    expect((await topic.stats()).transactions["prepared"]).toBe(0);
  },

  "a dedup id is taken at prepare and freed by the rollback": async (mq) => {
    const topic = await mq.topic();
    const first = await topic.prepare({ body: 1, dedupId: "d" });
    const during = await topic.sendOne({ body: 2, dedupId: "d" });
    expect(during).toMatchObject({ state: "duplicate", id: first.messages[0]?.id });
    await mq.rollback(first.transactionId);
    expect((await topic.sendOne({ body: 3, dedupId: "d" })).state).toBe("ready");
    expect(await allOf(topic)).toEqual([3]);
  },

  "what was sent while a transaction held its dedup id is delivered when that is rolled back":
    async (mq) => {
      const topic = await mq.topic();
      const first = await topic.prepare({ body: 1, dedupId: "d" });
      expect((await topic.sendOne({ body: 2, dedupId: "d" })).state).toBe("duplicate");
      expect((await topic.sendOne({ body: 3, dedupId: "d" })).state).toBe("duplicate");
      await mq.rollback(first.transactionId);
      const [message] = await topic.group().take(1);
      expect(message?.body).toBe(2);
      const later = await topic.sendOne({ body: 4, dedupId: "d" });
      expect(later).toMatchObject({ state: "duplicate", id: message?.id });
      expect(await allOf(topic)).toEqual([2]);
    },

  "of two transactions with a dedup id the first that is committed is delivered, and no other":
    async (mq) => {
      const topic = await mq.topic();
      const first = await topic.prepare({ body: 1, dedupId: "d" });
      const second = await topic.prepare({ body: 2, dedupId: "d" });
      expect(second.messages).toEqual(first.messages);
      const third = await topic.prepare({ body: 3, dedupId: "d" });
      await mq.rollback(first.transactionId);
      const { messages } = await mq.commit(second.transactionId);
      expect(messages[0]).toMatchObject({ queue: 0, offset: 0 });
      expect((await mq.commit(third.transactionId)).messages).toEqual([
        { id: messages[0]?.id, queue: 0 },
      ]);
      expect(await allOf(topic)).toEqual([2]);
    },

  "sends, delays and receives go on between prepare and commit": async (mq) => {
    const topic = await mq.topic();
    const prepared = await topic.prepare({ body: "half" }, { check: NEVER });
    await topic.send({ body: 1 }, { body: 2 });
    expect(bodies(await topic.group().take(2))).toEqual([1, 2]);
    await mq.commit(prepared.transactionId);
    expect(bodies(await topic.group().take(1))).toEqual(["half"]);
  },

  "an unknown topic is made by a prepare, with its producer group": async (mq) => {
    const name = unique("fresh");
    const { transactionId } = await mq.ok<{ transactionId: string }>(
      "POST",
      `/v1/topics/${name}/transactions`,
      { producerGroup: name, message: { body: 1 } },
    );
    expect((await mq.transaction(transactionId)).topic).toBe(name);
    expect(await mq.ok("GET", `/v1/producer-groups/${name}`)).toMatchObject({ group: name });
    await mq.rollback(transactionId);
  },
};
