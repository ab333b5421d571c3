/** Topics: made, changed, listed, deleted, and made anew under the same name. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, type Json, there, unique } from "./kit.ts";

const many = (count: number, text: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`label-${at}`, text]));

export const topics: Cases = {
  "a topic is made with 201, known with 200, and changed by named fields only": async (mq) => {
    const path = `/v1/topics/${unique("topic")}`;
    expect((await mq.call("PUT", path, { queues: 2, retentionMs: 60_000 })).status).toBe(201);
    const again = await mq.call("PUT", path, { dedupWindowMs: 0 });
    expect(again.status).toBe(200);
    expect((await mq.call("PUT", path, {})).status).toBe(200);
    expect(await mq.ok("GET", path)).toMatchObject({
      queues: 2,
      retentionMs: 60_000,
      dedupWindowMs: 0,
      transaction: { timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 },
    });
  },

  "labels are set and taken away one by one, within their limits": async (mq) => {
    const topic = await mq.topic({ labels: { owner: "shop", empty: "" } });
    const shown = async () => (await mq.ok("GET", topic.path))["labels"];
    expect(await shown()).toEqual({ owner: "shop", empty: "" });
    await mq.ok("PUT", topic.path, { labels: { stage: "test" } });
    await mq.ok("PUT", topic.path, { labels: { empty: null }, trace: true });
    expect(await shown()).toEqual({ owner: "shop", stage: "test" });
    await mq.ok("PUT", topic.path, { labels: { owner: null, stage: null, unknown: null } });
    expect(await shown()).toBeUndefined();
    await mq.ok("PUT", topic.path, { labels: many(128, "") });
    for (const labels of [{ "one-more": "" }, { "label-0": "x".repeat(2_049) }, { "": "" }])
      await mq.refused([400, "invalid_request"], "PUT", topic.path, { labels });
    const large = await mq.refused([400, "invalid_request"], "PUT", topic.path, {
      labels: many(16, "x".repeat(2_000)),
    });
    expect(large).toMatchObject({ field: "labels", limit: 16_384 });
  },

  "a topic that nobody made is 404 on every reading route": async (mq) => {
    const path = `/v1/topics/${unique("nothing")}`;
    const routes = ["", "/stats", "/messages", "/transactions", "/groups", "/groups/g"];
    for (const route of routes)
      await mq.refused([404, "topic_not_found"], "GET", `${path}${route}`);
    await mq.refused([404, "topic_not_found"], "DELETE", path);
  },

  "queues grow and never shrink": async (mq) => {
    const topic = await mq.topic({ queues: 3 });
    await mq.ok("PUT", topic.path, { queues: 3 });
    const answer = await mq.refused([409, "immutable_field"], "PUT", topic.path, { queues: 2 });
    expect(answer["field"]).toBe("queues");
    await mq.ok("PUT", topic.path, { queues: 5 });
    expect((await topic.stats()).queues.map((each) => each.queue)).toEqual([0, 1, 2, 3, 4]);
  },

  "topics are listed over pages that show nothing twice while others come": async (mq) => {
    const space = mq.with(mq.key, { "halfmq-namespace": unique("ns") });
    const names = Array.from({ length: 5 }, () => unique("topic"));
    for (const name of names) await space.ok("PUT", `/v1/topics/${name}`, {});
    const first = await space.ok<{ items: { topic: string }[]; nextCursor: string }>(
      "GET",
      "/v1/topics?limit=2",
    );
    expect(first.items).toHaveLength(2);
    const late = unique("topic");
    await space.ok("PUT", `/v1/topics/${late}`, {});
    await space.ok("DELETE", `/v1/topics/${there(first.items[0]).topic}`);
    const rest = await space.all<{ topic: string }>(
      `/v1/topics?cursor=${encodeURIComponent(first.nextCursor)}`,
    );
    const seen = [...first.items, ...rest].map((each) => each.topic);
    expect(new Set(seen).size).toBe(seen.length);
    expect(names.every((name) => seen.includes(name))).toBe(true);
    for (const limit of [0, 1_001, "x"])
      await space.refused([400, "invalid_request"], "GET", `/v1/topics?limit=${limit}`);
  },

  "a topic with work is not deleted, and the counts say what would be lost": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    await topic.send({ body: 2, delayMs: 60_000 }, { body: 3, delayMs: 60_000 });
    const answer = await mq.refused([409, "topic_in_use"], "DELETE", topic.path);
    expect(answer).toMatchObject({ prepared: 1, delayed: 2 });
    expect((await mq.transaction(transactionId)).state).toBe("prepared");
    await mq.ok("DELETE", `${topic.path}?force=true`);
    await mq.refused([404, "topic_not_found"], "GET", topic.path);
  },

  "plain messages, read or not, do not keep a topic": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 });
    await mq.ok("DELETE", topic.path);
    await mq.refused([404, "topic_not_found"], "GET", topic.path);
  },

  "a deleted name is made again by PUT only, and then it is empty": async (mq) => {
    const topic = await mq.topic({ queues: 2, retentionMs: 60_000 });
    await topic.send({ body: "old", keys: ["k"], dedupId: "d" });
    await topic.group().make();
    const { transactionId } = await topic.prepare({ body: "half" });
    await mq.ok("DELETE", `${topic.path}?force=true`);
    await mq.refused([404, "topic_not_found"], "POST", `${topic.path}/messages`, { body: 1 });
    const receive = `${topic.path}/groups/g/receive`;
    await mq.refused([404, "topic_not_found"], "POST", receive, {});
    expect((await mq.call("PUT", topic.path, {})).status).toBe(201);
    expect(await mq.ok("GET", topic.path)).toMatchObject({
      queues: 1,
      retentionMs: 259_200_000,
    });
    expect(await topic.peek()).toEqual([]);
    expect(await topic.peek("?key=k")).toEqual([]);
    expect(await mq.all(`${topic.path}/groups`)).toEqual([]);
    expect(await mq.all(`${topic.path}/transactions`)).toEqual([]);
    const stats = await topic.stats();
    expect(stats.queues).toEqual([
      expect.objectContaining({ queue: 0, nextOffset: 0, prepared: 0, delayed: 0 }),
    ]);
    expect(await topic.sendOne({ body: "new", dedupId: "d" })).toMatchObject({
      state: "ready",
      offset: 0,
    });
    const dead = await mq.decide(transactionId, "commit");
    expect(dead.status).toBe(404);
    expect(dead.json["code"]).toBe("transaction_not_found");
    expect(bodies(await topic.group().take(1))).toEqual(["new"]);
  },

  "ids and receipts of a deleted topic are dead in the new one of its name": async (mq) => {
    const topic = await mq.topic();
    const [one, delayed] = await topic.send({ body: 1 }, { body: 2, delayMs: 60_000 });
    const old = await topic.group().one();
    await mq.ok("DELETE", `${topic.path}?force=true`);
    await mq.ok("PUT", topic.path, {});
    await topic.send({ body: "new" });
    const fresh = await topic.group().one();
    for (const id of [there(one).id, there(delayed).id])
      await mq.refused([404, "message_not_found"], "GET", `/v1/messages/${id}`);
    await mq.refused([404, "message_not_found"], "DELETE", `/v1/messages/${there(delayed).id}`);
    const [result] = await topic.group().ack(old);
    expect(result).toMatchObject({ ok: false });
    const stats = await topic.stats();
    expect(stats.groups[0], "the new one's lease is untouched").toMatchObject({ inFlight: 1 });
    expect((await topic.group().ack(fresh))[0]?.ok).toBe(true);
  },

  "a topic's settings have limits, each named": async (mq) => {
    const path = `/v1/topics/${unique("topic")}`;
    const dayMs = 86_400_000;
    const bad: readonly (readonly [Json, string])[] = [
      [{ queues: 0 }, "queues"],
      [{ queues: 257 }, "queues"],
      [{ queues: 1.5 }, "queues"],
      [{ retentionMs: 59_999 }, "retentionMs"],
      [{ retentionMs: 30 * dayMs + 1 }, "retentionMs"],
      [{ dedupWindowMs: -1 }, "dedupWindowMs"],
      [{ dedupWindowMs: 7 * dayMs + 1 }, "dedupWindowMs"],
      [{ transaction: { maxChecks: 0 } }, "transaction.maxChecks"],
      [{ transaction: { maxChecks: 101 } }, "transaction.maxChecks"],
      [{ transaction: { timeoutMs: 99 } }, "transaction.timeoutMs"],
      [{ durability: "paper" }, "durability"],
      [{ retention: 1 }, "retention"],
      [{ transaction: { timeout: 1 } }, "transaction.timeout"],
    ];
    for (const [settings, field] of bad) {
      const answer = await mq.refused([400, "invalid_request"], "PUT", path, settings);
      expect(answer["field"], JSON.stringify(settings)).toBe(field);
    }
    await mq.refused([404, "topic_not_found"], "GET", path);
    await mq.ok("PUT", path, {
      retentionMs: 30 * dayMs,
      dedupWindowMs: 7 * dayMs,
      transaction: { maxChecks: 100, timeoutMs: 100, intervalMs: dayMs },
    });
  },

  "a name has up to 127 of its signs and is neither . nor ..": async (mq) => {
    const long = `${unique("n")}${"x".repeat(127)}`.slice(0, 127);
    await mq.ok("PUT", `/v1/topics/${long}`, {});
    for (const name of [`${long}x`, "a b", "a/b", "ä", "a\u0000"])
      await mq.refused(
        [400, "invalid_request"],
        "PUT",
        `/v1/topics/${encodeURIComponent(name)}`,
        {},
      );
  },

  "a change of settings is in force at once for the next prepare": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 });
    const transaction = { timeoutMs: 1_234, intervalMs: 2_345, maxChecks: 3 };
    await mq.ok("PUT", topic.path, { transaction });
    const { check } = await topic.prepare({ body: 1 }, { check: undefined });
    expect(check).toEqual(transaction);
    const mixed = await topic.prepare({ body: 1 }, { check: { maxChecks: 7 } });
    expect(mixed.check, "what a transaction leaves out is the topic's").toEqual({
      ...transaction,
      maxChecks: 7,
    });
  },
};
