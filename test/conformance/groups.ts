/** Consumer groups: where they start, their settings, filters, seek, pause, broadcast. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, type Json, there, unique, until } from "./kit.ts";

export const groups: Cases = {
  "a group starts at the earliest message, at the latest, or at a time": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const five = Array.from({ length: 5 }, (_, body) => ({ body, messageGroup: `g${body}` }));
    await topic.send(...five);
    const shown = await topic.peek();
    const after = Math.max(...shown.map((each) => each.storedAt)) + 1;
    await until("the clock is past them", () => Date.now() > after + 20);
    const latest = await topic.group("latest").make({ startFrom: "latest" });
    const timed = await topic.group("timed").make({ startFrom: after });
    await topic.send({ body: "new" });
    expect(bodies(await topic.group("earliest").take(6))).toHaveLength(6);
    expect(bodies(await latest.take(1))).toEqual(["new"]);
    await latest.nothing(0);
    expect(bodies(await timed.take(1))).toEqual(["new"]);
    await timed.nothing(0);
  },

  "a group exists in every queue before its making answers": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const group = await topic.group().make({ startFrom: "latest" });
    const many = Array.from({ length: 20 }, (_, body) => ({ body, messageGroup: `g${body}` }));
    await topic.send(...many);
    expect(await group.take(20)).toHaveLength(20);
  },

  "a queue added later is read from its beginning, also by a group that started at the latest":
    async (mq) => {
      const topic = await mq.topic();
      await topic.send({ body: "old" });
      const group = await topic.group().make({ startFrom: "latest" });
      await mq.ok("PUT", topic.path, { queues: 4 });
      const many = Array.from({ length: 20 }, (_, body) => ({ body, messageGroup: `g${body}` }));
      await topic.send(...many);
      const taken = await group.take(20);
      expect(new Set(bodies(taken)).has("old")).toBe(false);
      expect(taken).toHaveLength(20);
    },

  "a group is made with defaults, changed by named fields, read, listed and deleted": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const { path } = topic.group("a");
    expect((await mq.call("PUT", path, {})).status).toBe(201);
    expect((await mq.call("PUT", path, { invisibleMs: 5_000 })).status).toBe(200);
    const seen = await mq.ok("GET", path);
    expect(seen).toMatchObject({
      group: "a",
      startFrom: "earliest",
      invisibleMs: 5_000,
      maxAttempts: 16,
      backoff: { initialMs: 10_000, factor: 2, maxMs: 7_200_000 },
      ordered: false,
      onPoison: "deadLetter",
      mode: "shared",
    });
    await topic.group("b").make();
    const listed = await mq.all<{ group: string }>(`${topic.path}/groups`, 1);
    expect(listed.map((each) => each.group).toSorted()).toEqual(["a", "b"]);
    await mq.ok("DELETE", path);
    await mq.refused([404, "group_not_found"], "GET", path);
    await mq.refused([404, "group_not_found"], "DELETE", path);
  },

  "startFrom and mode cannot change; repeating them is no change": async (mq) => {
    const topic = await mq.topic();
    const { path } = await topic.group().make({ startFrom: "latest" });
    await mq.ok("PUT", path, { startFrom: "latest", mode: "shared", maxAttempts: 3 });
    for (const change of [{ startFrom: "earliest" }, { startFrom: 5 }, { mode: "broadcast" }]) {
      const answer = await mq.refused([409, "immutable_field"], "PUT", path, change);
      expect(answer["field"]).toBe(Object.keys(change)[0]);
    }
  },

  "a settings change counts for the next delivery": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ invisibleMs: 3_600_000 });
    await topic.send({ body: 1 });
    await group.make({ invisibleMs: 200 });
    const first = await group.one();
    expect(first.invisibleUntil - Date.now()).toBeLessThan(5_000);
    expect(await group.one()).toMatchObject({ deliveryAttempt: 2 });
  },

  "a tags filter lets only its tags through and the others are done": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ filter: { tags: ["b", "d"] } });
    await topic.send(...["a", "b", "c", "d", "b"].map((tag) => ({ body: tag, tag })), {
      body: "none",
    });
    expect(bodies(await group.take(3))).toEqual(["b", "d", "b"]);
    await group.nothing(0);
    const lag = await until("the scan has passed them", async () => {
      const { groups: all } = await topic.stats();
      return all[0]?.lag === 0 && all[0];
    });
    expect(lag.inFlight).toBe(0);
  },

  "a deleted group's receipts are dead and a new one starts anew": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const old = await group.one();
    await mq.ok("DELETE", group.path);
    await group.make();
    const again = await group.one();
    expect(again).toMatchObject({ id: old.id, deliveryAttempt: 1 });
    const [result] = await group.ack(old);
    expect(result).toMatchObject({ ok: false, code: "receipt_expired" });
  },

  "a seek moves the group to the start, to the end, to a time and to an offset": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 0 }, { body: 1 }, { body: 2 });
    const [zero] = await topic.peek();
    await until("the clock moved on", () => Date.now() > there(zero).storedAt + 50);
    await topic.send({ body: 3 }, { body: 4 });
    await group.take(5);
    const seek = (to: unknown): Promise<Json> => mq.ok("POST", `${group.path}/seek`, { to });
    await seek("earliest");
    expect(bodies(await group.take(5))).toEqual([0, 1, 2, 3, 4]);
    await seek(there(zero).storedAt + 25);
    expect(bodies(await group.take(2))).toEqual([3, 4]);
    await group.nothing(0);
    await seek({ "0": 2 });
    expect(bodies(await group.take(3))).toEqual([2, 3, 4]);
    await seek("earliest");
    await seek("latest");
    await group.nothing(0);
    await topic.send({ body: 5 });
    expect(bodies(await group.take(1))).toEqual([5]);
  },

  "a seek ends all leases, attempts begin at 1 and dead letters stay": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ maxAttempts: 2, backoff: { delaysMs: [100] } });
    await topic.send({ body: "dies" }, { body: "leased" });
    for (let index = 0; index < 2; index += 1)
      await group.nack(
        await until("the dying one", async () => {
          const [message] = await group.receive({ maxMessages: 1, waitMs: 500 });
          return message;
        }),
        { retry: false },
      );
    await until("dead", async () => (await group.deadLetters()).length === 2);
    await topic.send({ body: "third" });
    const leased = await group.one();
    await mq.ok("POST", `${group.path}/seek`, { to: "earliest" });
    const all = await group.receive();
    expect(all.map((each) => [each.body, each.deliveryAttempt])).toEqual([
      ["dies", 1],
      ["leased", 1],
      ["third", 1],
    ]);
    const [result] = await group.ack(leased);
    expect(result).toMatchObject({ ok: false, code: "receipt_expired" });
    expect(await group.deadLetters()).toHaveLength(2);
  },

  "a paused group waits as if empty and says so; resumed it goes on": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    await mq.ok("POST", `${group.path}/pause`, {});
    const answer = await mq.ok("POST", `${group.path}/receive`, { waitMs: 200 });
    expect(answer).toEqual({ messages: [], paused: true });
    const waiting = group.receive({ waitMs: 15_000 });
    const began = Date.now();
    await mq.ok("POST", `${group.path}/resume`, {});
    expect(bodies(await waiting)).toEqual([1]);
    expect(Date.now() - began).toBeLessThan(12_000);
  },

  "receipts of a paused group can be settled": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const message = await group.one();
    await mq.ok("POST", `${group.path}/pause`, {});
    expect((await group.ack(message))[0]?.ok).toBe(true);
    await mq.ok("POST", `${group.path}/resume`, {});
    await group.nothing();
  },

  "a group's settings have limits, each named": async (mq) => {
    const topic = await mq.topic();
    const bad: readonly (readonly [Json, string])[] = [
      [{ invisibleMs: 99 }, "invisibleMs"],
      [{ invisibleMs: 43_200_001 }, "invisibleMs"],
      [{ maxAttempts: 0 }, "maxAttempts"],
      [{ maxAttempts: 1_001 }, "maxAttempts"],
      [{ startFrom: "middle" }, "startFrom"],
      [{ mode: "both" }, "mode"],
      [{ onPoison: "ignore" }, "onPoison"],
      [{ ordered: 1 }, "ordered"],
      [{ backof: {} }, "backof"],
    ];
    const path = `${topic.path}/groups/${unique("g")}`;
    for (const [settings, field] of bad) {
      const answer = await mq.refused([400, "invalid_request"], "PUT", path, settings);
      expect(answer["field"], JSON.stringify(settings)).toBe(field);
    }
    await mq.refused([404, "group_not_found"], "GET", path);
    await mq.ok("PUT", path, { invisibleMs: 43_200_000, maxAttempts: 1_000 });
  },
};
