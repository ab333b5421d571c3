/** RocketMQ's cases of leases, retries and dead letters (§7.4), as HalfMQ holds them. */
import { expect } from "vitest";
import { type Cases, type Group, type Mq } from "./client.ts";
import { bodies, type Json, type Message, sorted, there, unique, until } from "./kit.ts";

const LONG_MS = 60_000;
const HOUR_MS = 3_600_000;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, body) => body);

/** A group, and so many messages 0, 1, 2 … that wait for it. */
async function withMessages(mq: Mq, count: number, settings: Json = {}): Promise<Group> {
  const topic = await mq.topic();
  const group = await topic.group().make(settings);
  if (count > 0) await topic.send(...upTo(count).map((body) => ({ body })));
  return group;
}

const seen = (messages: readonly Message[]): unknown[] =>
  messages.map(({ body, deliveryAttempt }) => [body, deliveryAttempt]);

/** When a message comes again, from now, as the server says. */
async function comesInMs(group: Group, { id }: Message): Promise<number> {
  const askedAt = Date.now();
  const view = await group.topic.mq.ok<{ groups: Json[] }>("GET", `/v1/messages/${id}`);
  expect(view.groups).toMatchObject([{ group: group.name, state: "retrying" }]);
  return Number(there(view.groups[0])["dueAt"]) - askedAt;
}

