/** Producer sequences: the rule, and what a queue remembers of it across restarts, silence and growth. */
import { describe, expect, it } from "vitest";
import { sentBy } from "../../src/core/message.ts";
import { judgeProducer } from "../../src/core/producer.ts";
import type { Content } from "../../src/core/record.ts";
import { queueOfWord } from "../../src/core/route.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { SendCall } from "../../src/protocol/rpc.ts";
import { send } from "../../src/queue/sending.ts";
import { producerSeats } from "../../src/queue/duplicates/sequences.ts";
import { seeded } from "../kit/event-clock.node.ts";
import { Bench, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };

const started = async (topic = route(), queue = 0): Promise<Bench> => {
  const bench = new Bench();
  await bench.run(bench.queue.configure(topic, queue));
  return bench;
};

const counted = (sequence: number, more: Partial<Content> = {}, epoch = 1, id = "p") => ({
  producer: { id, epoch, sequence },
  ...more,
});

const sendAll = async (
  bench: Bench,
  contents: readonly Partial<Content>[],
  more: Partial<SendCall> = {},
) => {
  const { store } = bench.queue;
  const stored = await bench.run(
    bench.queue.stamped(more.stamp ?? stamp, (nowMs) =>
      send(store, { stamp, records: records(...contents), ...more }, nowMs),
    ),
  );
  return sentBy(7, store.queue, stored);
};

const states = async (bench: Bench, contents: readonly Partial<Content>[]) =>
  (await sendAll(bench, contents)).messages.map(({ state, offset }) => `${state} ${offset}`);

describe("the rule", () => {
  it("takes 1 first, then one more each time", () => {
    expect(judgeProducer(undefined, { epoch: 4, sequence: 1 })).toEqual({ is: "next" });
    expect(judgeProducer(undefined, { epoch: 4, sequence: 2 })).toEqual({ is: "gap", expected: 1 });
    const seat = { epoch: 4, sequence: 7 };
    expect(judgeProducer(seat, { epoch: 4, sequence: 8 })).toEqual({ is: "next" });
    expect(judgeProducer(seat, { epoch: 4, sequence: 7 })).toEqual({ is: "repeat" });
    expect(judgeProducer(seat, { epoch: 4, sequence: 1 })).toEqual({ is: "repeat" });
    expect(judgeProducer(seat, { epoch: 4, sequence: 9 })).toEqual({ is: "gap", expected: 8 });
  });

  it("lets a newer epoch begin at 1 and fences the older ones", () => {
    const seat = { epoch: 4, sequence: 7 };
    expect(judgeProducer(seat, { epoch: 9, sequence: 1 })).toEqual({ is: "next" });
    expect(judgeProducer(seat, { epoch: 9, sequence: 8 })).toEqual({ is: "gap", expected: 1 });
    expect(judgeProducer(seat, { epoch: 3, sequence: 8 })).toEqual({ is: "fenced", epoch: 4 });
  });
});

