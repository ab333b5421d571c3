/** Broadcast groups: each consumer gets every message, with deliveries of its own. */
import { expect } from "vitest";
import { type Cases, type Group, type Mq } from "./client.ts";
import { bodies, type Json, type Message, sorted, there, until } from "./kit.ts";

async function broadcast(mq: Mq, topic: Json = {}, group: Json = {}): Promise<Group> {
  const made = await mq.topic(topic);
  return made.group().make({ mode: "broadcast", ...group });
}

/** Receives and acks all that one consumer has. */
async function takeAll(group: Group, consumerId: string, count: number): Promise<Message[]> {
  const taken: Message[] = [];
  await until(`${count} messages for ${consumerId}`, async () => {
    const batch = await group.receive({ consumerId, maxMessages: 100, waitMs: 300 });
    if (batch.length > 0) await group.ack(...batch);
    taken.push(...batch);
    return taken.length >= count;
  });
  return taken;
}

const numbered = (count: number): Json[] =>
  Array.from({ length: count }, (_, body) => ({ body, messageGroup: `m${body % 7}` }));

const CONSUMERS = ["one", "two", "three"];

export const broadcasting: Cases = {
  "row 165: each of three consumers of a broadcast group gets all of 100 messages": async (mq) => {
    const group = await broadcast(mq, { queues: 4 });
    await group.topic.send(...numbered(100));
    for (const name of CONSUMERS) {
      const taken = await takeAll(group, name, 100);
      expect(sorted(bodies(taken))).toEqual(sorted(Array.from({ length: 100 }, (_, n) => n)));
    }
    for (const consumerId of CONSUMERS) expect(await group.receive({ consumerId })).toEqual([]);
    expect((await group.topic.stats()).groups).toMatchObject([{ lag: 0, inFlight: 0 }]);
  },

  "row 167: a late consumer starts where the group's startFrom says: at the latest none of the earlier ones, in any queue":
    async (mq) => {
      const late = await broadcast(mq, { queues: 4 }, { startFrom: "latest" });
      const early = await late.topic.group("early").make({ mode: "broadcast" });
      await late.topic.send(...numbered(20));
      expect(await late.receive({ consumerId: "late" })).toEqual([]);
      await late.topic.send(...numbered(20).map((each) => ({ ...each, body: "new" })));
      expect(bodies(await takeAll(late, "late", 20))).toEqual(Array(20).fill("new"));
      expect(await takeAll(early, "late", 40)).toHaveLength(40);
    },

  "row 168: when one consumer is gone the other still gets all": async (mq) => {
    const group = await broadcast(mq);
    await group.topic.send(...numbered(10));
    expect(await group.receive({ consumerId: "gone", maxMessages: 3 })).toHaveLength(3);
    await group.topic.send(...numbered(10));
    expect(await takeAll(group, "stays", 20)).toHaveLength(20);
  },

  "row 169: a failed message is retried for the consumer that failed alone, with attempts and dead letters of its own":
    async (mq) => {
      const retries = { maxAttempts: 2, backoff: { delaysMs: [50] } };
      const group = await broadcast(mq, {}, retries);
      await group.topic.send({ body: 1 }, { body: 2 });
      const [first, second] = await group.receive({ consumerId: "fails" });
      await group.ack(there(second));
      await group.nack(there(first), { reason: "not yet" });
      const again = await group.one({ consumerId: "fails" });
      expect(again).toMatchObject({ body: 1, deliveryAttempt: 2 });
      await group.nack(again, { reason: "no" });
      expect(bodies(await takeAll(group, "works", 2))).toEqual([1, 2]);
      expect(await group.deadLetters()).toMatchObject([
        { body: 1, reason: "no", consumerId: "fails" },
      ]);
      const of = (consumerId: string): Promise<Json[]> =>
        mq.all(`${group.path}/dead-letters?consumerId=${consumerId}`);
      expect([await of("works"), await of("fails")].map((each) => each.length)).toEqual([0, 1]);
      await mq.ok("POST", `${group.path}/dead-letters/redrive`);
      expect(await group.one({ consumerId: "fails" })).toMatchObject({ deliveryAttempt: 1 });
      expect(await group.receive({ consumerId: "works", waitMs: 200 })).toEqual([]);
    },

  "row 170: two broadcast groups and a shared one each have all": async (mq) => {
    const a = await broadcast(mq);
    const b = await a.topic.group("b").make({ mode: "broadcast" });
    const shared = a.topic.group("shared");
    await a.topic.send(...numbered(10));
    for (const group of [a, b])
      for (const name of CONSUMERS) expect(await takeAll(group, name, 10)).toHaveLength(10);
    expect(await shared.take(10)).toHaveLength(10);
  },

  "row 171: a broadcast group keeps order per message group, and filters, for each consumer":
    async (mq) => {
      const wanted = { ordered: true, filter: { tags: ["yes"] } };
      const group = await broadcast(mq, { queues: 2 }, wanted);
      const sent = Array.from({ length: 40 }, (_, body) => ({
        body,
        messageGroup: `m${body % 4}`,
        tag: body % 8 < 4 ? "yes" : "no",
      }));
      await group.topic.send(...sent);
      for (const name of CONSUMERS.slice(0, 2)) {
        const taken = await takeAll(group, name, 20);
        expect(new Set(taken.map(({ tag }) => tag))).toEqual(new Set(["yes"]));
        for (const each of ["m0", "m1", "m2", "m3"]) {
          const own = taken.filter(({ messageGroup }) => messageGroup === each);
          const first = Number(each.slice(1));
          expect(bodies(own)).toEqual([0, 8, 16, 24, 32].map((step) => first + step));
        }
      }
    },

  "a receive without a consumerId is refused, in a broadcast group only": async (mq) => {
    const group = await broadcast(mq);
    const answer = await mq.refused([400, "invalid_request"], "POST", `${group.path}/receive`, {});
    expect(answer["field"]).toBe("consumerId");
    await group.topic.group("shared").receive();
    const change = { mode: "shared" };
    await mq.refused([409, "immutable_field"], "PUT", group.path, change);
  },

  "a long poll of a broadcast consumer ends with the next message, over many queues": async (
    mq,
  ) => {
    const group = await broadcast(mq, { queues: 8 });
    const polls = CONSUMERS.map((consumerId) => group.receive({ consumerId, waitMs: 15_000 }));
    await until("all wait", async () => {
      const [stats] = (await group.topic.stats()).groups as unknown as { consumers: Json[] }[];
      return there(stats).consumers.length === 3;
    });
    const began = Date.now();
    await group.topic.send({ body: "hello" });
    for (const poll of polls) expect(bodies(await poll)).toEqual(["hello"]);
    expect(Date.now() - began).toBeLessThan(10_000);
  },

  "a broadcast group is paused, sought and deleted as a whole, and a consumer sought alone": async (
    mq,
  ) => {
    const group = await broadcast(mq, { queues: 2 });
    await group.topic.send(...numbered(10));
    for (const name of ["one", "two"]) await takeAll(group, name, 10);
    await mq.ok("POST", `${group.path}/seek`, { to: "earliest" });
    for (const name of ["one", "two"]) await takeAll(group, name, 10);
    await mq.ok("POST", `${group.path}/seek`, { to: "earliest", consumerId: "two" });
    expect(await group.receive({ consumerId: "one" })).toEqual([]);
    await mq.ok("POST", `${group.path}/pause`);
    const paused = await mq.ok("POST", `${group.path}/receive`, { consumerId: "two" });
    expect(paused).toEqual({ messages: [], paused: true });
    await mq.ok("POST", `${group.path}/resume`);
    await takeAll(group, "two", 10);
    const stats = (await group.topic.stats()).groups as unknown as { consumers: Json[] }[];
    expect(there(stats[0]).consumers.map(({ consumerId, lag }) => [consumerId, lag])).toEqual([
      ["one", 0],
      ["two", 0],
    ]);
    await mq.ok("DELETE", group.path);
    await mq.refused([404, "group_not_found"], "GET", `${group.path}/dead-letters`);
  },

  "the consumers of a broadcast group show in a message's state, each for itself": async (mq) => {
    const group = await broadcast(mq);
    const sent = await group.topic.sendOne({ body: 1 });
    await takeAll(group, "done", 1);
    await group.one({ consumerId: "busy" });
    const view = await mq.ok<{ groups: Json[] }>("GET", `/v1/messages/${sent.id}`);
    expect(view.groups).toMatchObject([
      { group: "g", consumerId: "done", state: "acked" },
      { group: "g", consumerId: "busy", state: "leased" },
    ]);
  },
};
