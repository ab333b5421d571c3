/** What a queue refuses before it is overrun, and what it takes all the same. */
import { describe, expect, it } from "vitest";
import { sentBy } from "../../src/core/message.ts";
import type { Content } from "../../src/core/record.ts";
import { accept } from "../../src/protocol/errors.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { Keyed } from "../../src/protocol/rpc.ts";
import type { QueueBounds } from "../../src/queue/bounds.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import type { TopicSettings } from "../../src/protocol/topic.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const HOME = { topic: "orders", incarnation: 7, queue: 0 };

async function started(
  settings: Partial<TopicSettings>,
  bounds: Partial<QueueBounds> = {},
  groups = [group("slow"), group("fast", {}, 2)],
) {
  const bench = new Bench(undefined, bounds);
  await bench.run(bench.queue.configure(route(groups, settings), 0));
  const verbs = new QueueVerbs(bench.queue);
  const send = async (contents: readonly Partial<Content>[], keyed?: Keyed) => {
    const call = { stamp, records: records(...contents) };
    const stored = await bench.run(verbs.send(keyed === undefined ? call : { ...call, keyed }));
    return sentBy(7, 0, stored);
  };
  const receive = (name: string, maxMessages: number) =>
    bench.run(
      verbs.receive({
        stamp,
        group: name,
        maxMessages,
        invisibleMs: 30_000,
        waitMs: 0,
        bytesMax: LIMITS.answerBytesMax,
      }),
    );
  const take = async (name: string, count: number): Promise<void> => {
    const { receipts } = await receive(name, count);
    await bench.run(verbs.settle({ stamp, group: name, verb: "ack", receipts }));
  };
  const prepare = (...contents: readonly Partial<Content>[]) =>
    bench.run(
      verbs.prepare({
        stamp,
        producerGroup: "p",
        check: { timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 },
        records: records(...contents),
        targets: contents.map(() => HOME),
      }),
    );
  const commit = (position: number) =>
    bench.run(verbs.decide({ stamp, position, decision: "commit", by: "producer" }));
  return { bench, verbs, send, receive, take, prepare, commit };
}

const many = (count: number, more: Partial<Content> = {}) =>
  Array.from({ length: count }, () => more);
const keyed = (byte: number): Keyed => ({
  key: new Uint8Array(16).fill(byte),
  body: new Uint8Array(8).fill(byte),
});

describe("a topic with a maxBacklog", () => {
  it("refuses what the slowest group could not hold, and takes it once that has acked", async () => {
    const { bench, send, take } = await started({ maxBacklog: 10 });
    await send(many(10));
    await take("fast", 10);
    await expect(send([{}])).rejects.toMatchObject({ code: "backlog_full" });
    await take("slow", 3);
    await expect(send(many(4))).rejects.toMatchObject({ code: "backlog_full" });
    await send(many(3));
    expect(bench.queue.store.messages.next).toBe(13);
  });

  it("refuses for good what could never fit, repeats not counted", async () => {
    const { send, prepare } = await started({ maxBacklog: 2 });
    const tooMany = { code: "request_too_large" };
    await expect(send(many(3))).rejects.toMatchObject(tooMany);
    await expect(prepare({}, {}, {})).rejects.toMatchObject(tooMany);
    await send([{ dedupId: "d" }]);
    expect((await send([{ dedupId: "d" }, { dedupId: "d" }, {}])).messages).toHaveLength(3);
  });

  it("counts what is leased and what a restart brought back", async () => {
    const { bench, send, receive } = await started({ maxBacklog: 5 });
    await send(many(5));
    await receive("slow", 5);
    await expect(send([{}])).rejects.toMatchObject({ code: "backlog_full" });
    bench.wake();
    await expect(
      bench.run(new QueueVerbs(bench.queue).send({ stamp, records: records({}) })),
    ).rejects.toMatchObject({ code: "backlog_full" });
  });

  it("still answers repeats, and lets messages wait for a time of their own", async () => {
    const { send } = await started({ maxBacklog: 2 });
    await send([{ dedupId: "d" }, { producer: { id: "p", epoch: 1, sequence: 1 } }], keyed(1));
    const replayed = await send([{ dedupId: "d" }, {}], keyed(1));
    expect(replayed.replayed).toBe(true);
    const again = await send([{ dedupId: "d" }, { producer: { id: "p", epoch: 1, sequence: 1 } }]);
    expect(again.messages.map(({ state }) => state)).toEqual(["duplicate", "duplicate"]);
    const later = await send([{ delayMs: 1_000 }]);
    expect(later.messages[0]?.state).toBe("delayed");
  });

  it("never refuses a commit or what is due, and refuses the prepare", async () => {
    const { bench, send, prepare, commit } = await started({ maxBacklog: 2 });
    await prepare({}, {});
    await send([{}, { delayMs: 1_000 }]);
    await send([{}]);
    await expect(prepare({})).rejects.toMatchObject({ code: "backlog_full" });
    expect((await commit(0)).state).toBe("committed");
    await bench.pass(1_000);
    expect(bench.queue.store.messages.next).toBe(5);
  });

  it("counts nothing where no group reads", async () => {
    const { send } = await started({ maxBacklog: 1 }, {}, []);
    expect((await send(many(3))).messages).toHaveLength(3);
  });
});

