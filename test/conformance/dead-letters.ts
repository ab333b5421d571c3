/** Attempts that run out, dead letters and their redrive. */
import { expect } from "vitest";
import { type Cases, type Group, type Mq } from "./client.ts";
import { bodies, type Json, sorted, there, until } from "./kit.ts";

async function failing(mq: Mq, settings: Json = {}, ofTopic: Json = {}): Promise<Group> {
  const topic = await mq.topic(ofTopic);
  return topic.group().make({ maxAttempts: 2, backoff: { delaysMs: [100] }, ...settings });
}

/** Nacks the next `times` deliveries. */
async function fail(group: Group, times: number, more: Json = {}): Promise<string> {
  let id = "";
  for (let index = 0; index < times; index += 1) {
    const message = await group.one();
    ({ id } = message);
    await group.nack(message, more);
  }
  return id;
}

const inOrder = (body: string): Json => ({ body, messageGroup: "a" });

const lettersBecome = (group: Group, count: number): Promise<Json[]> =>
  until(`${count} dead letters`, async () => {
    const letters = await group.deadLetters();
    return letters.length === count && letters;
  });

export const deadLetters: Cases = {
  "a message that fails maxAttempts times becomes a dead letter with the last reason": async (
    mq,
  ) => {
    const group = await failing(mq);
    const sent = await group.topic.sendOne({ body: { a: 1 }, keys: ["k"] });
    await fail(group, 2, { reason: "no stock" });
    const [letter] = await lettersBecome(group, 1);
    expect(letter).toMatchObject({ id: sent.id, body: { a: 1 }, keys: ["k"], reason: "no stock" });
    await group.nothing();
    const stats = await group.topic.stats();
    expect(stats.groups[0]).toMatchObject({ deadLetters: 1, lag: 0, inFlight: 0, retrying: 0 });
    expect(await mq.ok("GET", `/v1/messages/${sent.id}`)).toMatchObject({
      state: "ready",
      groups: [{ group: "g", state: "deadLettered" }],
    });
  },

  "dead letters are deleted by their ids, and the others stay": async (mq) => {
    const group = await failing(mq, {}, { queues: 2 });
    const sent = await group.topic.send(...["a", "b", "c"].map((body) => ({ body })));
    for (let left = 3; left > 0;) {
      const messages = await group.receive({ maxMessages: 3, waitMs: 5_000 });
      const receipts = messages.map(({ receipt }) => receipt);
      await mq.ok("POST", `${group.path}/nack`, { receipts, retry: false });
      left -= messages.length;
    }
    await lettersBecome(group, 3);
    const path = `${group.path}/dead-letters`;
    const [a, b] = sent.map(({ id }) => id);
    expect(await mq.ok("DELETE", `${path}?ids=${a},${b},unknown`)).toEqual({ purged: 2 });
    expect(await mq.ok("DELETE", `${path}?ids=${a}`)).toEqual({ purged: 0 });
    expect((await lettersBecome(group, 1)).map((letter) => letter["body"])).toEqual(["c"]);
    await mq.refused([400, "invalid_request"], "DELETE", `${path}?ids=`);
    expect(await mq.ok("DELETE", path)).toEqual({ purged: 1 });
  },

  "a list of large dead letters comes in answers of at most 8 MiB, and shows each once": async (
    mq,
  ) => {
    const group = await failing(mq);
    const large = "AAAA".repeat(256 * 1024);
    for (let index = 0; index < 12; index += 1) {
      await group.topic.send({ bodyBase64: large, keys: [`k${index}`] });
    }
    for (let left = 12; left > 0;) {
      const messages = await group.receive({ maxMessages: 12 });
      const receipts = messages.map(({ receipt }) => receipt);
      await mq.ok("POST", `${group.path}/nack`, { receipts, retry: false });
      left -= messages.length;
    }
    const keys: unknown[] = [];
    let query = "?limit=100";
    for (let pages = 0; query !== ""; pages += 1) {
      expect(pages).toBeLessThan(12);
      const page = await mq.call("GET", `${group.path}/dead-letters${query}`);
      expect(page.status).toBe(200);
      expect(JSON.stringify(page.json).length).toBeLessThanOrEqual(8 * 1024 * 1024);
      const { items, nextCursor } = page.json as { items: Json[]; nextCursor?: string };
      keys.push(...items.flatMap((item) => item["keys"]));
      query = nextCursor === undefined ? "" : `?limit=100&cursor=${nextCursor}`;
    }
    expect(keys).toEqual(Array.from({ length: 12 }, (_, index) => `k${index}`));
  },

  "a redrive without ids puts back all, however many there are": async (mq) => {
    const group = await failing(mq);
    const batch = Array.from({ length: 800 }, (_, index) => ({ body: index }));
    for (let round = 0; round < 2; round += 1) {
      await group.topic.send(...batch);
      const messages = await group.receive({ maxMessages: 1_000 });
      const receipts = messages.map(({ receipt }) => receipt);
      await mq.ok("POST", `${group.path}/nack`, { receipts, retry: false });
    }
    const answer = await mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
    expect(answer).toEqual({ redriven: 1_600 });
    expect((await group.topic.stats()).groups[0]).toMatchObject({ deadLetters: 0, lag: 1_600 });
  },

  "a lease that runs out is a failed delivery: lease_expired": async (mq) => {
    const group = await failing(mq, { invisibleMs: 100, maxAttempts: 2 });
    await group.topic.send({ body: 1 });
    await group.one();
    await group.one();
    const [letter] = await lettersBecome(group, 1);
    expect(letter).toMatchObject({ reason: "lease_expired" });
  },

  "in an ordered group a redriven dead letter comes at the end of its message group, and holds it":
    async (mq) => {
      const group = await (await mq.topic()).group().make({ ordered: true });
      await group.topic.send(inOrder("first"), inOrder("second"));
      const first = await group.one();
      await group.nack(first, { retry: false });
      await mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
      await group.topic.send(inOrder("third"));
      const second = await group.one();
      expect(second.body).toBe("second");
      await group.nothing(0);
      await group.ack(second);
      const back = await group.one();
      expect(back).toMatchObject({ id: first.id, body: "first", deliveryAttempt: 1 });
      await group.nothing(0);
      await group.ack(back);
      expect(await group.one()).toMatchObject({ body: "third" });
    },

  "retry false goes straight to the dead letters": async (mq) => {
    const group = await failing(mq, { maxAttempts: 16 });
    await group.topic.send({ body: 1 });
    await fail(group, 1, { retry: false, reason: "poison" });
    const [letter] = await lettersBecome(group, 1);
    expect(letter).toMatchObject({ body: 1, reason: "poison" });
  },

  "maxAttempts 1 gives one chance": async (mq) => {
    const group = await failing(mq, { maxAttempts: 1 });
    await group.topic.send({ body: 1 });
    await fail(group, 1);
    await lettersBecome(group, 1);
    await group.nothing();
  },

  "a redriven letter comes back for this group only, with the same id and attempt 1": async (
    mq,
  ) => {
    const group = await failing(mq);
    const other = await group.topic.group("other").make();
    const sent = await group.topic.sendOne({ body: 1 });
    await other.take(1);
    await fail(group, 2);
    await lettersBecome(group, 1);
    await mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
    const again = await group.one();
    expect(again).toMatchObject({ id: sent.id, body: 1, deliveryAttempt: 1 });
    await group.ack(again);
    expect(await group.deadLetters()).toEqual([]);
    await other.nothing();
    await group.nothing(0);
  },

  "a redrive of named ids leaves the others": async (mq) => {
    const group = await failing(mq, { maxAttempts: 1 });
    const sent = await group.topic.send({ body: 1 }, { body: 2 }, { body: 3 });
    await fail(group, 3);
    await lettersBecome(group, 3);
    await mq.ok("POST", `${group.path}/dead-letters/redrive`, { ids: [there(sent[1]).id] });
    const again = await group.one();
    expect(again.body).toBe(2);
    await group.ack(again);
    expect(bodies((await group.deadLetters()) as never)).toEqual([1, 3]);
    await group.nothing();
  },

  "a redrive at a rate puts back no more a second, over all queues, and says how far it is": async (
    mq,
  ) => {
    const group = await failing(mq, { maxAttempts: 1 }, { queues: 2 });
    await group.topic.send(
      ...Array.from({ length: 8 }, (_, body) => ({ body, messageGroup: `m${body}` })),
    );
    await fail(group, 8);
    await lettersBecome(group, 8);
    const path = `${group.path}/dead-letters/redrive`;
    expect(await mq.ok("GET", path)).toEqual({ state: "none", redriven: 0, remaining: 0 });
    const began = Date.now();
    const first = await mq.ok("POST", path, { ratePerSecond: 4 });
    expect(first).toMatchObject({ state: "running", ratePerSecond: 4 });
    expect(Number(first["redriven"]) + Number(first["remaining"])).toBe(8);
    const taken = await group.take(8);
    // Each of the two queues may begin with one.
    expect(Date.now() - began).toBeGreaterThanOrEqual(1_450);
    expect(sorted(bodies(taken))).toEqual(sorted([0, 1, 2, 3, 4, 5, 6, 7]));
    expect(taken.every(({ deliveryAttempt }) => deliveryAttempt === 1)).toBe(true);
    expect(await mq.ok("GET", path)).toMatchObject({ state: "done", redriven: 8, remaining: 0 });
  },

  "a redrive at a rate is stopped, another takes its place, and named ids alone are moved": async (
    mq,
  ) => {
    const group = await failing(mq, { maxAttempts: 1 });
    const sent = await group.topic.send(...Array.from({ length: 5 }, (_, body) => ({ body })));
    await fail(group, 5);
    await lettersBecome(group, 5);
    const path = `${group.path}/dead-letters/redrive`;
    for (const ratePerSecond of [0, -1, "1", 100_001]) {
      const answer = await mq.refused([400, "invalid_request"], "POST", path, { ratePerSecond });
      expect(answer["field"]).toBe("ratePerSecond");
    }
    // The next would come in ten seconds.
    const slow = await mq.ok("POST", path, { ratePerSecond: 0.1 });
    expect(slow).toMatchObject({ state: "running", redriven: 1, remaining: 4 });
    expect(await mq.ok("DELETE", path)).toMatchObject({ state: "stopped", remaining: 4 });
    expect(bodies(await group.take(1))).toEqual([0]);
    const ids = [there(sent[3]).id, there(sent[2]).id];
    await mq.ok("POST", path, { ratePerSecond: 0.1, ids });
    expect(await mq.ok("POST", path, { ratePerSecond: 100, ids })).toMatchObject({ remaining: 0 });
    expect(bodies(await group.take(2))).toEqual([2, 3]);
    expect(bodies((await group.deadLetters()) as never)).toEqual([1, 4]);
    await group.nothing();
  },

  "a redriven letter can die again": async (mq) => {
    const group = await failing(mq, { maxAttempts: 1 });
    await group.topic.send({ body: 1 });
    await fail(group, 1, { reason: "first" });
    await lettersBecome(group, 1);
    await mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
    await fail(group, 1, { reason: "second" });
    const [letter] = await lettersBecome(group, 1);
    expect(letter).toMatchObject({ reason: "second" });
  },

  "dead letters are deleted on demand and listed over pages": async (mq) => {
    const group = await failing(mq, { maxAttempts: 1 });
    await group.topic.send(...Array.from({ length: 5 }, (_, body) => ({ body })));
    await fail(group, 5);
    await lettersBecome(group, 5);
    const listed = await mq.all<{ body: number }>(`${group.path}/dead-letters`, 2);
    expect(listed.map((each) => each.body)).toEqual([0, 1, 2, 3, 4]);
    await mq.ok("DELETE", `${group.path}/dead-letters`);
    expect(await group.deadLetters()).toEqual([]);
    await mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
    await group.nothing();
  },
};
