/** Old segments go to the bucket: nothing is lost wherever the queue dies, and nothing is left behind. */
import { describe, expect, it } from "vitest";
import type { MessageLog } from "../../src/queue/log/message-log.ts";
import {
  all,
  code,
  coldBench,
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
} from "./cold.node.ts";
import { Consumer } from "./consumer.node.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const oldest = (messages: MessageLog, limit: number) =>
  Array.from(messages.oldest(limit), ({ first, count, storedAt, bytes }) => ({
    first,
    count,
    storedAt,
    bytes,
  }));

/** Rows that were written while segments went, without those that went themselves. */
const rowsMoved = async (hasBucket: boolean): Promise<{ rows: number; blocks: number }> => {
  const bench = coldBench();
  bench.hasBucket = hasBucket;
  bench.wake();
  const consumer = await Consumer.of({}, bench);
  await fill(consumer, COUNT);
  await bench.pass(MINUTE_MS - 1_000);
  bench.sql.rowsWritten = 0;
  await cool(consumer);
  const blocks = bench.sql.exec("SELECT 1 FROM cold_log").length;
  return { rows: bench.sql.rowsWritten - coldCount(consumer), blocks };
};
/** Rows of a whole life without a bucket. */
const rowsWithout = async (storedBytes: number): Promise<number> => {
  const bench = coldBench();
  bench.hasBucket = false;
  bench.wake();
  bench.storedBytes = storedBytes;
  const consumer = await Consumer.of({}, bench);
  await fill(consumer, COUNT);
  await bench.pass(HOUR_MS);
  expect(await drain(consumer)).toEqual(all.map(textOf));
  await bench.pass(HOUR_MS);
  return bench.sql.rowsWritten;
};
/** The put of the nth block is under way, or done and not heard of. */
async function interrupted(isDone: boolean): Promise<Consumer> {
  const consumer = await coldConsumer();
  const { bench } = consumer;
  await fill(consumer, COUNT);
  const gate = stopAtThirdPut(bench);
  await cool(consumer);
  expect(bench.bucket.calls.put).toBe(3);
  bench.bucket.before = () => Promise.resolve();
  // The former object's queue does not hear the answer any more.
  const before = bench.queue;
  bench.wake();
  expect(bench.queue).not.toBe(before);
  if (isDone) gate.resolve();
  await bench.clock.advance(0);
  return consumer;
}

/** A queue that forgets after ten minutes, filled over a longer time. */
const retained = async (bench: Bench): Promise<Consumer> => {
  const topic = route([group("g")], { retentionMs: 10 * MINUTE_MS });
  await bench.run(bench.queue.configure(topic, 0));
  const consumer = await Consumer.of({}, bench);
  for (let n = 0; n < COUNT; n++) {
    await fill(consumer, 1);
    await bench.pass(11_000);
  }
  return consumer;
};

