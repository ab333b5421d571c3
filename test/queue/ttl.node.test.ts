/** A message's own time to live, wherever messages go out: over, it is given to nobody, and counted as expired. */
import { describe, expect, it } from "vitest";
import { decodeEntry } from "../../src/core/entry.ts";
import { unframe, type Content } from "../../src/core/record.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Consumer } from "./consumer.node.ts";
import { Bench, records } from "./kit.node.ts";

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const ttlMs = 10 * SECOND_MS;

const figures = async (consumer: Consumer) => {
  const { groups } = await consumer.bench.run(consumer.verbs.stats(consumer.stamp));
  return groups[0];
};

const prepared = (consumer: Consumer, content: Partial<Content>) => {
  const { stamp, bench } = consumer;
  return bench.run(
    new QueueVerbs(bench.queue).prepare({
      stamp,
      producerGroup: "p",
      check: { timeoutMs: DAY_MS, intervalMs: DAY_MS, maxChecks: 100 },
      records: records(content),
      targets: [{ topic: "orders", incarnation: 7, queue: 0 }],
    }),
  );
};

describe.each([{}, { ordered: true }, { filter: { tags: ["t"] } }])("in a group %j", (settings) => {
  const content = { ttlMs, tag: "t", messageGroup: "m" };

  it("a message is given before, and to nobody after; those behind it are", async () => {
    const consumer = await Consumer.of(settings);
    await consumer.send(content, { tag: "t", messageGroup: "m" });
    await consumer.bench.pass(ttlMs);
    expect(await consumer.offsets()).toEqual([1]);
    expect(await figures(consumer)).toMatchObject({ lag: 1, expired: 1 });
  });

  it("one that waits for its retry, or whose lease runs out, comes no more once it is over", async () => {
    const consumer = await Consumer.of({ ...settings, backoff: { delaysMs: [ttlMs] } });
    await consumer.send(content, { ...content, messageGroup: "n" });
    const { receipts } = await consumer.take(2, { invisibleMs: ttlMs });
    expect(receipts).toHaveLength(2);
    await consumer.bench.run(
      consumer.verbs.settle({
        stamp: consumer.stamp,
        group: "g",
        verb: "nack",
        receipts: receipts.slice(0, 1),
      }),
    );
    await consumer.bench.pass(2 * ttlMs);
    expect(await consumer.offsets()).toEqual([]);
    expect(await figures(consumer)).toMatchObject({ lag: 0, expired: 2, retrying: 0 });
  });

  it("a delay counts first, then the time to live; likewise a commit", async () => {
    const consumer = await Consumer.of(settings);
    await consumer.send({ ...content, delayMs: 60 * SECOND_MS });
    await prepared(consumer, { ...content, messageGroup: "n" });
    await consumer.bench.pass(65 * SECOND_MS);
    await consumer.bench.run(
      consumer.verbs.decide({
        stamp: consumer.stamp,
        position: 0,
        decision: "commit",
        by: "producer",
      }),
    );
    expect(await consumer.offsets()).toEqual([0, 1]);
    await consumer.bench.pass(31 * SECOND_MS);
    expect(await consumer.offsets()).toEqual([]);
    expect(await figures(consumer)).toMatchObject({ lag: 0, expired: 2 });
  });
});

describe("elsewhere", () => {
  it("a redriven dead letter that is over is not given, and is no dead letter any more", async () => {
    const consumer = await Consumer.of({ maxAttempts: 1 });
    await consumer.send({ ttlMs });
    const { receipts } = await consumer.take();
    const { stamp, bench } = consumer;
    await bench.run(consumer.verbs.settle({ stamp, group: "g", verb: "nack", receipts }));
    await bench.pass(ttlMs);
    await bench.run(consumer.verbs.redrive(stamp, "g"));
    expect(await consumer.offsets()).toEqual([]);
    expect(await figures(consumer)).toMatchObject({ lag: 0, deadLetters: 0 });
  });

  it("a peek shows what is still stored, with its end", async () => {
    const consumer = await Consumer.of();
    await consumer.send({ ttlMs });
    await consumer.bench.pass(ttlMs);
    const peeked = await consumer.bench.run(
      consumer.verbs.peek({ stamp: consumer.stamp, limit: 1, bytesMax: 1e6 }),
    );
    const [entry = new Uint8Array()] = unframe(peeked.entries);
    expect(decodeEntry(entry).expiresAt).toBe((peeked.storedAts[0] ?? 0) + ttlMs);
  });

  it("an end that is given as an instant holds after a wake", async () => {
    const bench = new Bench();
    const consumer = await Consumer.of({}, bench);
    await consumer.send({ expiresAt: bench.clock.nowMs() + ttlMs });
    bench.wake();
    await bench.pass(ttlMs);
    expect(await consumer.offsets()).toEqual([]);
  });
});
