/** Messages whose segments are in the bucket: nobody who reads them notices. */
import { describe, expect, it } from "vitest";
import { BlockMemory } from "../../src/queue/cold/block-memory.ts";
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
  MINUTE_MS,
  peekAll,
  textOf,
  texts,
} from "./cold.node.ts";
import { Consumer } from "./consumer.node.ts";
import { group, records, route } from "./kit.node.ts";

/** Of messages that go round over three message groups, those of the first, or the others. */
const inTurn = (isHeld: boolean) =>
  Array.from({ length: COUNT + 6 }, (_, n) => n).filter((n) => (n % 3 === 0) === isHeld);

describe.each([false, true])("reading (the queue woken in between: %s)", (wakes) => {
  const rest = ({ bench }: Consumer): void => {
    if (wakes) bench.wake();
  };

  it("gives every message of many blocks, in order and byte for byte", async () => {
    const consumer = await filled();
    rest(consumer);
    expect(await drain(consumer)).toEqual(all.map(textOf));
    await consumer.seek("earliest");
    rest(consumer);
    expect(await drain(consumer, 1)).toEqual(all.map(textOf));
    const { bucket } = consumer.bench;
    // Read ahead by one; never twice at once; each block once a replay.
    expect(bucket.getsOfOneMax).toBe(1);
    expect(bucket.getsAtOnceMax).toBeLessThanOrEqual(2);
    await consumer.bench.pass(MINUTE_MS);
    await consumer.stats();
    expect(consumer.bench.queue.store.messages.cold.copyCount).toBe(0);
  });

  it("skips to a time, an offset, and what a filter wants", async () => {
    const consumer = await coldConsumer({ filter: { tags: ["last"] } });
    await fill(consumer, COUNT, (n) => ({ tag: n === 45 ? "last" : "other" }));
    await cool(consumer);
    rest(consumer);
    expect(await drain(consumer)).toEqual([textOf(45)]);
    await consumer.set({});
    await consumer.seek({ offset: 17 });
    rest(consumer);
    expect((await consumer.take(2)).offsets).toEqual([17, 18]);
    await consumer.seek({ at: 0 });
    expect((await consumer.take(2)).offsets).toEqual([0, 1]);
  });

  it("keeps at hand what is in flight: retries, holds, dead letters and a repeated attempt need no bucket", async () => {
    const consumer = await filled({ maxAttempts: 2, backoff: { delaysMs: [100] } });
    const { bench } = consumer;
    const first = await consumer.take(4, { attempt: "a", invisibleMs: 1_000 });
    bench.bucket.isDown = true;
    rest(consumer);
    const again = await consumer.take(4, { attempt: "a" });
    expect(texts(again.entries)).toEqual(all.slice(0, 4).map(textOf));
    await consumer.tell("nack", first.receipts.slice(0, 2));
    rest(consumer);
    // Two leases run out meanwhile.
    await bench.pass(2_000);
    const second = await consumer.take(4);
    expect(second.offsets).toEqual([0, 1, 2, 3]);
    expect(second.attempts).toEqual([2, 2, 2, 2]);
    await consumer.tell("nack", second.receipts, { reason: "no" });
    const { entries } = await consumer.deadLetters();
    expect(texts(entries)).toEqual(all.slice(0, 4).map(textOf));
    bench.bucket.isDown = false;
    await bench.pass(5_000);
    expect(await drain(consumer)).toEqual(all.slice(4).map(textOf));
  });

  it("keeps the order of message groups across blocks, parked ones among them", async () => {
    const consumer = await coldConsumer({ ordered: true, backoff: { delaysMs: [1_000] } });
    const { bench } = consumer;
    await fill(consumer, COUNT, (n) => ({ messageGroup: `m${n % 3}` }));
    await cool(consumer);
    await fill(consumer, 6, (n) => ({ messageGroup: `m${n % 3}` }));
    // One of m0 is held up, so that all others of m0 are parked, from the first block on.
    const { offsets, receipts } = await consumer.take(1);
    expect(offsets).toEqual([0]);
    const others: number[] = [];
    for (;;) {
      const taken = await consumer.take(4);
      if (taken.offsets.length === 0) break;
      others.push(...taken.offsets);
      await consumer.tell("ack", taken.receipts);
    }
    expect(others).toEqual(inTurn(false));
    rest(consumer);
    await consumer.tell("nack", receipts);
    await bench.pass(2_000);
    const held: number[] = [];
    const said: string[] = [];
    for (;;) {
      const taken = await consumer.take(4);
      if (taken.offsets.length === 0) break;
      held.push(...taken.offsets);
      said.push(...texts(taken.entries));
      await consumer.tell("ack", taken.receipts);
    }
    expect(held).toEqual(inTurn(true));
    expect(said).toEqual(inTurn(true).map(textOf));
  });

  it("shows messages to who looks: pages, a key, an id, its life, and a recall that comes too late", async () => {
    const bench = coldBench();
    await bench.run(bench.queue.configure(route([group("g")], { trace: true }), 0));
    const consumer = await Consumer.of({}, bench);
    const sent = await consumer.send({ body: { json: textOf(0) }, tag: "t" });
    const id = "first" in sent.stored ? "" : (sent.stored[0]?.id ?? "");
    await fill(consumer, COUNT - 1, (n) => ({ keys: [`k${n}`] }));
    await cool(consumer);
    rest(consumer);
    const { stamp } = consumer;
    expect(await peekAll(consumer)).toEqual(all);
    expect(await peekAll(consumer, { key: "k40" })).toEqual([40]);
    rest(consumer);
    const view = await bench.run(consumer.verbs.message({ stamp, id }));
    expect(view).toMatchObject({ offset: 0, state: "ready" });
    expect(view.events?.map(({ type }) => type)).toEqual(["stored"]);
    rest(consumer);
    expect(await code(bench, consumer.verbs.recall({ stamp, id }))).toBe("already_delivered");
  });
});