describe("moving", () => {
  it("reads little more than a block's own segments, however many wait behind them", async () => {
    const consumer = await coldConsumer();
    const { bench } = consumer;
    await fill(consumer, 300);
    bench.sql.rowsRead = 0;
    await cool(consumer);
    const blocks = bench.sql.exec("SELECT 1 FROM cold_log").length;
    expect(blocks).toBeGreaterThan(30);
    expect(bench.sql.rowsRead / blocks).toBeLessThan(40);
  });

  it("takes old segments only, oldest first, in whole blocks, past the share", async () => {
    const consumer = await coldConsumer();
    const { bench } = consumer;
    bench.storedBytes = 400;
    await fill(consumer, COUNT);
    await bench.pass(HOUR_MS);
    expect(coldCount(consumer)).toBe(0);
    bench.storedBytes = 600;
    await fill(consumer, 10);
    await bench.pass(MINUTE_MS - 1_000);
    const moved = coldCount(consumer);
    expect(moved).toBeGreaterThan(COUNT - 10);
    expect(moved).toBeLessThanOrEqual(COUNT);
    await bench.pass(HOUR_MS);
    // What does not make a block stays.
    expect(coldCount(consumer)).toBeGreaterThan(moved);
    expect(coldCount(consumer)).toBeLessThan(COUNT + 10);
    const { referred, there } = objects(consumer);
    expect(there).toEqual(referred);
    for (const object of bench.bucket.objects.values()) expect(object.length).toBeLessThan(600);
  });

  it("leaves the log as it was: offsets, bytes, times, and a group's figures", async () => {
    const [cold, plain] = [await coldConsumer(), await Consumer.of()];
    for (const consumer of [cold, plain]) {
      await fill(consumer, 20);
      await consumer.bench.pass(7 * MINUTE_MS);
      await fill(consumer, 20);
      await consumer.bench.pass(7 * MINUTE_MS);
    }
    expect(coldCount(cold)).toBeGreaterThan(20);
    for (const wakes of [false, true]) {
      if (wakes) for (const { bench } of [cold, plain]) bench.wake();
      const [one, other] = [cold, plain].map(({ bench }) => {
        const { messages } = bench.queue.store;
        const instants = Array.from({ length: 40 }, (_, n) => 900_000 + n * 30_000);
        return {
          where: [messages.first, messages.next, messages.bytes, messages.lastStoredAt],
          positions: instants.map((at) => messages.positionAt(at)),
          oldest: oldest(messages, 100),
          few: oldest(messages, 3),
          holes: messages.holes(1_000),
          storedAts: all.map((offset) => messages.storedAtOf(offset)),
        };
      });
      expect(one).toEqual(other);
      expect(await cold.stats()).toEqual(await plain.stats());
    }
  });

  it("goes on beside a message in flight, whose block keeps a copy", async () => {
    const consumer = await coldConsumer();
    await fill(consumer, COUNT);
    const { receipts } = await consumer.take(2, { invisibleMs: 2 * HOUR_MS });
    await cool(consumer);
    expect(coldCount(consumer)).toBeGreaterThan(COUNT / 2);
    const { cold } = consumer.bench.queue.store.messages;
    expect([cold.copyCount, cold.hasCopy(1), cold.hasCopy(20)]).toEqual([1, true, false]);
    await consumer.tell("ack", receipts);
    await consumer.bench.pass(MINUTE_MS);
    await consumer.stats();
    expect(cold.copyCount).toBe(0);
  });

  it("forgets no key", async () => {
    const consumer = await coldConsumer();
    const { bench, stamp } = consumer;
    const keyed = { key: new Uint8Array(16).fill(7), body: new Uint8Array(8).fill(1) };
    const call = { stamp, records: records({ body: { json: textOf(0) } }), keyed };
    await bench.run(consumer.verbs.send(call));
    await fill(consumer, COUNT);
    await cool(consumer);
    expect(coldCount(consumer)).toBeGreaterThan(0);
    bench.wake();
    expect(await bench.run(consumer.verbs.send(call))).toMatchObject({ replayed: true });
  });

  it("writes four rows a block beside those of its segments, which retention would have", async () => {
    const [cold, plain] = [await rowsMoved(true), await rowsMoved(false)];
    expect(plain).toEqual({ rows: 0, blocks: 0 });
    expect(cold.blocks).toBeGreaterThan(5);
    expect(cold.rows).toBe(4 * cold.blocks);
  });
});

/** Rows of a life from the first message to the last object's end; the group gets all of it so many times. */
async function rowsOfLife(storedBytes: number, rounds: number): Promise<number> {
  const bench = coldBench();
  bench.storedBytes = storedBytes;
  const topic = route([group("g")], { retentionMs: HOUR_MS });
  await bench.run(bench.queue.configure(topic, 0));
  const consumer = await Consumer.of({}, bench);
  await fill(consumer, COUNT);
  await cool(consumer);
  for (let round = 0; round < rounds; round++) {
    await consumer.seek("earliest");
    expect(await drain(consumer, COUNT)).toHaveLength(COUNT);
    await bench.pass(MINUTE_MS);
    await consumer.stats();
  }
  await bench.pass(2 * HOUR_MS);
  expect(bench.queue.store.messages.first).toBe(COUNT);
  expect(bench.bucket.objects.size).toBe(0);
  return bench.sql.rowsWritten;
}

describe("the cost", () => {
  it("of a block is eight rows over its life, and two more whenever it is given out", async () => {
    const blocks = 7;
    const never = (await rowsOfLife(600, 0)) - (await rowsOfLife(0, 0));
    expect(never).toBe(8 * blocks);
    const once = (await rowsOfLife(600, 1)) - (await rowsOfLife(0, 1));
    const twice = (await rowsOfLife(600, 2)) - (await rowsOfLife(0, 2));
    expect(twice - once).toBeGreaterThanOrEqual(2 * blocks);
    expect(twice - once).toBeLessThan(4 * blocks);
  });
});

