/** RocketMQ's cases of ordered consumption (§7.3), as HalfMQ holds them. */
import { expect } from "vitest";
import { type Cases, type Group, type Mq } from "./client.ts";
import { bodies, type Json, type Message, there, unique, until } from "./kit.ts";

const LONG_MS = 60_000;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, body) => body);

/** An ordered group, and so many messages of one message group, 0, 1, 2 …, for it. */
async function inOneGroup(mq: Mq, count: number, settings: Json = {}): Promise<Group> {
  const topic = await mq.topic();
  const group = await topic.group().make({ ordered: true, ...settings });
  await topic.send(...upTo(count).map((body) => ({ body, messageGroup: "a" })));
  return group;
}

const seen = (messages: readonly Message[]): unknown[] =>
  messages.map(({ body, deliveryAttempt }) => [body, deliveryAttempt]);

/** The next batch, whenever it comes. */
const batch = (group: Group, options: Json = {}): Promise<readonly Message[]> =>
  group.receive({ waitMs: 10_000, ...options });

export const fifoRows: Cases = {
  "row 93: a hundred messages of two message groups, each in its order": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const group = await topic.group().make({ ordered: true });
    for (let first = 0; first < 100; first += 10)
      await topic.send(
        ...upTo(10).map((index) => ({ body: first + index, messageGroup: `g${index % 2}` })),
      );
    const taken = await group.take(100);
    for (const parity of [0, 1]) {
      const own = taken.filter(({ messageGroup }) => messageGroup === `g${parity}`);
      expect(bodies(own)).toEqual(upTo(50).map((index) => 2 * index + parity));
    }
  },

  "row 94: four consumers that ack nothing see the first of a message group alone, again and again":
    async (mq) => {
      const group = await inOneGroup(mq, 20, { invisibleMs: 200, maxAttempts: 100 });
      const came: Message[] = [];
      const poll = async (): Promise<void> => {
        while (came.length < 6)
          came.push(...(await group.receive({ maxMessages: 1, waitMs: 500 })));
      };
      await Promise.all([poll(), poll(), poll(), poll()]);
      expect(new Set(bodies(came))).toEqual(new Set([0]));
      const attempts = came.map(({ deliveryAttempt }) => deliveryAttempt);
      expect(attempts.toSorted((a, b) => a - b)).toEqual(upTo(came.length).map((n) => n + 1));
    },

  "row 95: of a batch whose first is not acked only the first comes again": async (mq) => {
    const group = await inOneGroup(mq, 20);
    const three = await group.receive({ maxMessages: 3, invisibleMs: 400 });
    expect(bodies(three)).toEqual([0, 1, 2]);
    await group.ack(...three.slice(1));
    const again = await batch(group, { maxMessages: 1 });
    expect(seen(again)).toEqual([[0, 2]]);
    await group.nothing(0);
    await group.ack(...again);
    expect(seen(await group.receive({ maxMessages: 3 }))).toEqual([
      [3, 1],
      [4, 1],
      [5, 1],
    ]);
  },

  "row 96: without an ack each of eight message groups stands at its own first": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true, invisibleMs: 2_500 });
    await topic.send(...upTo(20).map((body) => ({ body, messageGroup: `g${body % 8}` })));
    for (const attempt of [1, 2]) {
      const came: Message[] = [];
      while (came.length < 8) came.push(...(await batch(group, { maxMessages: 1 })));
      const inOrder = came.toSorted((one, other) => one.offset - other.offset);
      expect(seen(inOrder)).toEqual(upTo(8).map((body) => [body, attempt]));
    }
  },

  "row 97: of a batch whose first alone is acked the rest comes next": async (mq) => {
    const group = await inOneGroup(mq, 6);
    const three = await group.receive({ maxMessages: 3, invisibleMs: 300 });
    await group.ack(...three.slice(0, 1));
    const again = await batch(group, { maxMessages: 2 });
    expect(seen(again)).toEqual([
      [1, 2],
      [2, 2],
    ]);
    await group.ack(...again);
    expect(bodies(await group.take(3))).toEqual([3, 4, 5]);
  },

  "rows 98, 106: one by one in the order of sending, each free at once with the ack before it":
    async (mq) => {
      const group = await inOneGroup(mq, 10);
      let next = group.one({ waitMs: 15_000 });
      for (const body of upTo(10)) {
        const message = await next;
        expect(message).toMatchObject({ body, deliveryAttempt: 1 });
        next = body < 9 ? group.one({ waitMs: 15_000 }) : next;
        await group.nothing(20);
        const ackedAt = Date.now();
        await group.ack(message);
        await next;
        expect(Date.now() - ackedAt).toBeLessThan(12_000);
      }
      await group.nothing(0);
    },

  "row 99: a batch that nobody acks comes again as it was": async (mq) => {
    const group = await inOneGroup(mq, 10);
    for (const attempt of [1, 2]) {
      const five = await batch(group, {
        maxMessages: 5,
        invisibleMs: attempt === 1 ? 300 : LONG_MS,
      });
      expect(seen(five)).toEqual(upTo(5).map((body) => [body, attempt]));
    }
    await group.nothing(0);
  },

  "row 100: a lease made shorter brings the same message a second time, before its followers":
    async (mq) => {
      const group = await inOneGroup(mq, 2);
      const first = await group.one({ invisibleMs: LONG_MS });
      const { invisibleUntil } = await group.extend(first, 1_200);
      await group.nothing(0);
      const second = await group.one();
      expect(second).toMatchObject({ id: first.id, deliveryAttempt: 2 });
      expect(Date.now()).toBeGreaterThanOrEqual(there(invisibleUntil));
      await group.ack(second);
      expect((await group.one()).body).toBe(1);
    },

  "row 101: of three the middle one is delayed; it comes before the fourth, what is acked never":
    async (mq) => {
      const group = await inOneGroup(mq, 4);
      const [first, second, third] = await group.receive({ maxMessages: 3 });
      await group.ack(there(first), there(third));
      await group.nack(there(second), { delayMs: 1_200 });
      await group.nothing(0);
      const again = await group.one();
      expect(seen([again])).toEqual([[1, 2]]);
      await group.ack(again);
      expect(seen([await group.one()])).toEqual([[3, 1]]);
    },

  "row 102: a repeated attempt id counts no delivery, another one does": async (mq) => {
    const group = await inOneGroup(mq, 1);
    const attempts: number[] = [];
    const [a, b] = [unique("a"), unique("b")];
    let last: Message | undefined;
    for (const attemptId of [undefined, a, a, b, b, undefined]) {
      const isNew = attempts.length !== 2 && attempts.length !== 4;
      // Another attempt finds it only after its lease.
      if (isNew && last !== undefined) await group.extend(last, 100);
      last = await group.one({
        invisibleMs: LONG_MS,
        ...(attemptId === undefined ? {} : { attemptId }),
      });
      attempts.push(last.deliveryAttempt);
    }
    expect(attempts).toEqual([1, 2, 2, 3, 3, 4]);
  },

  "row 103: an older receipt frees nothing, the present one does": async (mq) => {
    const group = await inOneGroup(mq, 2);
    const old = await group.one({ invisibleMs: 100 });
    const present = await group.one({ invisibleMs: LONG_MS });
    expect(await group.ack(old)).toMatchObject([{ ok: false, code: "receipt_expired" }]);
    await group.nothing(0);
    expect(await group.ack(present)).toMatchObject([{ ok: true }]);
    expect((await group.one()).body).toBe(1);
  },

  "row 104: deliveries are counted for each message of a batch": async (mq) => {
    const group = await inOneGroup(mq, 3);
    await group.receive({ maxMessages: 3, invisibleMs: 100 });
    const twice = await batch(group, { maxMessages: 3, invisibleMs: 400 });
    expect(seen(twice)).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
    ]);
    await group.ack(...twice.slice(0, 1));
    expect(seen(await batch(group, { maxMessages: 3 }))).toEqual([
      [1, 3],
      [2, 3],
    ]);
  },

  "row 105: a whole batch is acked in one request, and gone": async (mq) => {
    const group = await inOneGroup(mq, 10, { invisibleMs: 300 });
    const ten = await group.receive({ maxMessages: 10 });
    const results = await group.ack(...ten);
    expect(results.map(({ ok }) => ok)).toEqual(upTo(10).map(() => true));
    await group.nothing(500);
    expect((await group.topic.stats()).groups).toMatchObject([{ lag: 0, inFlight: 0 }]);
  },

  "row 107: what failed is tried again before the next, in each of three message groups": async (
    mq,
  ) => {
    const topic = await mq.topic({ queues: 2 });
    const group = await topic.group().make({ ordered: true, backoff: { delaysMs: [50] } });
    await topic.send(...upTo(12).map((body) => ({ body, messageGroup: `g${body % 3}` })));
    const came: Message[] = [];
    while (came.length < 24) {
      const message = await group.one();
      came.push(message);
      if (message.deliveryAttempt === 1) await group.nack(message);
      else await group.ack(message);
    }
    for (const index of [0, 1, 2]) {
      const own = came.filter(({ messageGroup }) => messageGroup === `g${index}`);
      const twice = upTo(4).flatMap((round) =>
        [1, 2].map((attempt) => [3 * round + index, attempt]),
      );
      expect(seen(own)).toEqual(twice);
    }
  },

  "row 108: a failed message of an ordered group comes again each second, as its backoff says":
    async (mq) => {
      const group = await inOneGroup(mq, 2, { maxAttempts: 3, backoff: { delaysMs: [1_000] } });
      let message = await group.one();
      for (const attempt of [2, 3]) {
        const failedAt = Date.now();
        await group.nack(message);
        message = await group.one({ waitMs: 20_000 });
        expect(seen([message])).toEqual([[0, attempt]]);
        expect(Date.now() - failedAt).toBeGreaterThanOrEqual(990);
        expect(Date.now() - failedAt).toBeLessThan(6_000);
      }
      await group.nothing(0);
      await group.ack(message);
      expect((await group.one()).body).toBe(1);
    },

  "row 109: a message can be tried thirty times": async (mq) => {
    const group = await inOneGroup(mq, 2, { maxAttempts: 31 });
    for (const attempt of upTo(30)) {
      const message = await group.one();
      expect(seen([message])).toEqual([[0, attempt + 1]]);
      await group.nack(message, { delayMs: 0 });
    }
    const last = await group.one();
    expect(seen([last])).toEqual([[0, 31]]);
    await group.ack(last);
    expect((await group.one()).body).toBe(1);
    expect(await group.deadLetters()).toEqual([]);
  },

  "row 110: one attempt in an ordered group means no retry": async (mq) => {
    const group = await inOneGroup(mq, 2, { maxAttempts: 1 });
    await group.nack(await group.one(), { delayMs: 0 });
    expect(seen([await group.one({ invisibleMs: LONG_MS })])).toEqual([[1, 1]]);
    await group.nothing();
    expect(await group.deadLetters()).toMatchObject([{ body: 0, deliveryAttempt: 1 }]);
  },

  "row 111: while the first fails the next waits, until the first is a dead letter": async (mq) => {
    const group = await inOneGroup(mq, 5, { maxAttempts: 2, backoff: { delaysMs: [100] } });
    const came: Message[] = [];
    while (came.length < 6) {
      const message = await group.one();
      came.push(message);
      if (message.body === 0) await group.nack(message, { reason: "never" });
      else await group.ack(message);
    }
    expect(bodies(came)).toEqual([0, 0, 1, 2, 3, 4]);
    expect(await group.deadLetters()).toMatchObject([{ body: 0, reason: "never" }]);
  },

  "row 112: one consumer has all in one order; when it stops, another goes on where it was": async (
    mq,
  ) => {
    const group = await inOneGroup(mq, 10);
    const first: unknown[] = [];
    for (const _ of upTo(3)) {
      const message = await group.one();
      first.push(message.body);
      // The other consumer, which asks as well, has nothing.
      await group.nothing(0);
      await group.ack(message);
    }
    expect(first).toEqual([0, 1, 2]);
    // It takes the next, and is gone.
    await group.one({ invisibleMs: 300 });
    const second: Message[] = [];
    await until("the rest", async () => {
      const [message] = await group.receive({ maxMessages: 1, waitMs: 1_000 });
      if (message === undefined) return false;
      second.push(message);
      await group.ack(message);
      return second.length === 7;
    });
    expect(bodies(second)).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(second[0]?.deliveryAttempt).toBe(2);
  },

  "row 113: ten messages fail twice each: twenty retries, ten successes, in order": async (mq) => {
    const group = await inOneGroup(mq, 10, { backoff: { delaysMs: [20] } });
    const came: Message[] = [];
    while (came.length < 30) {
      const message = await group.one();
      came.push(message);
      if (message.deliveryAttempt < 3) await group.nack(message);
      else await group.ack(message);
    }
    expect(seen(came)).toEqual(
      upTo(10).flatMap((body) => [1, 2, 3].map((attempt) => [body, attempt])),
    );
    await group.nothing(0);
  },

  "row 114: an ordered group with a filter gets what matches, in order": async (mq) => {
    const topic = await mq.topic();
    const tags = await topic.group("tags").make({ ordered: true, filter: { tags: ["a", "c"] } });
    const sql = await topic.group("sql").make({ ordered: true, filter: { sql: "n > 4" } });
    await topic.send(
      ...upTo(12).map((body) => ({
        body,
        messageGroup: `g${body % 2}`,
        tag: "abc"[body % 3],
        properties: { n: String(body) },
      })),
    );
    const matching = { tags: upTo(12).filter((body) => body % 3 !== 1), sql: upTo(12).slice(5) };
    for (const group of [tags, sql]) {
      const wanted = group === tags ? matching.tags : matching.sql;
      const taken = await group.take(wanted.length);
      for (const parity of [0, 1])
        expect(bodies(taken.filter(({ messageGroup }) => messageGroup === `g${parity}`))).toEqual(
          wanted.filter((body) => body % 2 === parity),
        );
      await group.nothing(0);
    }
  },

  "row 115: a message group that is not acked repeats itself, the others go on": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    await topic.send(
      ...upTo(6).map((body) => ({ body, messageGroup: body < 3 ? "stuck" : "goes" })),
    );
    const stuck = await group.receive({ maxMessages: 3, invisibleMs: 1_500 });
    expect(bodies(stuck)).toEqual([0, 1, 2]);
    expect(bodies(await group.take(3))).toEqual([3, 4, 5]);
    expect(seen(await batch(group, { maxMessages: 3 }))).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
    ]);
  },
};
