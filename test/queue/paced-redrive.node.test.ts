/** Redrives at a rate at one queue: how fast, over wakes, which letters, read, stopped and replaced. */
import { expect, it } from "vitest";
import { messageId } from "../../src/core/ids.ts";
import type { RedriveOrder } from "../../src/protocol/rpc.ts";
import type { GroupSettings } from "../../src/protocol/topic.ts";
import { Consumer } from "./consumer.node.ts";

const idOf = (position: number): string =>
  messageId({ origin: "log", incarnation: 7, queue: 0, position, index: 0 });

const order = (consumer: Consumer, what: RedriveOrder) =>
  consumer.bench.run(consumer.verbs.pacedRedrive(consumer.stamp, "g", what));

const start = (consumer: Consumer, ratePerSecond: number, ids?: readonly string[]) =>
  order(consumer, { verb: "start", ratePerSecond, share: 1, delayMs: 0, ...(ids && { ids }) });

async function bury(consumer: Consumer, count: number): Promise<void> {
  await consumer.send(...Array.from({ length: count }, () => ({})));
  const { receipts } = await consumer.take(count);
  await consumer.tell("nack", receipts, { retry: false, reason: "broken" });
}

async function buried(count: number, settings: Partial<GroupSettings> = {}): Promise<Consumer> {
  const consumer = await Consumer.of(settings);
  await bury(consumer, count);
  return consumer;
}

it.each([false, true])("puts back as many a second as it was told (woken: %s)", async (wakes) => {
  const consumer = await buried(12);
  const { bench } = consumer;
  const began = bench.clock.nowMs();
  expect(await start(consumer, 2)).toEqual({
    state: "running",
    ratePerSecond: 2,
    startedAt: began,
    redriven: 1,
    remaining: 11,
  });
  const came: [number, number][] = [];
  for (let step = 0; step <= 60; step++) {
    const { receipts, offsets, attempts } = await consumer.take(100);
    for (const [index, offset] of offsets.entries()) {
      came.push([offset, bench.clock.nowMs() - began]);
      expect(attempts[index]).toBe(1);
    }
    if (receipts.length > 0) await consumer.tell("ack", receipts);
    if (wakes) bench.wake();
    await bench.pass(100);
  }
  expect(came).toEqual(Array.from({ length: 12 }, (_, offset) => [offset, offset * 500]));
  expect(await order(consumer, { verb: "read" })).toMatchObject({
    state: "done",
    redriven: 12,
    remaining: 0,
  });
  expect((await consumer.stats()).deadLetters).toBe(0);
});

it("is driven by the alarm alone, which sleeps when nothing is left", async () => {
  const consumer = await buried(3);
  const { bench } = consumer;
  await start(consumer, 1);
  await bench.clock.advance(0);
  for (let second = 1; second <= 2; second++) {
    expect(bench.alarmAt).toBeLessThanOrEqual(bench.clock.nowMs() + 1_000);
    await bench.pass(1_000);
  }
  expect(await order(consumer, { verb: "read" })).toMatchObject({ state: "done", redriven: 3 });
  expect(bench.queue.redrives.nextDueAt()).toBeUndefined();
});

it("a high rate moves a batch at a time and loses none of what it may move", async () => {
  const consumer = await buried(900);
  await start(consumer, 400);
  // A quarter of a second's worth at once.
  expect((await order(consumer, { verb: "read" })).redriven).toBe(100);
  await consumer.bench.pass(1_000);
  const { redriven } = await order(consumer, { verb: "read" });
  expect(redriven).toBeLessThanOrEqual(500);
  expect(redriven).toBeGreaterThanOrEqual(460);
  await consumer.bench.pass(1_500);
  expect(await order(consumer, { verb: "read" })).toMatchObject({ state: "done", redriven: 900 });
});

it("leaves alone what died after it began, the same message anew too", async () => {
  const consumer = await buried(4, { maxAttempts: 1 });
  const { bench } = consumer;
  await start(consumer, 1);
  await bench.pass(1);
  await bury(consumer, 2);
  for (let second = 0; second < 8; second++) {
    const { receipts } = await consumer.take(100);
    if (receipts.length > 0) await consumer.tell("nack", receipts, { reason: "again" });
    await bench.pass(1_000);
  }
  expect(await order(consumer, { verb: "read" })).toMatchObject({
    state: "done",
    redriven: 4,
    remaining: 0,
  });
  expect((await consumer.stats()).deadLetters).toBe(6);
});

