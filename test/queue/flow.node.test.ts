/** Limits of a group: in flight, a second, of a message group; shares of queues; never a busy loop. */
import { describe, expect, it } from "vitest";
import type { GroupSettings } from "../../src/protocol/topic.ts";
import { Consumer } from "./consumer.node.ts";
import { Bench, group, route } from "./kit.node.ts";

describe.each([false, true])("a group (woken: %s)", (wakes) => {
  const rest = (consumer: Consumer): void => {
    if (wakes) consumer.bench.wake();
  };

  it("has at most maxInFlight with its consumers, whatever ends their leases", async () => {
    const consumer = await Consumer.of({ maxInFlight: 3 });
    await consumer.send(...Array.from({ length: 9 }, () => ({})));
    const first = await consumer.take(16);
    expect(first.offsets).toEqual([0, 1, 2]);
    rest(consumer);
    expect(await consumer.offsets()).toEqual([]);
    await consumer.tell("ack", first.receipts.slice(0, 1));
    rest(consumer);
    expect(await consumer.offsets()).toEqual([3]);
    // What waits for a retry is with nobody.
    await consumer.tell("nack", first.receipts.slice(1, 2), { delayMs: 60_000 });
    rest(consumer);
    expect(await consumer.offsets()).toEqual([4]);
    expect(await consumer.offsets()).toEqual([]);
    await consumer.bench.pass(30_000);
    rest(consumer);
    expect(await consumer.offsets()).toEqual([2, 3, 4]);
  });

  it("has what is extended after its lease still in flight", async () => {
    const consumer = await Consumer.of({ maxInFlight: 1 });
    await consumer.send({}, {});
    const { receipts } = await consumer.take();
    await consumer.bench.pass(30_000);
    rest(consumer);
    await consumer.tell("extend", receipts, { invisibleMs: 60_000 });
    rest(consumer);
    expect(await consumer.offsets()).toEqual([]);
  });

  it("is given at most ratePerSecond, across wakes", async () => {
    const consumer = await Consumer.of({ ratePerSecond: 2 });
    await consumer.send(...Array.from({ length: 40 }, () => ({})));
    const came: number[] = [];
    for (let step = 0; step < 100; step++) {
      const { offsets, receipts } = await consumer.take(16);
      for (const _ of offsets) came.push(step);
      if (receipts.length > 0) await consumer.tell("ack", receipts);
      rest(consumer);
      await consumer.bench.pass(100);
    }
    expect(came).toHaveLength(20);
    for (const [index, step] of came.entries())
      if (index > 0) expect(step - (came[index - 1] ?? 0)).toBeGreaterThanOrEqual(5);
  });

  it("has at most messageGroupConcurrency of a message group, retries and redriven ones too", async () => {
    const consumer = await Consumer.of({ messageGroupConcurrency: 2, maxAttempts: 2 });
    await consumer.put("a", "a", "a", "a", "b", "c");
    const first = await consumer.take(16);
    expect(first.offsets).toEqual([0, 1, 4, 5]);
    rest(consumer);
    expect(await consumer.offsets()).toEqual([]);
    await consumer.tell("nack", first.receipts.slice(0, 1), { delayMs: 0 });
    await consumer.bench.pass(1);
    rest(consumer);
    // The retry takes the place that it left.
    const again = await consumer.take(16);
    expect([again.offsets, again.attempts]).toEqual([[0], [2]]);
    await consumer.tell("nack", again.receipts, { reason: "out" });
    rest(consumer);
    expect(await consumer.offsets()).toEqual([2]);
    await consumer.bench.run(consumer.verbs.redrive(consumer.stamp, "g"));
    rest(consumer);
    expect(await consumer.offsets()).toEqual([]);
    await consumer.tell("ack", first.receipts.slice(1));
    rest(consumer);
    const rests = await consumer.offsets();
    expect(rests).toHaveLength(1);
    expect([0, 3]).toContain(rests[0]);
  });

  it("lists message groups at their limit as blocked", async () => {
    const consumer = await Consumer.of({ messageGroupConcurrency: 1 });
    await consumer.put("a", "a", "b");
    const { receipts } = await consumer.take(16);
    rest(consumer);
    expect(await consumer.offsets()).toEqual([]);
    const { items } = await consumer.blocked();
    expect(items.map(({ messageGroup, state, waiting }) => [messageGroup, state, waiting])).toEqual(
      [
        ["a", "inFlight", 1],
        ["b", "inFlight", 0],
      ],
    );
    await consumer.tell("ack", receipts);
    expect(await consumer.drain()).toEqual([1]);
  });
});

