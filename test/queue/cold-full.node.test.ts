/** Old messages of a queue that is full, or that can take no more commands: what is in flight stays at hand all the same. */
import { expect, it } from "vitest";
import {
  all,
  coldConsumer,
  coldCount,
  cool,
  COUNT,
  drain,
  fill,
  filled,
  HOUR_MS,
  MINUTE_MS,
  objects,
  stopAtThirdPut,
  textOf,
  texts,
} from "./cold.node.ts";

it("keeps a copy of every block that one receive leases from, though it makes room for the last of them", async () => {
  const bounds = { blockBytes: 150, fetchedBytesMax: 20_000 };
  const consumer = await coldConsumer({ ordered: true, maxAttempts: 9 }, bounds);
  const { bench, stamp } = consumer;
  await fill(consumer, 200, (n) => ({ messageGroup: `m${n}` }));
  await cool(consumer);
  bench.storedBytes = 10_000;
  await bench.pass(2_000);
  await consumer.stats();
  const { cold } = bench.queue.store.messages;
  // Acked, and their copies are not gone yet: the next one is the last that is made in any case.
  let next = 0;
  while (cold.copyCount < 63) {
    const { receipts, offsets } = await consumer.take();
    await consumer.tell("ack", receipts);
    next = (offsets[0] ?? 0) + 1;
  }
  for (let offset = next; offset < next + 6; offset += 2)
    await bench.run(consumer.verbs.peek({ stamp, offset, limit: 2, bytesMax: 1e6 }));
  const taken = await consumer.take(6, { invisibleMs: MINUTE_MS });
  expect(taken.offsets).toEqual([0, 1, 2, 3, 4, 5].map((n) => next + n));
  expect(taken.offsets.map((offset) => cold.hasCopy(offset))).not.toContain(false);
  bench.bucket.isDown = true;
  bench.wake();
  await bench.pass(2 * MINUTE_MS);
  const again = await consumer.take(6);
  expect(texts(again.entries).toSorted()).toEqual(taken.offsets.map(textOf).toSorted());
});

it("goes on moving though the queue could not hear that a block was put", async () => {
  const consumer = await coldConsumer();
  const { bench } = consumer;
  await fill(consumer, COUNT);
  const gate = stopAtThirdPut(bench);
  await cool(consumer);
  const moved = coldCount(consumer);
  const calls = Array.from({ length: 20_000 }, () =>
    bench.queue.run(() => ({ ok: true, value: 0 })),
  );
  gate.resolve();
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  await bench.clock.advance(0);
  await Promise.all(calls);
  await bench.pass(HOUR_MS);
  expect(coldCount(consumer)).toBeGreaterThan(moved);
  expect(await drain(consumer)).toEqual(all.map(textOf));
  await bench.pass(2 * HOUR_MS);
  expect(objects(consumer).there).toEqual(objects(consumer).referred);
});

it("lets a poll wait for its block, however many flushes come meanwhile", async () => {
  const consumer = await filled();
  const { bench } = consumer;
  expect(await drain(consumer)).toEqual(all.map(textOf));
  bench.wake();
  const polled = consumer.verbs.receive(consumer.call({ waitMs: MINUTE_MS }));
  await bench.clock.advance(0);
  const gate = Promise.withResolvers<void>();
  bench.bucket.before = () => gate.promise;
  await consumer.seek("earliest");
  for (let flush = 0; flush < 4_100; flush++) await consumer.stats();
  gate.resolve();
  expect(texts((await bench.run(polled)).entries)).toEqual([textOf(0)]);
});
