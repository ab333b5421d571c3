/** Ordered groups, and topics that grow while they are in use. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, type Json, type Message, sorted, there, until } from "./kit.ts";

export const ordered: Cases = {
  "one message of a message group is in flight at a time, or one contiguous batch": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    await topic.send(
      { body: "a1", messageGroup: "a" },
      { body: "a2", messageGroup: "a" },
      { body: "b1", messageGroup: "b" },
    );
    const first = await group.one();
    expect(first.body).toBe("a1");
    const second = await group.receive({ maxMessages: 10 });
    expect(bodies(second), "a is in flight, b is free").toEqual(["b1"]);
    await group.nothing(0);
    await group.ack(first);
    expect(bodies(await group.receive())).toEqual(["a2"]);
  },

  "what is given of a message group is contiguous, and settled whole before more is given": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    await topic.send(...Array.from({ length: 6 }, (_, body) => ({ body, messageGroup: "a" })));
    const seen: unknown[] = [];
    while (seen.length < 6) {
      const batch = await group.receive({ maxMessages: 4, waitMs: 5_000 });
      expect(batch.length).toBeGreaterThanOrEqual(1);
      seen.push(...bodies(batch));
      await group.ack(...batch.slice(0, -1));
      await group.nothing(0);
      await group.ack(...batch.slice(-1));
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  },

  "a retry holds its message group, not the others": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    await topic.send(
      { body: "a1", messageGroup: "a" },
      { body: "a2", messageGroup: "a" },
      { body: "b1", messageGroup: "b" },
      { body: "b2", messageGroup: "b" },
    );
    const first = await group.one();
    await group.nack(first, { delayMs: 1_800 });
    const free: unknown[] = [];
    for (let index = 0; index < 2; index += 1) {
      const message = await group.one();
      free.push(message.body);
      await group.ack(message);
    }
    expect(free).toEqual(["b1", "b2"]);
    const again = await group.one();
    expect(again).toMatchObject({ body: "a1", deliveryAttempt: 2 });
    await group.nothing(0);
    await group.ack(again);
    expect(await group.one()).toMatchObject({ body: "a2", deliveryAttempt: 1 });
  },

  "a lease that ends brings the same message before its followers": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    await topic.send({ body: 1, messageGroup: "a" }, { body: 2, messageGroup: "a" });
    await group.one({ invisibleMs: 200 });
    const again = await group.one();
    expect(again).toMatchObject({ body: 1, deliveryAttempt: 2 });
    await group.ack(again);
    expect((await group.one()).body).toBe(2);
  },

  "messages without a message group do not hold one another": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    await topic.send({ body: 1 }, { body: 2 });
    expect((await group.one()).body).toBe(1);
    expect((await group.one()).body).toBe(2);
  },

  "a dead letter frees its message group; onPoison block holds it": async (mq) => {
    const topic = await mq.topic();
    const settings = { ordered: true, maxAttempts: 1 };
    const frees = await topic.group("frees").make(settings);
    const blocks = await topic.group("blocks").make({ ...settings, onPoison: "block" });
    await topic.send(
      { body: "a1", messageGroup: "a" },
      { body: "a2", messageGroup: "a" },
      { body: "b1", messageGroup: "b" },
    );
    await frees.nack(await frees.one());
    const rest: unknown[] = [];
    for (let index = 0; index < 2; index += 1) {
      const message = await frees.one();
      rest.push(message.body);
      await frees.ack(message);
    }
    expect(rest).toEqual(["a2", "b1"]);
    await blocks.nack(await blocks.one());
    const free = await blocks.one();
    expect(free.body).toBe("b1");
    await blocks.ack(free);
    await blocks.nothing();
  },

  "a poisoned message blocks its message group, is listed with the reason, and goes on when told":
    async (mq) => {
      const topic = await mq.topic({ queues: 2 });
      const group = await topic.group().make({ ordered: true, maxAttempts: 1, onPoison: "block" });
      await topic.send(
        ...["a1", "a2", "b1", "b2"].map((body) => ({ body, messageGroup: body[0] })),
      );
      const failed: Message[] = [];
      while (failed.length < 2) {
        const message = await group.one();
        await group.nack(message, { reason: `no ${String(message.body)}` });
        failed.push(message);
      }
      await group.nothing();
      const blocked = await mq.all<Json>(`${group.path}/blocked`, 1);
      expect(sorted(blocked.map(({ messageGroup, reason }) => [messageGroup, reason]))).toEqual(
        sorted([
          ["a", "no a1"],
          ["b", "no b1"],
        ]),
      );
      for (const each of blocked)
        expect(each).toMatchObject({ state: "poisoned", deliveryAttempt: 1 });
      const idOf = (body: string): unknown => failed.find((each) => each.body === body)?.id;
      const retry = { ids: [idOf("a1")] };
      expect(await mq.ok("POST", `${group.path}/blocked/retry`, retry)).toEqual({ retried: 1 });
      expect(bodies(await group.take(2))).toEqual(["a1", "a2"]);
      expect(await mq.ok("POST", `${group.path}/blocked/skip`)).toEqual({ skipped: 1 });
      expect(bodies(await group.take(1))).toEqual(["b2"]);
      expect(bodies((await group.deadLetters()) as never)).toEqual(["b1"]);
      expect(await mq.all(`${group.path}/blocked`)).toEqual([]);
    },

  "many consumers of an ordered group see each message group in its order": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const group = await topic.group().make({ ordered: true });
    const seen: Message[] = [];
    const total = 60;
    for (let body = 0; body < total; body += 1)
      await topic.sendOne({ body, messageGroup: `g${body % 6}` });
    const busy = new Set<string>();
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        while (seen.length < total) {
          const [message] = await group.receive({ maxMessages: 1, waitMs: 300 });
          if (message === undefined) continue;
          const name = there(message.messageGroup);
          expect(busy.has(name), `${name} is in flight twice`).toBe(false);
          busy.add(name);
          seen.push(message);
          busy.delete(name);
          await group.ack(message);
        }
      }),
    );
    for (let index = 0; index < 6; index += 1) {
      const own = seen.filter((message) => message.messageGroup === `g${index}`);
      expect(bodies(own)).toEqual(Array.from({ length: 10 }, (_, round) => index + 6 * round));
    }
  },

  "a topic grows while in use and each message group keeps its order": async (mq) => {
    const topic = await mq.topic({ queues: 1 });
    const group = await topic.group().make({ ordered: true });
    const names = Array.from({ length: 8 }, (_, index) => `g${index}`);
    let next = 0;
    const sendRounds = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round += 1) {
        await topic.send(...names.map((messageGroup) => ({ body: next, messageGroup })));
        next += 1;
      }
    };
    await sendRounds(5);
    const seen: Message[] = [];
    const consume = async (until: number): Promise<void> => {
      while (seen.length < until) {
        const batch = await group.receive({ maxMessages: 7, waitMs: 500 });
        seen.push(...batch);
        if (batch.length > 0) await group.ack(...batch);
      }
    };
    const total = 20 * names.length;
    const consuming = consume(total);
    for (const queues of [2, 3, 4]) {
      const growing = mq.ok("PUT", topic.path, { queues });
      await sendRounds(5);
      await growing;
    }
    await consuming;
    expect(seen).toHaveLength(total);
    for (const name of names) {
      const own = seen.filter((message) => message.messageGroup === name);
      expect(bodies(own), name).toEqual(Array.from({ length: 20 }, (_, index) => index));
    }
    expect((await topic.stats()).queues).toHaveLength(4);
  },

  "an old message in a former queue holds its message group in the new one": async (mq) => {
    const topic = await mq.topic({ queues: 1 });
    const group = await topic.group().make({ ordered: true });
    const names = Array.from({ length: 12 }, (_, index) => `g${index}`);
    await topic.send(...names.map((messageGroup) => ({ body: "old", messageGroup })));
    const held = await group.receive({ maxMessages: 100 });
    expect(held).toHaveLength(12);
    await mq.ok("PUT", topic.path, { queues: 4 });
    const sent = await topic.send(...names.map((messageGroup) => ({ body: "new", messageGroup })));
    expect(new Set(sent.map((each) => each.queue)).size).toBeGreaterThan(1);
    await group.nothing(300);
    await group.ack(...held);
    const rest = await group.take(12);
    expect(new Set(bodies(rest))).toEqual(new Set(["new"]));
  },

  "half messages that were prepared before the growth are committed in order after it": async (
    mq,
  ) => {
    const topic = await mq.topic({ queues: 1 });
    const group = await topic.group().make({ ordered: true });
    const names = Array.from({ length: 6 }, (_, index) => `g${index}`);
    const prepared = await topic.prepare(names.map((messageGroup) => ({ body: 1, messageGroup })));
    await mq.ok("PUT", topic.path, { queues: 4 });
    await mq.commit(prepared.transactionId);
    await topic.send(...names.map((messageGroup) => ({ body: 2, messageGroup })));
    const taken: Message[] = [];
    await until("all twelve", async () => {
      const batch = await group.receive({ maxMessages: 1, waitMs: 300 });
      taken.push(...batch);
      if (batch.length > 0) await group.ack(...batch);
      return taken.length >= 12;
    });
    for (const name of names)
      expect(bodies(taken.filter((each) => each.messageGroup === name)), name).toEqual([1, 2]);
  },

  "a dedup id is still known after the topic has grown": async (mq) => {
    const topic = await mq.topic({ queues: 1 });
    const names = Array.from({ length: 12 }, (_, index) => `d${index}`);
    const first = await topic.send(...names.map((dedupId) => ({ body: dedupId, dedupId })));
    await mq.ok("PUT", topic.path, { queues: 4 });
    const again = await topic.send(...names.map((dedupId) => ({ body: dedupId, dedupId })));
    expect(new Set(again.map((each) => each.state))).toEqual(new Set(["duplicate"]));
    expect(again.map((each) => each.id)).toEqual(first.map((each) => each.id));
  },
};