it("limits change with the settings at once, up, down and away", async () => {
  const consumer = await Consumer.of();
  await consumer.put(...Array.from({ length: 30 }, (_, index) => `m${index % 3}`));
  const first = await consumer.take(4);
  await consumer.set({ maxInFlight: 5 });
  expect(await consumer.offsets()).toEqual([4]);
  await consumer.set({ maxInFlight: 2 });
  await consumer.tell("ack", first.receipts.slice(0, 3));
  expect(await consumer.offsets()).toEqual([]);
  await consumer.tell("ack", first.receipts.slice(3));
  expect(await consumer.offsets()).toEqual([5]);
  await consumer.set({ messageGroupConcurrency: 1 });
  // Of m1 and m2 one each is with a consumer.
  expect(await consumer.offsets()).toEqual([6]);
  await consumer.set({ messageGroupConcurrency: 2 });
  expect(await consumer.offsets()).toHaveLength(3);
  await consumer.set({});
  expect(await consumer.offsets(100)).toHaveLength(20);
  await consumer.set({ ratePerSecond: 1 });
  await consumer.put("a", "a");
  expect(await consumer.offsets(100)).toHaveLength(1);
  expect(await consumer.offsets(100)).toHaveLength(0);
  await consumer.set({ ratePerSecond: 0 });
  expect(await consumer.offsets(100)).toHaveLength(1);
});

it("a noisy message group does not keep the others from their turn", async () => {
  const consumer = await Consumer.of({ messageGroupConcurrency: 1 });
  await consumer.put(...Array.from({ length: 900 }, () => "noisy"), "quiet", "calm");
  const { offsets } = await consumer.take(16);
  expect(offsets).toEqual([0, 900, 901]);
});

/** How many one queue of several gives at once. */
async function taken(
  settings: Partial<GroupSettings>,
  queue: number,
  queues: number,
): Promise<number> {
  const bench = new Bench();
  await bench.run(
    bench.queue.configure(route([group("g", settings)], { queues }, { growths: [] }), queue),
  );
  const consumer = await Consumer.of(settings, bench);
  await consumer.send(...Array.from({ length: 20 }, () => ({})));
  return (await consumer.offsets(100)).length;
}

it("the queues of a topic share a limit out, to one each at least", async () => {
  const shares = await Promise.all(
    [0, 1, 2, 3].map((queue) => taken({ maxInFlight: 10 }, queue, 4)),
  );
  expect(shares).toEqual([3, 3, 2, 2]);
  const few = await Promise.all([0, 1, 2, 3].map((queue) => taken({ maxInFlight: 2 }, queue, 4)));
  expect(few).toEqual([1, 1, 1, 1]);
  expect(await taken({ ratePerSecond: 32 }, 0, 4)).toBe(2);
});

it("a long poll that a limit holds is answered when it may, by one alarm and not by looking", async () => {
  const consumer = await Consumer.of({ ratePerSecond: 0.5 });
  await consumer.send({}, {}, {});
  await consumer.drain();
  const { bench } = consumer;
  const answers: number[] = [];
  void consumer.verbs
    .receive(consumer.call({ waitMs: 20_000 }))
    .then((outcome) => outcome.ok && answers.push(bench.clock.nowMs()));
  await bench.clock.advance(0);
  const began = bench.clock.nowMs();
  let flushes = 0;
  const transactionSync = bench.sql.transactionSync.bind(bench.sql);
  bench.sql.transactionSync = (run) => {
    flushes++;
    return transactionSync(run);
  };
  expect(bench.alarmAt).toBe(began + 2_000);
  await bench.pass(1_999);
  expect(answers).toEqual([]);
  await bench.pass(1);
  expect(answers).toEqual([began + 2_000]);
  expect(flushes).toBeLessThanOrEqual(3);
});