describe("a long poll", () => {
  it("gets what a seek makes visible to it", async () => {
    const consumer = await filled();
    expect(await drain(consumer)).toHaveLength(COUNT);
    const polled = consumer.verbs.receive(consumer.call({ waitMs: 20_000 }));
    await consumer.bench.pass(1_000);
    await consumer.seek("earliest");
    expect(texts((await consumer.bench.run(polled)).entries)).toEqual([textOf(0)]);
  });

  it("is told when that is out of reach", async () => {
    const consumer = await filled();
    expect(await drain(consumer)).toHaveLength(COUNT);
    consumer.bench.wake();
    const polled = consumer.verbs.receive(consumer.call({ waitMs: 20_000 }));
    await consumer.bench.pass(1_000);
    consumer.bench.bucket.isDown = true;
    await consumer.seek("earliest");
    expect(await code(consumer.bench, polled)).toBe("body_unavailable");
  });
});

describe("many at once", () => {
  it("share a fetch, a few of which are under way, and memory stays bounded", async () => {
    const consumer = await filled({}, { fetchedBytesMax: 2_400 });
    const { bench, stamp } = consumer;
    const { bucket } = bench;
    const gate = Promise.withResolvers<void>();
    bucket.before = () => gate.promise;
    const { cold } = bench.queue.store.messages;
    const looks = [...all, ...all].map((offset) =>
      consumer.verbs.peek({ stamp, offset, limit: 1, bytesMax: 1e6 }),
    );
    await bench.clock.advance(0);
    expect(bucket.getsAtOnceMax).toBe(4);
    gate.resolve();
    for (const [index, look] of looks.entries())
      expect(texts((await bench.run(look)).entries)).toEqual([textOf(index % COUNT)]);
    expect([bucket.getsAtOnceMax, bucket.getsOfOneMax]).toEqual([4, 1]);
    expect(cold.fetchedBytes).toBeLessThanOrEqual(2_400);
    expect(cold.fetchedBytes).toBeGreaterThan(0);
  });
});