describe("a queue that counts its producers", () => {
  it("answers a repeat with the first id and offset, and stores it once", async () => {
    const bench = await started();
    const first = await sendAll(bench, [counted(1), counted(2), counted(3)]);
    const again = await sendAll(bench, [counted(2), counted(3), counted(4)]);
    expect(again.messages.map(({ id, offset, state }) => [id, offset, state])).toEqual([
      [first.messages[1]?.id, 1, "duplicate"],
      [first.messages[2]?.id, 2, "duplicate"],
      ["ml_7_0_3", 3, "ready"],
    ]);
    expect(bench.queue.store.messages.next).toBe(4);
  });

  it("answers a repeat within one request", async () => {
    const bench = await started();
    expect(await states(bench, [counted(1), counted(1)])).toEqual(["ready 0", "duplicate 0"]);
  });

  it("refuses a request with a hole anywhere as a whole, and says what it expects", async () => {
    const bench = await started();
    await sendAll(bench, [counted(1)]);
    const hole = [counted(2), {}, counted(4)];
    await expect(sendAll(bench, hole)).rejects.toMatchObject({ code: "sequence_gap" });
    expect(bench.queue.store.messages.next).toBe(1);
    expect(await states(bench, [counted(2)])).toEqual(["ready 1"]);
  });

  it("fences an older epoch", async () => {
    const bench = await started();
    await sendAll(bench, [counted(1, {}, 1), counted(2, {}, 1)]);
    await sendAll(bench, [counted(1, {}, 2)]);
    await expect(sendAll(bench, [counted(3, {}, 1)])).rejects.toMatchObject({
      code: "producer_fenced",
    });
  });

  it("counts each message group and each id for itself", async () => {
    const bench = await started();
    const all = [
      counted(1, { messageGroup: "a" }),
      counted(1, { messageGroup: "b" }),
      counted(1),
      counted(1, {}, 1, "q"),
      counted(2, { messageGroup: "a" }),
    ];
    expect(await states(bench, all)).toEqual([0, 1, 2, 3, 4].map((offset) => `ready ${offset}`));
    expect(await states(bench, all)).toEqual([0, 1, 2, 3, 4].map((o) => `duplicate ${o}`));
  });

  it("knows delayed ones by their id, and counts what a dedup id has eaten", async () => {
    const bench = await started();
    const first = await sendAll(bench, [counted(1, { delayMs: 1_000 })]);
    const again = await sendAll(bench, [counted(1, { delayMs: 1_000 })]);
    expect(again.messages[0]).toMatchObject({ id: first.messages[0]?.id, state: "duplicate" });
    await sendAll(bench, [{ dedupId: "d" }]);
    const eaten = await sendAll(bench, [counted(2, { dedupId: "d" }), counted(3)]);
    expect(eaten.messages.map(({ state }) => state)).toEqual(["duplicate", "ready"]);
    expect(bench.queue.store.delayed.count).toBe(1);
  });

  it("still knows all of it when it wakes, before and after its pages were written", async () => {
    const bench = await started();
    const random = seeded(11);
    const model = new Map<string, number>();
    for (let round = 0; round < 2_500; round++) {
      const id = `p${Math.floor(random() * 300)}`;
      const next = (model.get(id) ?? 0) + 1;
      model.set(id, next);
      const { messages } = await sendAll(bench, [counted(next, {}, 1, id)]);
      expect(messages[0]?.state).toBe("ready");
      if (round % 700 === 350) {
        bench.wake();
        expect(bench.queue.store.producers.count).toBe(model.size);
      }
    }
    bench.wake();
    for (const [id, sequence] of model) {
      const seats = producerSeats(bench.queue.store, [{ id }], bench.clock.nowMs());
      expect(seats).toEqual([{ epoch: 1, sequence }]);
    }
  });

  it("costs no row beside the flush's own, and little when the ring comes round", async () => {
    const bench = await started();
    await sendAll(bench, [counted(1)]);
    let sequence = 1;
    bench.sql.rowsWritten = 0;
    const rounds = 2_048;
    for (let round = 0; round < rounds; round++) await sendAll(bench, [counted(++sequence)]);
    // The segment and the delta, and twice the two pages.
    expect(bench.sql.rowsWritten).toBeLessThanOrEqual(2 * rounds + 6);
  });

  it("forgets a producer that was silent for the window, and not before", async () => {
    const bench = await started(route(undefined, { retentionMs: 30 * 86_400_000 }));
    await sendAll(bench, [counted(1)]);
    await bench.pass(LIMITS.producerWindowMs);
    await expect(sendAll(bench, [counted(3)])).rejects.toMatchObject({ code: "sequence_gap" });
    expect(await states(bench, [counted(2)])).toEqual(["ready 1"]);
    await bench.pass(LIMITS.producerWindowMs + 1);
    await expect(sendAll(bench, [counted(3)])).rejects.toMatchObject({ code: "sequence_gap" });
    expect(await states(bench, [counted(1)])).toEqual(["ready 2"]);
  });

  it("takes no new producer when it remembers as many as it can, and goes on with the known", async () => {
    const bench = new Bench(undefined, { producersMax: 2 });
    await bench.run(bench.queue.configure(route(), 0));
    await sendAll(bench, [counted(1, {}, 1, "a"), counted(1, {}, 1, "b")]);
    await expect(sendAll(bench, [counted(1, {}, 1, "c")])).rejects.toMatchObject({
      code: "rate_limited",
    });
    expect(await states(bench, [counted(2, {}, 1, "a")])).toEqual(["ready 2"]);
  });
});

const grown = (settings: { queues: number }, at: number) =>
  route(undefined, settings, {
    version: 2,
    growths: [{ from: 1, to: settings.queues, at }],
  });

describe("a topic that has grown", () => {
  const id = "mover";
  const target = queueOfWord(id, 8);

  it("asks for the former queue once, and goes on where that stood", async () => {
    expect(target).toBeGreaterThan(0);
    const former = await started();
    await sendAll(former, [counted(1, {}, 1, id), counted(2, {}, 1, id)]);
    const next = new Bench();
    const topic = grown({ queues: 8 }, next.clock.nowMs());
    await next.run(next.queue.configure(topic, target));
    const at = { incarnation: 7, version: 2 };
    const asked = await sendAll(next, [counted(3, {}, 1, id)], { stamp: at });
    expect(asked).toEqual({ messages: [], replayed: false, formerFirst: true });
    const [seat] = producerSeats(former.queue.store, [{ id }], former.clock.nowMs());
    const told = await sendAll(next, [counted(3, {}, 1, id)], { stamp: at, former: [seat] });
    expect(told.messages[0]?.state).toBe("ready");
    const known = await sendAll(next, [counted(4, {}, 1, id)], { stamp: at });
    expect(known.messages[0]?.state).toBe("ready");
    const old = await sendAll(next, [counted(1, {}, 1, id)], { stamp: at });
    expect(old.messages).toEqual([{ queue: target, state: "duplicate" }]);
  });

  it("asks no more when the growth is older than the window", async () => {
    const next = new Bench();
    const topic = grown({ queues: 8 }, next.clock.nowMs() - LIMITS.producerWindowMs - 1);
    await next.run(next.queue.configure(topic, target));
    const at = { incarnation: 7, version: 2 };
    const sent = await sendAll(next, [counted(1, {}, 1, id)], { stamp: at });
    expect(sent.messages[0]?.state).toBe("ready");
  });
});