describe("the disk", () => {
  it("is asked inside of flushes only: what follows them could not take a failure", async () => {
    const consumer = await coldConsumer();
    const { sql } = consumer.bench;
    const outside: string[] = [];
    let depth = 0;
    const transaction = sql.transactionSync.bind(sql);
    sql.transactionSync = (body) => {
      depth++;
      try {
        return transaction(body);
      } finally {
        depth--;
      }
    };
    sql.onStatement = (query) => {
      if (depth === 0) outside.push(query);
    };
    await fill(consumer, COUNT);
    await cool(consumer);
    expect(await drain(consumer)).toEqual(all.map(textOf));
    await consumer.bench.run(
      consumer.verbs.peek({ stamp: consumer.stamp, offset: 9, limit: 1, bytesMax: 1e6 }),
    );
    expect(outside).toEqual([]);
  });
});

describe("without a bucket", () => {
  it("nothing moves, and no row is written that was not written before", async () => {
    expect(await rowsWithout(600)).toBe(await rowsWithout(0));
  });
});

describe("a crash", () => {
  it.each([
    ["before the object is put", false],
    ["after it was put", true],
  ])("%s loses nothing, and leaves nothing once that is given up", async (_, isDone) => {
    const consumer = await interrupted(isDone);
    const { bench } = consumer;
    expect(await drain(consumer)).toEqual(all.map(textOf));
    await bench.pass(2 * HOUR_MS);
    const { referred, there } = objects(consumer);
    expect(there).toEqual(referred);
    expect(referred.length).toBeGreaterThan(5);
    await consumer.seek("earliest");
    expect(await drain(consumer)).toEqual(all.map(textOf));
  });

  it("in the middle of the flush that moves a block leaves the segments", async () => {
    const consumer = await coldConsumer();
    const { bench } = consumer;
    await fill(consumer, COUNT);
    bench.sql.onStatement = (query) => {
      if (query.startsWith("DELETE FROM message_log")) throw new Error("the disk is gone");
    };
    await expect(cool(consumer)).rejects.toThrow("the disk is gone");
    bench.sql.onStatement = () => {};
    bench.aborted = undefined;
    bench.wake();
    expect(coldCount(consumer)).toBe(0);
    await bench.pass(2 * HOUR_MS);
    expect(await drain(consumer)).toEqual(all.map(textOf));
    expect(objects(consumer).there).toEqual(objects(consumer).referred);
  });

  it("after the move changes nothing", async () => {
    const consumer = await filled();
    consumer.bench.wake();
    expect(await drain(consumer)).toEqual(all.map(textOf));
  });
});

describe("the end", () => {
  it("by retention takes segment by segment, and each object with its last", async () => {
    const [cold, plain] = [await retained(coldBench()), await retained(new Bench())];
    expect(coldCount(cold)).toBeGreaterThan(10);
    for (let n = 0; n < COUNT + 10; n++) {
      const [one, other] = [cold, plain].map(({ bench }) => {
        const { first, bytes, firstStoredAt } = bench.queue.store.messages;
        return { first, bytes, firstStoredAt };
      });
      expect(one).toEqual(other);
      if (n % 10 === 0) cold.bench.wake();
      await cold.bench.pass(11_000);
      await plain.bench.pass(11_000);
      await cold.stats();
      await plain.stats();
    }
    await cold.bench.pass(5 * MINUTE_MS);
    expect(cold.bench.queue.store.messages.first).toBe(COUNT);
    expect(cold.bench.bucket.objects.size).toBe(0);
    expect(cold.bench.queue.store.bodies.isEmpty).toBe(true);
    expect(cold.bench.sql.exec("SELECT 1 FROM cold_log")).toEqual([]);
  });

  it("of the topic leaves nothing in the bucket, nor what is on its way there", async () => {
    const consumer = await coldConsumer();
    const { bench } = consumer;
    await fill(consumer, COUNT);
    const gate = stopAtThirdPut(bench);
    await cool(consumer);
    expect(bench.bucket.objects.size).toBe(2);
    expect(await bench.run(consumer.verbs.drop(7))).toEqual({ dropped: false });
    await bench.pass(MINUTE_MS);
    expect(bench.erased).toBe(0);
    gate.resolve();
    await bench.pass(2 * MINUTE_MS);
    expect(bench.bucket.objects.size).toBe(0);
    expect(bench.erased).toBe(1);
  });

  it("of the topic without its bucket says what it leaves", async () => {
    const consumer = await filled();
    const { bench } = consumer;
    bench.hasBucket = false;
    bench.wake();
    expect(await code(bench, consumer.verbs.receive(consumer.call()))).toBe("body_unavailable");
    expect(await bench.run(consumer.verbs.drop(7))).toEqual({ dropped: true });
    expect(bench.logged.some(({ event }) => event === "bodies.left")).toBe(true);
  });
});