describe("memory", () => {
  it("keeps a block for a slow consumer, and has the next one brought while it reads the first message", async () => {
    const consumer = await filled();
    const { bench } = consumer;
    const blocks = [...bench.sql.exec("SELECT first FROM cold_log")].length;
    bench.wake();
    bench.bucket.calls.get = 0;
    const cold = coldCount(consumer);
    for (let n = 0; n < cold; n++) {
      const { offsets, receipts } = await consumer.take(1);
      expect(offsets).toEqual([n]);
      await bench.pass(MINUTE_MS);
      if (n === 0) expect(bench.bucket.calls.get).toBe(2);
      await consumer.tell("ack", receipts);
    }
    expect(bench.bucket.calls.get, "each once").toBe(blocks);
  });

  it("forgets what nobody reads", async () => {
    const consumer = await filled();
    const { bench } = consumer;
    const { cold } = bench.queue.store.messages;
    await peekAll(consumer);
    await bench.pass(5 * MINUTE_MS);
    await consumer.stats();
    expect(cold.fetchedBytes).toBeGreaterThan(0);
    await bench.pass(6 * MINUTE_MS);
    await consumer.stats();
    expect(cold.fetchedBytes).toBe(0);
  });

  it("is one for all queues of a process: what was read longest ago goes, and few are on their way", async () => {
    const memory = new BlockMemory(3_000);
    const consumers = await Promise.all(
      Array.from({ length: 6 }, () => filled({}, { fetchedBytesMax: 1e6 }, memory)),
    );
    const held = (): number[] =>
      consumers.map(({ bench }) => bench.queue.store.messages.cold.fetchedBytes);
    const sum = (): number => held().reduce((one, other) => one + other, 0);
    for (const consumer of consumers) {
      expect(await peekAll(consumer)).toEqual(all);
      expect(sum()).toBe(memory.bytes);
      expect(memory.bytes).toBeLessThanOrEqual(3_000);
    }
    expect(held()[0], "the first ones' blocks are gone").toBe(0);
    expect(held()[5]).toBeGreaterThan(1_000);
    // All at once: each comes to its end though not all may ask.
    const gates = consumers.map(({ bench }) => {
      const gate = Promise.withResolvers<void>();
      bench.bucket.before = () => gate.promise;
      return gate;
    });
    const looks = consumers.map((consumer) => {
      consumer.bench.wake();
      const { stamp } = consumer;
      return consumer.verbs.peek({ stamp, offset: 0, limit: 1, bytesMax: 1e6 });
    });
    for (const { bench } of consumers) await bench.clock.advance(0);
    expect(memory.bytes).toBeLessThanOrEqual(3_000);
    for (const gate of gates) gate.resolve();
    for (const [index, { bench }] of consumers.entries()) {
      await bench.clock.advance(1_000);
      expect(texts((await bench.run(looks[index] ?? expect.fail())).entries)).toEqual([textOf(0)]);
    }
  });

  it("is not taken up for ever by calls that died with their objects", () => {
    const memory = new BlockMemory(100);
    expect([memory.ask({}, 40, 0), memory.ask({}, 40, 1)]).toEqual([true, false]);
    expect(memory.ask({}, 40, 60_001)).toBe(true);
    expect(memory.bytes).toBe(40);
  });
});

describe("storage that is full", () => {
  it("gives out what is cold all the same, as many blocks at a time as there must be room for", async () => {
    const consumer = await coldConsumer();
    const { bench } = consumer;
    await fill(consumer, 600);
    await bench.pass(10 * MINUTE_MS);
    bench.storedBytes = 1_000;
    await bench.pass(MINUTE_MS);
    const send = { stamp: consumer.stamp, records: records({}) };
    expect(await code(bench, consumer.verbs.send(send))).toBe("storage_full");
    const taken = [];
    for (;;) {
      const { offsets, receipts } = await consumer.take(1_000);
      if (offsets.length === 0) break;
      taken.push(...receipts);
    }
    const { cold } = bench.queue.store.messages;
    expect(cold.copyCount).toBe(64);
    expect(taken.length).toBeLessThan(600);
    await consumer.tell("ack", taken);
    const rest = await drain(consumer);
    expect(taken.length + rest.length).toBe(600);
  });
});
