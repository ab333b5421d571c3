/** Limits of a group: in flight, a second, of a message group; changed while it runs. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, gate, type Json, type Message, sorted, until } from "./kit.ts";
import { drained, pushing } from "./push-kit.ts";

const numbered = (count: number, more: (index: number) => Json = () => ({})): Json[] =>
  Array.from({ length: count }, (_, body) => ({ body, ...more(body) }));

export const flow: Cases = {
  "a group has at most maxInFlight with its consumers, over all queues": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const group = await topic.group().make({ maxInFlight: 4 });
    await topic.send(...numbered(40, (index) => ({ messageGroup: `m${index}` })));
    const taken: Message[] = [];
    await until("all that may be", async () => {
      taken.push(...(await group.receive({ maxMessages: 100 })));
      return taken.length >= 4;
    });
    await group.nothing();
    expect((await topic.stats()).groups).toMatchObject([{ inFlight: 4, lag: 40 }]);
    await group.ack(...taken.slice(0, 1));
    expect(await group.receive({ maxMessages: 100, waitMs: 5_000 })).toHaveLength(1);
    await group.make({ maxInFlight: 0 });
    // Four are still with the consumer, one is acked.
    expect(await group.take(35)).toHaveLength(35);
  },

  "a long poll that waits for room ends with the ack that makes it": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ maxInFlight: 1 });
    await topic.send({ body: 1 }, { body: 2 });
    const first = await group.one();
    const began = Date.now();
    const waiting = group.receive({ waitMs: 15_000 });
    await group.nothing(300);
    await group.ack(first);
    expect(bodies(await waiting)).toEqual([2]);
    expect(Date.now() - began).toBeLessThan(10_000);
  },

  "a group is given no more than ratePerSecond, and a long poll ends when more may come": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ratePerSecond: 4 });
    await topic.send(...numbered(9));
    const began = Date.now();
    const taken: Message[] = [];
    while (taken.length < 9) {
      const batch = await group.receive({ maxMessages: 100, waitMs: 5_000 });
      await group.ack(...batch);
      taken.push(...batch);
    }
    const tookMs = Date.now() - began;
    expect(tookMs).toBeGreaterThanOrEqual(1_990);
    expect(tookMs).toBeLessThan(12_000);
    expect(bodies(taken)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  },

  "a message group has at most messageGroupConcurrency in flight, and keeps nobody else waiting":
    async (mq) => {
      const topic = await mq.topic();
      const group = await topic.group().make({ messageGroupConcurrency: 2 });
      const noisy = numbered(50, () => ({ messageGroup: "noisy" }));
      await topic.send(...noisy, { body: "quiet", messageGroup: "quiet" }, { body: "none" });
      const first = await group.receive({ maxMessages: 100 });
      expect(sorted(bodies(first))).toEqual(sorted([0, 1, "quiet", "none"]));
      await group.nothing(0);
      const [held] = first;
      await group.ack(...first.slice(1));
      expect(bodies(await group.receive({ maxMessages: 100 }))).toEqual([2]);
      await group.make({ messageGroupConcurrency: 0 });
      expect(await group.receive({ maxMessages: 100 })).toHaveLength(47);
      expect(held).toMatchObject({ body: 0 });
    },

  "limits hold for what is pushed, and the push goes on when there is room": async (mq) => {
    for (const limit of [{ maxInFlight: 2 }, { ratePerSecond: 8 }]) {
      const topic = await mq.topic({ queues: 2 });
      const hold = gate();
      const push = { maxMessages: 4, concurrency: 4 };
      const answer = () => hold.opened.then(() => ({ status: 204 }));
      const pushed = await pushing(topic, answer, { push, ...limit });
      const began = Date.now();
      await topic.send(...numbered(8, (index) => ({ messageGroup: `m${index}` })));
      await until("two are out", () => pushed.bodies().length >= 2);
      if ("maxInFlight" in limit) {
        await pushed.group.nothing();
        expect((await topic.stats()).groups).toMatchObject([{ inFlight: 2, lag: 8 }]);
      }
      hold.open();
      await drained(topic);
      expect(sorted(pushed.bodies())).toEqual(sorted([0, 1, 2, 3, 4, 5, 6, 7]));
      // Each of the two queues may begin with one; a queue with all of them is the slower one.
      if ("ratePerSecond" in limit) expect(Date.now() - began).toBeGreaterThanOrEqual(740);
    }
  },

  "limits have bounds, and one that order has anyway is refused": async (mq) => {
    const topic = await mq.topic();
    const { path } = topic.group();
    for (const [settings, field] of [
      [{ maxInFlight: -1 }, "maxInFlight"],
      [{ maxInFlight: 1.5 }, "maxInFlight"],
      [{ ratePerSecond: -1 }, "ratePerSecond"],
      [{ messageGroupConcurrency: 1_001 }, "messageGroupConcurrency"],
      [{ ordered: true, messageGroupConcurrency: 2 }, "messageGroupConcurrency"],
    ] as const) {
      const answer = await mq.refused([400, "invalid_request"], "PUT", path, settings);
      expect(answer["field"]).toBe(field);
    }
    await mq.ok("PUT", path, { ordered: true });
    await mq.refused([400, "invalid_request"], "PUT", path, { messageGroupConcurrency: 1 });
    const limits = { maxInFlight: 0, ratePerSecond: 0, messageGroupConcurrency: 0 };
    expect(await mq.ok("GET", path)).toMatchObject(limits);
  },
};