describe("a queue that remembers as many keys as it can", () => {
  it("refuses new dedup ids and keys, takes messages without, and forgets none early", async () => {
    const { bench, send, prepare } = await started({ dedupWindowMs: 60_000 }, { keysMax: 3 });
    await send([{ dedupId: "a" }, { dedupId: "b" }]);
    await send([{}], keyed(1));
    for (const full of [
      () => send([{ dedupId: "c" }]),
      () => send([{}], keyed(2)),
      () => prepare({ dedupId: "c" }),
    ])
      await expect(full()).rejects.toMatchObject({ code: "rate_limited" });
    await send([{}]);
    expect((await send([{}], keyed(1))).replayed).toBe(true);
    await bench.pass(59_000);
    await expect(send([{ dedupId: "a" }])).rejects.toMatchObject({ code: "rate_limited" });
  });
});

describe("a queue whose storage is nearly full", () => {
  it("refuses sends and prepares, and keeps serving reads, acks, commits and what is due", async () => {
    const { bench, send, take, prepare, commit } = await started({}, { storedBytesMax: 1_000 });
    await send([{}, { delayMs: 5_000 }]);
    await prepare({});
    bench.storedBytes = 1_000;
    await bench.pass(1_000);
    await expect(send([{}])).rejects.toMatchObject({ code: "storage_full" });
    await expect(prepare({})).rejects.toMatchObject({ code: "storage_full" });
    await take("slow", 1);
    await commit(0);
    await bench.pass(5_000);
    expect(bench.queue.store.messages.next).toBe(3);
    await take("slow", 2);
    bench.storedBytes = 999;
    await bench.pass(1_000);
    await send([{}]);
  });

  it("still answers the repeat of a request that it took", async () => {
    const { bench, send } = await started({}, { storedBytesMax: 1_000 });
    await send([{}], keyed(1));
    bench.storedBytes = 1_000;
    await bench.pass(1_000);
    expect((await send([{}], keyed(1))).replayed).toBe(true);
  });

  it("drops the oldest by retentionBytes, counts it, and never what is leased", async () => {
    const { bench, send, receive, take } = await started({ retentionBytes: 10_000 });
    const body = { json: `"${"x".repeat(2_000)}"` };
    await send([{ body }]);
    await receive("slow", 1);
    await take("fast", 1);
    for (let round = 0; round < 9; round++) await send([{ body }]);
    await bench.pass(11_000);
    expect(bench.queue.store.messages.first).toBe(0);
    await bench.pass(30_000);
    await take("slow", 1);
    await bench.pass(11_000);
    await bench.run(bench.queue.run(() => accept(undefined)));
    const { messages, groups } = bench.queue.store;
    expect(messages.bytes).toBeLessThanOrEqual(10_000);
    expect(messages.first).toBe(6);
    expect(groups.get("slow")?.state.expired).toBe(5);
    expect(bench.logged.some(({ event }) => event === "messages.expired")).toBe(true);
  });

  it("counts what is past its own time to live as expired", async () => {
    const { bench, send, receive } = await started({});
    await send([{ ttlMs: 1_000 }, {}]);
    await bench.pass(1_000);
    expect((await receive("slow", 2)).offsets).toEqual([1]);
    expect(bench.queue.store.groups.get("slow")?.state.expired).toBe(1);
  });
});