export const retryRows: Cases = {
  "row 116: received and acked one by one and side by side, twenty messages come once each": async (
    mq,
  ) => {
    const group = await withMessages(mq, 20);
    const came: Message[] = [];
    const work = async (inTurn: boolean): Promise<void> => {
      while (came.length < 20) {
        const batch = await group.receive({ maxMessages: 2, waitMs: 300 });
        came.push(...batch);
        if (inTurn) for (const message of batch) await group.ack(message);
        else await Promise.all(batch.map((message) => group.ack(message)));
      }
    };
    await Promise.all([work(true), work(false), work(true), work(false)]);
    expect(sorted(bodies(came))).toEqual(sorted(upTo(20)));
    await group.nothing();
  },

  "row 117: an ack after its lease counts until the message is delivered again, and not after that":
    async (mq) => {
      const group = await withMessages(mq, 1);
      const first = await group.one({ invisibleMs: 100 });
      const second = await group.one({ invisibleMs: 100 });
      expect(second).toMatchObject({ id: first.id, deliveryAttempt: 2 });
      expect(await group.ack(first)).toMatchObject([{ ok: false, code: "receipt_expired" }]);
      await until("its lease is over", () => Date.now() > second.invisibleUntil + 50);
      expect(await group.ack(second)).toMatchObject([{ ok: true }]);
      await group.nothing();
    },

  "row 118: a batch is never larger than asked for, and what was acked never comes again": async (
    mq,
  ) => {
    const group = await withMessages(mq, 300, { invisibleMs: 3_000 });
    const came: Message[] = [];
    for (const maxMessages of [30, 50, 30, 50, 30, 50, 30, 50]) {
      const batch = await group.receive({ maxMessages });
      expect(batch.length).toBeLessThanOrEqual(maxMessages);
      if (batch.length > 0) await group.ack(...batch);
      came.push(...batch);
    }
    expect(sorted(bodies(came))).toEqual(sorted(upTo(300)));
    await group.nothing(3_200);
  },

  "row 119: of twenty the one that is not acked comes again, alone": async (mq) => {
    const group = await withMessages(mq, 20);
    const twenty = await group.receive({ maxMessages: 50, invisibleMs: 1_000 });
    expect(twenty).toHaveLength(20);
    await group.ack(...twenty.filter(({ body }) => body !== 7));
    expect(seen(await group.receive({ maxMessages: 50, waitMs: 10_000 }))).toEqual([[7, 2]]);
    await group.nothing(0);
  },

  "row 120: a lease of what is acked cannot be made longer": async (mq) => {
    const group = await withMessages(mq, 1);
    const message = await group.one();
    await group.ack(message);
    expect(await group.extend(message, LONG_MS)).toMatchObject({
      ok: false,
      code: "receipt_expired",
    });
    await group.nothing();
  },

  "row 121: an extended lease ends when it says, not before": async (mq) => {
    const group = await withMessages(mq, 1);
    const first = await group.one({ invisibleMs: 1_500 });
    const { invisibleUntil } = await group.extend(first, 2_500);
    const again = await group.one({ invisibleMs: LONG_MS });
    const deliveredAt = again.invisibleUntil - LONG_MS;
    expect(deliveredAt).toBeGreaterThanOrEqual(there(invisibleUntil));
    expect(deliveredAt).toBeLessThan(there(invisibleUntil) + 5_000);
  },

  "row 122: what is never acked comes again with each lease's end, one attempt more each time":
    async (mq) => {
      const group = await withMessages(mq, 1, { invisibleMs: 400 });
      let endsAt = 0;
      for (const attempt of [1, 2, 3]) {
        const message = await group.one();
        expect(message.deliveryAttempt).toBe(attempt);
        const deliveredAt = message.invisibleUntil - 400;
        expect(deliveredAt).toBeGreaterThanOrEqual(endsAt);
        if (attempt > 1) expect(deliveredAt).toBeLessThan(endsAt + 5_000);
        endsAt = message.invisibleUntil;
      }
    },

  "row 123: a lease has 100 ms at least and twelve hours at most": async (mq) => {
    const group = await withMessages(mq, 2);
    const path = `${group.path}/receive`;
    for (const invisibleMs of [99, 12 * HOUR_MS + 1]) {
      const answer = await mq.refused([400, "invalid_request"], "POST", path, { invisibleMs });
      expect(answer).toMatchObject({ field: "invisibleMs", actual: invisibleMs });
    }
    const longest = await group.one({ invisibleMs: 12 * HOUR_MS });
    expect(longest.invisibleUntil).toBeGreaterThan(Date.now() + 11 * HOUR_MS);
    expect((await group.one({ invisibleMs: 100 })).body).toBe(1);
  },

  "row 124: a batch of none, and one of more than a thousand, are refused by name": async (mq) => {
    const group = await withMessages(mq, 3);
    const path = `${group.path}/receive`;
    for (const maxMessages of [0, 1_001, 100_000]) {
      const answer = await mq.refused([400, "invalid_request"], "POST", path, { maxMessages });
      expect(answer).toMatchObject({ field: "maxMessages", actual: maxMessages });
    }
    expect(await group.receive({ maxMessages: 1_000 })).toHaveLength(3);
  },

  "rows 125, 132: a wait ends with the first message, or with none when it is over": async (mq) => {
    const group = await withMessages(mq, 0);
    const began = Date.now();
    expect(await group.receive({ waitMs: 1_000 })).toEqual([]);
    expect(Date.now() - began).toBeGreaterThanOrEqual(990);
    expect(Date.now() - began).toBeLessThan(8_000);
    const waiting = group.receive({ waitMs: 15_000 });
    await group.topic.send({ body: "there" });
    expect(bodies(await waiting)).toEqual(["there"]);
    expect(Date.now() - began).toBeLessThan(14_000);
  },

  "row 126: of an old receipt and the present one in one request one is ok": async (mq) => {
    const group = await withMessages(mq, 1);
    const first = await group.one();
    const extended = await group.extend(first, 200);
    const second = await group.one();
    expect(await group.ack(extended.receipt, second)).toEqual([
      { receipt: extended.receipt, ok: false, code: "receipt_expired" },
      { receipt: second.receipt, ok: true },
    ]);
    await group.nothing();
  },

  "row 127: two attempts mean two deliveries, then a dead letter with the same id": async (mq) => {
    const group = await withMessages(mq, 1, { maxAttempts: 2 });
    const first = await group.one({ invisibleMs: 100 });
    const second = await group.one({ invisibleMs: 100 });
    expect([first.id, second.deliveryAttempt]).toEqual([second.id, 2]);
    await until("it is dead", async () => (await group.deadLetters()).length === 1);
    expect(await group.deadLetters()).toMatchObject([
      { id: first.id, body: 0, deliveryAttempt: 2, reason: "lease_expired" },
    ]);
    await group.nothing();
  },

  "row 128: a body of 1 MiB is received whole": async (mq) => {
    const group = await withMessages(mq, 0);
    const body = "large ".repeat(174_762).slice(0, 1_048_574);
    await group.topic.send({ body });
    const message = await group.one();
    expect(message.body === body).toBe(true);
    await group.ack(message);
  },

  "row 129: ten messages fail twice each: twenty retries, then ten successes": async (mq) => {
    const group = await withMessages(mq, 10, { backoff: { delaysMs: [100, 200] } });
    const came: Message[] = [];
    while (came.length < 30) {
      const batch = await group.receive({ maxMessages: 10, waitMs: 5_000 });
      came.push(...batch);
      for (const message of batch)
        if (message.deliveryAttempt < 3) await group.nack(message);
        else await group.ack(message);
    }
    expect(sorted(seen(came))).toEqual(
      sorted(upTo(10).flatMap((body) => [1, 2, 3].map((attempt) => [body, attempt]))),
    );
    await group.nothing();
    expect((await group.topic.stats()).groups).toMatchObject([{ lag: 0, deadLetters: 0 }]);
  },

  "row 130: what was acked in one request or in many is not delivered again": async (mq) => {
    const group = await withMessages(mq, 100, { invisibleMs: 2_000 });
    const half = await group.receive({ maxMessages: 50 });
    await group.ack(...half);
    const other = await group.receive({ maxMessages: 50 });
    await Promise.all(other.map((message) => group.ack(message)));
    expect(new Set(bodies([...half, ...other])).size).toBe(100);
    await group.nothing(2_200);
    expect((await group.topic.stats()).groups).toMatchObject([{ lag: 0, retrying: 0 }]);
  },

  "row 131: an ack of what is not there says what is missing": async (mq) => {
    const group = await withMessages(mq, 1);
    const { receipt } = await group.one();
    const receipts = [receipt];
    const nowhere = `/v1/topics/${unique("nowhere")}/groups/g/ack`;
    await mq.refused([404, "topic_not_found"], "POST", nowhere, { receipts });
    const stranger = `${group.topic.path}/groups/stranger/ack`;
    await mq.refused([404, "group_not_found"], "POST", stranger, { receipts });
    const beyond = receipt.replace(/\d+$/u, "999");
    expect(await group.ack(beyond, `${receipt}x`, receipt)).toMatchObject([
      { ok: false, code: "receipt_invalid" },
      { ok: false, code: "receipt_invalid" },
      { ok: true },
    ]);
  },

  "row 133: the first retry comes after ten seconds, the second after thirty, where a list says so":
    async (mq) => {
      const group = await withMessages(mq, 1, { backoff: { delaysMs: [10_000, 30_000] } });
      const first = await group.one();
      await group.nack(first);
      const tenMs = await comesInMs(group, first);
      expect(tenMs).toBeGreaterThan(8_000);
      expect(tenMs).toBeLessThanOrEqual(10_000);
      // By default it grows from ten seconds by two, and chance adds up to a fifth.
      const usual = await group.topic.group("usual").make();
      const once = await usual.one();
      await usual.nack(once, { delayMs: 0 });
      const twice = await usual.one();
      await usual.nack(twice);
      const view = await mq.ok<{ groups: Json[] }>("GET", `/v1/messages/${first.id}`);
      const own = there(view.groups.find((each) => each["group"] === "usual"));
      expect(own).toMatchObject({ state: "retrying", deliveryAttempt: 2 });
      const inMs = Number(own["dueAt"]) - Date.now();
      expect(inMs).toBeGreaterThan(15_000);
      expect(inMs).toBeLessThanOrEqual(24_000);
    },

  "row 134: one attempt means no retry": async (mq) => {
    const group = await withMessages(mq, 1, { maxAttempts: 1, backoff: { delaysMs: [100] } });
    await group.nack(await group.one(), { reason: "once" });
    await group.nothing(500);
    expect(await group.deadLetters()).toMatchObject([{ deliveryAttempt: 1, reason: "once" }]);
  },

  "row 135: a handler that fails, that says nothing, and that is too late: each is tried again":
    async (mq) => {
      const group = await withMessages(mq, 3, { backoff: { delaysMs: [50] } });
      const fails = await group.one();
      const silent = await group.one({ invisibleMs: 300 });
      const late = await group.one({ invisibleMs: 300 });
      await group.nack(fails, { reason: "threw" });
      const again: Message[] = [];
      while (again.length < 3)
        again.push(...(await group.receive({ waitMs: 5_000, invisibleMs: LONG_MS })));
      expect(sorted(seen(again))).toEqual(sorted(upTo(3).map((body) => [body, 2])));
      expect(await group.ack(silent, late)).toMatchObject([{ ok: false }, { ok: false }]);
      await group.ack(...again);
      await group.nothing();
    },

  "row 136: of a batch the failed ones come again, the others do not": async (mq) => {
    const group = await withMessages(mq, 10);
    const ten = await group.receive({ maxMessages: 10 });
    const odd = ten.filter(({ body }) => Number(body) % 2 === 1);
    await group.ack(...ten.filter((message) => !odd.includes(message)));
    await group.settle("nack", { receipts: odd.map(({ receipt }) => receipt), delayMs: 0 });
    const again: Message[] = [];
    while (again.length < 5) again.push(...(await group.receive({ waitMs: 5_000 })));
    expect(sorted(seen(again))).toEqual(sorted([1, 3, 5, 7, 9].map((body) => [body, 2])));
    await group.ack(...again);
    await group.nothing();
  },

  "row 137: a message that is not to be retried is a dead letter at once": async (mq) => {
    const group = await withMessages(mq, 2);
    const message = await group.one();
    await group.nack(message, { retry: false, reason: "useless" });
    expect(await group.deadLetters()).toMatchObject([
      { id: message.id, deliveryAttempt: 1, reason: "useless" },
    ]);
    expect(bodies(await group.take(1))).toEqual([1]);
    await group.nothing();
  },

  "row 138: no name of a group is the system's own; what is no name is refused": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 });
    for (const name of ["CID_RMQ_SYS_TRANS", "%RETRY%g", "DEFAULT_CONSUMER", "x".repeat(127)])
      expect(bodies(await topic.group(name).take(1))).toEqual([1]);
    for (const name of ["a b", "a/b", "x".repeat(128), "ü"]) {
      const path = topic.group(name).path;
      const answer = await mq.refused([400, "invalid_request"], "PUT", path, {});
      expect(answer["field"]).toBe("group");
    }
  },
};
