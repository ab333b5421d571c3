/** Sending: one and many, all or none, what a message carries, and where it goes. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, type Json, sorted, there, unique } from "./kit.ts";

export const sending: Cases = {
  "a bare message is sent and answered with its place": async (mq) => {
    const topic = await mq.topic();
    const answer = await mq.ok<{ messages: Json[] }>("POST", `${topic.path}/messages`, { body: 1 });
    expect(answer.messages).toEqual([
      { id: expect.any(String) as string, queue: 0, offset: 0, state: "ready" },
    ]);
    expect(bodies(await topic.group().take(1))).toEqual([1]);
  },

  "a batch is answered in its order with offsets without a hole": async (mq) => {
    const topic = await mq.topic();
    const sent = await topic.send(...Array.from({ length: 50 }, (_, body) => ({ body })));
    expect(sent.map((each) => each.offset)).toEqual(
      Array.from({ length: 50 }, (_, index) => index),
    );
    expect(new Set(sent.map((each) => each.id)).size).toBe(50);
    const taken = await topic.group().take(50);
    expect(taken.map((each) => each.id)).toEqual(sent.map((each) => each.id));
  },

  "a request takes 1,000 messages and no more": async (mq) => {
    const topic = await mq.topic();
    const many = Array.from({ length: 1_001 }, (_, body) => ({ body }));
    expect(await topic.send(...many.slice(1))).toHaveLength(1_000);
    const answer = await mq.refused([400, "invalid_request"], "POST", `${topic.path}/messages`, {
      messages: many,
    });
    expect(answer).toMatchObject({ field: "messages", limit: 1_000, actual: 1_001 });
    await mq.refused([400, "invalid_request"], "POST", `${topic.path}/messages`, { messages: [] });
    expect((await topic.stats()).queues[0]?.nextOffset).toBe(1_000);
  },

  "one bad message refuses the whole request and its field is named": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const bad: readonly (readonly [Json, string])[] = [
      [{ delayMs: -1, body: 1 }, "delayMs"],
      [{ delayMs: 1.5, body: 1 }, "delayMs"],
      [{ delayMs: 366 * 86_400_000 + 1, body: 1 }, "delayMs"],
      [{ tag: 7, body: 1 }, "tag"],
      [{ keys: "k", body: 1 }, "keys"],
      [{ properties: { a: 1 }, body: 1 }, "properties.a"],
      [{ ttlMs: 10, expiresAt: 10, body: 1 }, "expiresAt"],
      [{ bodyBase64: "###" }, "bodyBase64"],
      [{ body: 1, delay: 100 }, "delay"],
      [{ messageGroup: "", body: 1 }, "messageGroup"],
    ];
    for (const [message, field] of bad) {
      const messages = [{ body: 1 }, { body: 2, messageGroup: "x" }, message, { body: 3 }];
      const answer = await mq.refused([400, "invalid_request"], "POST", `${topic.path}/messages`, {
        messages,
      });
      expect(String(answer["field"]), JSON.stringify(message)).toMatch(/^messages\[2\]/u);
      if (field !== "expiresAt")
        expect(answer["field"], JSON.stringify(message)).toContain(field.split(".")[0]);
    }
    expect(await topic.peek()).toEqual([]);
  },

  "exactly one of body and bodyBase64 is there": async (mq) => {
    const topic = await mq.topic();
    for (const message of [{}, { tag: "t" }, { body: 1, bodyBase64: "AA==" }])
      await mq.refused([400, "invalid_request"], "POST", `${topic.path}/messages`, {
        messages: [message],
      });
  },

  "keys, tag, properties and content type come back as they were given": async (mq) => {
    const topic = await mq.topic();
    const content = {
      body: "b",
      contentType: "text/plain; charset=utf-8",
      tag: "tag ü",
      keys: ["one", "zwei", "三"],
      properties: { "": "empty name", "a.b": "1", ünïcode: "\u0000\n🙂" },
      messageGroup: "grüppe",
    };
    await topic.send(content);
    const message = await topic.group().one();
    expect(message).toMatchObject(content);
    const [peeked] = await topic.peek();
    expect(peeked).toMatchObject(content);
  },

  "what was not given is absent, never null": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 });
    const message = await topic.group().one();
    expect(Object.keys(message).toSorted()).toEqual(
      [
        "body",
        "deliveryAttempt",
        "id",
        "invisibleUntil",
        "offset",
        "queue",
        "receipt",
        "sentAt",
        "storedAt",
        "topic",
      ].toSorted(),
    );
    expect(message.storedAt).toBeGreaterThanOrEqual(message.sentAt);
    expect(message.invisibleUntil).toBeGreaterThan(message.storedAt);
  },

  "a message group always lands in one queue and keeps its order": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const groups = Array.from({ length: 20 }, (_, index) => `group-${index}`);
    const places = new Map<string, Set<number>>();
    for (let round = 0; round < 5; round += 1) {
      const sent = await topic.send(
        ...groups.map((messageGroup) => ({ body: round, messageGroup })),
      );
      for (const [index, each] of sent.entries()) {
        const name = there(groups[index]);
        places.set(name, (places.get(name) ?? new Set()).add(each.queue));
      }
    }
    for (const queues of places.values()) expect(queues.size).toBe(1);
    expect(new Set([...places.values()].map((queues) => [...queues][0])).size).toBe(4);
    const taken = await topic.group().take(100);
    for (const messageGroup of groups) {
      const own = taken.filter((each) => each.messageGroup === messageGroup);
      expect(bodies(own)).toEqual([0, 1, 2, 3, 4]);
    }
  },

  "messages of a request with no group go together": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    for (let round = 0; round < 5; round += 1) {
      const sent = await topic.send(...Array.from({ length: 10 }, (_, body) => ({ body })));
      expect(new Set(sent.map((each) => each.queue)).size).toBe(1);
    }
  },

  "a dedup id seen within the window answers duplicate with the first id": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const first = await topic.sendOne({ body: 1, dedupId: "d-1" });
    const again = await topic.sendOne({ body: 2, dedupId: "d-1" });
    expect(again).toMatchObject({ id: first.id, state: "duplicate", queue: first.queue });
    const both = await topic.send({ body: 3, dedupId: "d-2" }, { body: 4, dedupId: "d-2" });
    expect(both.map((each) => each.state)).toEqual(["ready", "duplicate"]);
    expect(both[1]?.id).toBe(both[0]?.id);
    const other = await topic.sendOne({ body: 5, dedupId: "d-1", messageGroup: "g" });
    expect(other.state, "the scope is the message group").toBe("ready");
    expect(sorted(bodies(await topic.peek()))).toEqual(sorted([1, 3, 5]));
  },

  "a dedup window of 0 remembers nothing": async (mq) => {
    const topic = await mq.topic({ dedupWindowMs: 0 });
    for (let body = 0; body < 2; body += 1)
      expect((await topic.sendOne({ body, dedupId: "d" })).state).toBe("ready");
  },

  "an unknown topic is made by a send with the defaults": async (mq) => {
    const name = unique("fresh");
    await mq.ok("POST", `/v1/topics/${name}/messages`, { body: 1 });
    expect(await mq.ok("GET", `/v1/topics/${name}`)).toMatchObject({
      topic: name,
      queues: 1,
      retentionMs: 259_200_000,
      dedupWindowMs: 300_000,
      retentionBytes: 6_442_450_944,
      durability: "disk",
      trace: false,
      transaction: { timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 },
    });
  },

  "names of every allowed sign work, percent-encoded in the path": async (mq) => {
    const name = `${unique("A.z_9-")}%25.%`;
    const path = `/v1/topics/${encodeURIComponent(name)}`;
    await mq.ok("POST", `${path}/messages`, { body: 1 });
    const answer = await mq.ok<{ messages: { topic: string }[] }>(
      "POST",
      `${path}/groups/${encodeURIComponent("g%2F.")}/receive`,
      {},
    );
    expect(answer.messages[0]?.topic).toBe(name);
  },
};