it.each([false, true])("moves the named letters only (woken: %s)", async (wakes) => {
  const consumer = await buried(6);
  const named = [idOf(4), idOf(1), idOf(2), idOf(1), idOf(99), "nonsense"];
  expect(await order(consumer, { verb: "count", ids: named })).toEqual({
    state: "none",
    redriven: 0,
    remaining: 3,
  });
  expect(await start(consumer, 1, named)).toMatchObject({ redriven: 1, remaining: 2 });
  const kept = "SELECT name FROM meta WHERE name LIKE 'redrive:%'";
  expect([...consumer.bench.sql.exec(kept)]).toHaveLength(1);
  if (wakes) consumer.bench.wake();
  await consumer.bench.pass(1_000);
  if (wakes) consumer.bench.wake();
  await consumer.bench.pass(5_000);
  expect(await order(consumer, { verb: "read" })).toMatchObject({ state: "done", redriven: 3 });
  expect(await consumer.offsets()).toEqual([1, 2, 4]);
  expect((await consumer.deadLetters()).items.map(({ offset }) => offset)).toEqual([0, 3, 5]);
  // What it was told is read at each waking: it is not kept for longer than it is needed.
  expect([...consumer.bench.sql.exec(kept)]).toEqual([]);
});

it("stops, says what it has not come to, and another takes its place", async () => {
  const consumer = await buried(10);
  const { bench } = consumer;
  expect(await order(consumer, { verb: "stop" })).toMatchObject({ state: "none" });
  await start(consumer, 1);
  await bench.pass(2_000);
  expect(await order(consumer, { verb: "stop" })).toMatchObject({
    state: "stopped",
    redriven: 3,
    remaining: 7,
  });
  bench.wake();
  await bench.pass(60_000);
  expect((await consumer.stats()).deadLetters).toBe(7);
  await start(consumer, 2);
  await bench.pass(500);
  expect(await start(consumer, 50)).toMatchObject({ ratePerSecond: 50, redriven: 5, remaining: 0 });
});

it("goes on with what others leave of it, and ends with its group", async () => {
  const consumer = await buried(10);
  const { bench } = consumer;
  await start(consumer, 1);
  await bench.run(consumer.verbs.redrive(consumer.stamp, "g", [idOf(1), idOf(2), idOf(3)]));
  await bench.pass(1_000);
  expect(await order(consumer, { verb: "read" })).toMatchObject({ redriven: 2, remaining: 5 });
  await bench.run(consumer.verbs.purgeDeadLetters(consumer.stamp, "g", {}));
  await bench.pass(1_000);
  expect(await order(consumer, { verb: "read" })).toMatchObject({ state: "done", redriven: 2 });

  const other = await buried(5);
  await start(other, 1);
  const { queue } = other.bench;
  const route = queue.store.route;
  await other.bench.run(queue.configure({ ...route, version: 9, groups: [] }, 0));
  await other.bench.pass(10_000);
  expect(other.bench.queue.redrives.nextDueAt()).toBeUndefined();
  expect(other.bench.aborted).toBeUndefined();
});

it("goes through the letters of every consumer of a broadcast group", async () => {
  const base = await Consumer.of({ mode: "broadcast" });
  const [ann, bob] = [await base.named("ann"), await base.named("bob")];
  await base.send({}, {});
  for (const one of [ann, bob]) {
    const { receipts } = await one.take(10);
    await one.tell("nack", receipts, { retry: false });
  }
  expect(await start(base, 1)).toMatchObject({ redriven: 1, remaining: 3 });
  const came: [number, number][] = [];
  for (let second = 0; second < 5; second++) {
    came.push([(await ann.offsets()).length, (await bob.offsets()).length]);
    await base.bench.pass(1_000);
  }
  expect(came).toEqual([
    [1, 0],
    [1, 0],
    [0, 1],
    [0, 1],
    [0, 0],
  ]);
});

it("a queue without a share of it is done at once, and the first waits for its turn", async () => {
  const consumer = await buried(2);
  const none = { verb: "start", ratePerSecond: 1, share: 0, delayMs: 0 } as const;
  expect(await order(consumer, none)).toMatchObject({ state: "done", redriven: 0 });
  await order(consumer, { ...none, share: 0.5, delayMs: 700 });
  await consumer.bench.pass(699);
  expect(await consumer.offsets()).toEqual([]);
  await consumer.bench.pass(1);
  expect(await consumer.offsets()).toEqual([0]);
  await consumer.bench.pass(1_999);
  expect(await consumer.offsets()).toEqual([]);
  await consumer.bench.pass(1);
  expect(await consumer.offsets()).toEqual([1]);
});