describe("a queue with too much to do", () => {
  it("refuses a prepare when too many transactions are open, and takes it when one is decided", async () => {
    const { prepare, commit } = await started({}, { preparedMax: 2 });
    await prepare({});
    await prepare({});
    await expect(prepare({})).rejects.toMatchObject({ code: "overloaded" });
    await commit(0);
    await prepare({});
  });

  it("refuses what would not fit into memory while a flush is under way", async () => {
    const { bench } = await started({});
    const outcomes: string[] = [];
    const megabyte = 1024 * 1024;
    const waiting = Array.from({ length: 64 }, () =>
      bench.queue
        .run(() => accept(undefined), megabyte)
        .then((outcome) => outcomes.push(outcome.ok ? "ok" : outcome.code)),
    );
    await bench.clock.advance(0);
    await Promise.all(waiting);
    expect(outcomes.filter((each) => each === "overloaded")).toHaveLength(16);
    expect(outcomes.filter((each) => each === "ok")).toHaveLength(48);
    const [again] = await Promise.all([
      bench.queue.run(() => accept("room"), 16 * megabyte),
      bench.clock.advance(0),
    ]);
    expect(again).toEqual(accept("room"));
  });

  it("spreads answers over flushes when they carry much", async () => {
    const { bench, verbs, send } = await started({});
    const body = { json: `"${"x".repeat(900_000)}"` };
    for (let round = 0; round < 10; round++) await send(many(6, { body }));
    const got: number[] = [];
    const calls = Array.from({ length: 10 }, (_, index) =>
      verbs
        .receive({
          stamp,
          group: "slow",
          maxMessages: 6,
          invisibleMs: 30_000,
          waitMs: 0,
          bytesMax: LIMITS.answerBytesMax,
        })
        .then((outcome) => got.push(outcome.ok ? outcome.value.offsets.length : -index)),
    );
    const before = bench.queue.store.journal.seq;
    await bench.clock.advance(0);
    await Promise.all(calls);
    expect(got).toEqual(Array.from({ length: 10 }, () => 6));
    expect(bench.queue.store.journal.seq - before).toBeGreaterThan(1);
  });

  it("holds so many long polls in all, whatever their groups", async () => {
    const names = Array.from({ length: 41 }, (_, index) => group(`g${index}`, {}, index + 1));
    const { bench, verbs } = await started({}, {}, names);
    const codes: string[] = [];
    const waitMs = 1_000;
    for (const { name } of names)
      for (let index = 0; index < 100; index++)
        void verbs
          .receive({ stamp, group: name, maxMessages: 1, invisibleMs: 100, waitMs, bytesMax: 1 })
          .then((outcome) => codes.push(outcome.ok ? "ok" : outcome.code));
    await bench.clock.advance(0);
    expect(codes).toEqual(Array.from({ length: 100 }, () => "too_many_waiters"));
    await bench.clock.advance(waitMs);
    expect(codes.filter((code) => code === "ok")).toHaveLength(LIMITS.waitersMax);
  });
});
