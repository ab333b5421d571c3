/** Limits that a topic or a key sets on its senders: a backlog, and a rate. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, unique } from "./kit.ts";

export const room: Cases = {
  "a full backlog refuses sends with Retry-After and takes them once the slowest group has acked":
    async (mq) => {
      const topic = await mq.topic({ maxBacklog: 3 });
      const slow = await topic.group("slow").make();
      const fast = await topic.group("fast").make();
      await topic.send({ body: 1 }, { body: 2 }, { body: 3 });
      await fast.take(3);
      const answer = await mq.call("POST", `${topic.path}/messages`, { body: 4 });
      expect(answer.status).toBe(429);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(answer.json).toMatchObject({
        code: "backlog_full",
        retryable: true,
        limit: 3,
        actual: 4,
        group: "slow",
        queue: 0,
      });
      await mq.refused([429, "backlog_full"], "POST", `${topic.path}/transactions`, {
        producerGroup: "p",
        message: { body: 4 },
      });
      // It would never fit, whoever acks.
      const four = [1, 2, 3, 4].map((body) => ({ body, messageGroup: "one" }));
      const never = await mq.refused([413, "request_too_large"], "POST", `${topic.path}/messages`, {
        messages: four,
      });
      expect(never).toMatchObject({ field: "messages", limit: 3, actual: 4 });
      await slow.take(1);
      await topic.send({ body: 4 });
      expect(bodies(await topic.peek())).toEqual([1, 2, 3, 4]);
    },

  "a full backlog never refuses a commit, and 0 takes the bound away": async (mq) => {
    const topic = await mq.topic({ maxBacklog: 1 });
    await topic.group().make();
    const { transactionId } = await topic.prepare({ body: "half" });
    await topic.send({ body: "plain" });
    await mq.commit(transactionId);
    await mq.refused([429, "backlog_full"], "POST", `${topic.path}/messages`, { body: 1 });
    expect(await mq.ok("GET", topic.path)).toMatchObject({ maxBacklog: 1 });
    await mq.ok("PUT", topic.path, { maxBacklog: 0 });
    expect(await mq.ok("GET", topic.path)).not.toHaveProperty("maxBacklog");
    await topic.send({ body: 1 });
    expect(bodies(await topic.peek())).toEqual(["plain", "half", 1]);
  },

  "a key with limits sends its burst, then is told when to come again": async (mq) => {
    const topic = await mq.topic();
    const name = unique("key");
    const made = await mq.ok<{ key: string }>("PUT", `/v1/keys/${name}`, {
      scopes: ["send", "transact", "manage"],
      limits: { sendsPerSecond: 1, burst: 5 },
    });
    expect(await mq.ok("GET", `/v1/keys/${name}`)).toMatchObject({
      limits: { sendsPerSecond: 1, burst: 5 },
    });
    const limited = topic.through(mq.with(made.key));
    await limited.send({ body: 1 }, { body: 2 }, { body: 3 });
    await limited.prepare({ body: 4 });
    await limited.send({ body: 5 });
    const answer = await limited.mq.call("POST", `${topic.path}/messages`, {
      messages: [{ body: 6 }, { body: 7 }, { body: 8 }],
    });
    expect(answer.status, answer.text).toBe(429);
    expect(answer.json).toMatchObject({ code: "rate_limited", limit: 1, retryable: true });
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    const many = { messages: Array.from({ length: 6 }, (_, body) => ({ body })) };
    const large = await limited.mq.refused(
      [413, "request_too_large"],
      "POST",
      `${topic.path}/messages`,
      many,
    );
    expect(large).toMatchObject({ field: "messages", limit: 5, actual: 6 });
    await topic.send({ body: "another key" });
    const scopes = ["send"];
    for (const limits of [
      undefined,
      { sendsPerSecond: 2, burst: 5 },
      { sendsPerSecond: 1, burst: 6 },
    ]) {
      const path = `/v1/keys/${unique("key")}`;
      const refused = await limited.mq.refused([403, "forbidden"], "PUT", path, { scopes, limits });
      expect(refused["field"]).toBe("limits");
    }
    await limited.mq.ok("PUT", `/v1/keys/${unique("key")}`, {
      scopes,
      limits: { sendsPerSecond: 1 },
    });
  },

  "limits of a key are whole and at least one": async (mq) => {
    for (const [limits, field] of [
      [{ sendsPerSecond: 0 }, "limits.sendsPerSecond"],
      [{ burst: 5 }, "limits.sendsPerSecond"],
      [{ sendsPerSecond: 1, burst: 0 }, "limits.burst"],
      [{ sendsPerSecond: 1, perMinute: 1 }, "limits.perMinute"],
    ] as const) {
      const path = `/v1/keys/${unique("key")}`;
      const body = { scopes: ["send"], limits };
      const answer = await mq.refused([400, "invalid_request"], "PUT", path, body);
      expect(answer["field"]).toBe(field);
    }
  },

  "a topic with memory durability behaves as others do, as long as nothing crashes": async (mq) => {
    const topic = await mq.topic({ durability: "memory" });
    expect(await mq.ok("GET", topic.path)).toMatchObject({ durability: "memory" });
    const group = await topic.group().make();
    const [first, second] = await topic.send({ body: 1, dedupId: "d" }, { body: 2 });
    expect([first?.offset, second?.offset]).toEqual([0, 1]);
    expect(await topic.sendOne({ body: 3, dedupId: "d" })).toMatchObject({
      id: first?.id,
      state: "duplicate",
    });
    const later = await topic.sendOne({ body: "later", delayMs: 200 });
    const { transactionId } = await topic.prepare({ body: "half" });
    await mq.commit(transactionId);
    const taken = await group.take(4);
    expect(bodies(taken)).toEqual([1, 2, "half", "later"]);
    expect(taken.map(({ id }) => id)).toEqual(
      expect.arrayContaining([first?.id, second?.id, later.id]),
    );
    const once = { once: unique("key") };
    const path = `${topic.path}/messages`;
    const answer = await mq.ok("POST", path, { body: 4 }, once);
    expect(await mq.ok("POST", path, { body: 4 }, once)).toEqual(answer);
    for (const { id } of taken)
      expect(await mq.ok("GET", `/v1/messages/${id}`)).toMatchObject({
        id,
        groups: [{ state: "acked" }],
      });
    await mq.ok("PUT", topic.path, { durability: "disk" });
    expect(await topic.sendOne({ body: 5 })).toMatchObject({ offset: 5, state: "ready" });
  },

  "a shorter dedup window counts at once, and a redrive is not eaten by it": async (mq) => {
    const topic = await mq.topic({ dedupWindowMs: 600_000 });
    const group = await topic.group().make({ maxAttempts: 1 });
    const first = await topic.sendOne({ body: 1, dedupId: "d" });
    await group.nack(await group.one());
    await mq.ok("POST", `${group.path}/dead-letters/redrive`, { ids: [first.id] });
    expect(await group.one()).toMatchObject({ id: first.id, deliveryAttempt: 1 });
    expect(await topic.sendOne({ body: 2, dedupId: "d" })).toMatchObject({
      id: first.id,
      state: "duplicate",
    });
    await mq.ok("PUT", topic.path, { dedupWindowMs: 0 });
    expect((await topic.sendOne({ body: 3, dedupId: "d" })).state).toBe("ready");
    const answer = await mq.refused([400, "invalid_request"], "PUT", topic.path, {
      dedupWindowMs: 7 * 86_400_000 + 1,
    });
    expect(answer["field"]).toBe("dedupWindowMs");
  },
};
