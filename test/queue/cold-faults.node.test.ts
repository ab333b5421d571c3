/** A bucket that is away, slow, or has lost or changed what it had: who needs it is told so, and nobody is held for ever. */
import { describe, expect, it } from "vitest";
import { named } from "../kit/bucket.node.ts";
import {
  all,
  code,
  coldConsumer,
  coldCount,
  cool,
  COUNT,
  drain,
  drainInTime,
  fill,
  filled,
  HOUR_MS,
  MINUTE_MS,
  objects,
  peekAll,
  textOf,
  texts,
} from "./cold.node.ts";

describe("a bucket that fails", () => {
  it("while a block is put: it stays, and goes later, under the same name", async () => {
    const consumer = await coldConsumer();
    const { bench } = consumer;
    await fill(consumer, COUNT);
    bench.bucket.isDown = true;
    await bench.pass(20 * MINUTE_MS);
    expect(coldCount(consumer)).toBe(0);
    expect(bench.bucket.calls.put).toBeGreaterThan(3);
    expect(bench.queue.store.bodies.expectedCount).toBe(1);
    expect(bench.logged.some(({ event }) => event === "segments.put_failed")).toBe(true);
    bench.bucket.isDown = false;
    await bench.pass(30 * MINUTE_MS);
    expect(coldCount(consumer)).toBeGreaterThan(COUNT / 2);
    expect(objects(consumer).there).toEqual(objects(consumer).referred);
    expect(await drain(consumer)).toEqual(all.map(textOf));
  });

  it("for longer than a name is kept leaves nothing behind", async () => {
    const consumer = await coldConsumer();
    const { bench } = consumer;
    await fill(consumer, COUNT);
    // Whatever is put is there, and nobody hears of it.
    const put = bench.bucket.put.bind(bench.bucket);
    bench.bucket.put = async (key, body) => {
      await put(key, body);
      return { ok: false, code: "body_unavailable", detail: "lost" };
    };
    await bench.pass(3 * HOUR_MS);
    expect(coldCount(consumer)).toBe(0);
    bench.bucket.put = put;
    await bench.pass(3 * HOUR_MS);
    expect(objects(consumer).there).toEqual(objects(consumer).referred);
    expect(objects(consumer).there.length).toBeGreaterThan(5);
  });

  it("while it is read: who needs it is told so, all others go on", async () => {
    const consumer = await filled({ maxAttempts: 9, backoff: { delaysMs: [1_000] } });
    const { bench, stamp } = consumer;
    const early = await consumer.take(1);
    await consumer.tell("nack", early.receipts);
    bench.bucket.isDown = true;
    bench.wake();
    // The block of what is in flight has a copy.
    const atHand = await consumer.take(COUNT);
    expect(atHand.offsets[0]).toBe(1);
    expect(atHand.offsets.length).toBeLessThan(COUNT / 2);
    await consumer.tell("ack", atHand.receipts);
    expect(await code(bench, consumer.verbs.receive(consumer.call()))).toBe("body_unavailable");
    const peek = { stamp, offset: 20, limit: 1, bytesMax: 1e6 };
    expect(await code(bench, consumer.verbs.peek(peek))).toBe("body_unavailable");
    await bench.pass(2_000);
    // A retry, sends, warm messages, figures.
    const again = await consumer.take(1);
    expect(again.offsets).toEqual([0]);
    await consumer.tell("ack", again.receipts);
    await fill(consumer, 1);
    const warm = { stamp, offset: COUNT, limit: 1, bytesMax: 1e6 };
    expect(texts((await bench.run(consumer.verbs.peek(warm))).entries)).toEqual([textOf(COUNT)]);
    const lag = COUNT - atHand.offsets.length;
    expect(await consumer.stats()).toMatchObject({ lag, inFlight: 0 });
    bench.bucket.isDown = false;
    await bench.pass(3_000);
    const others = [...all.slice(1 + atHand.offsets.length), COUNT];
    expect(await drain(consumer)).toEqual(others.map(textOf));
  });

  it("that is bound no more: copies of what is done with go all the same", async () => {
    const consumer = await filled();
    const { bench } = consumer;
    const copies = (): number => bench.queue.store.messages.cold.copyCount;
    const { receipts } = await consumer.take(1);
    bench.hasBucket = false;
    bench.wake();
    expect(copies()).toBe(1);
    await consumer.tell("ack", receipts);
    await bench.pass(MINUTE_MS);
    await consumer.stats();
    expect(copies()).toBe(0);
  });

  it("that takes its time holds up only who waits for it", async () => {
    const consumer = await filled();
    const { bench } = consumer;
    bench.wake();
    const gate = Promise.withResolvers<void>();
    bench.bucket.before = () => gate.promise;
    const waiting = consumer.verbs.receive(consumer.call());
    await bench.clock.advance(0);
    await fill(consumer, 1);
    expect(await consumer.stats()).toMatchObject({ lag: COUNT + 1 });
    gate.resolve();
    expect(texts((await bench.run(waiting)).entries)).toEqual([textOf(0)]);
  });

  it.each(["lost", "flipped"] as const)(
    "for good (%s): those messages expire and are counted, the others come; put right, a seek brings them",
    async (how) => {
      const consumer = await filled();
      const { bench, stamp } = consumer;
      const [row] = bench.sql.exec(
        "SELECT first, end, key FROM cold_log ORDER BY first LIMIT 1 OFFSET 2",
      );
      const [first, end] = [Number(row?.["first"]), Number(row?.["end"])];
      const name = named(row?.["key"] as Uint8Array);
      const object = bench.bucket.objects.get(name) ?? new Uint8Array();
      if (how === "lost") bench.bucket.objects.delete(name);
      else bench.bucket.objects.set(name, object.with(object.length >> 1, 0));
      bench.wake();
      const others = all.filter((n) => n < first || n >= end);
      expect(await drainInTime(consumer)).toEqual(others.map(textOf));
      expect(await consumer.stats()).toMatchObject({ lag: 0, expired: end - first });
      const reason = how === "lost" ? "body_missing" : "body_damaged";
      const fields = { topic: "orders", queue: 0, first, count: end - first, reason };
      expect(bench.logged.filter(({ event }) => event === "segments.lost")).toEqual([
        { event: "segments.lost", fields },
      ]);
      expect(await peekAll(consumer)).toEqual(others);
      const audit = await bench.run(consumer.verbs.audit(stamp, { summary: true, limit: 1 }));
      expect(audit.summary?.groups[0]).toMatchObject({ unaccounted: 0, expired: end - first });
      bench.bucket.objects.set(name, object);
      await bench.pass(2 * MINUTE_MS);
      await consumer.seek("earliest");
      expect(await drain(consumer)).toEqual(all.map(textOf));
    },
  );

  it("that has lost a block for some minutes only has lost nothing, whatever sleeps meanwhile", async () => {
    const consumer = await filled();
    const { bench } = consumer;
    const [[name, object] = ["", new Uint8Array()]] = bench.bucket.objects;
    bench.bucket.objects.delete(name);
    for (let minutes = 0; minutes < 4; minutes++) {
      bench.wake();
      expect(await code(bench, consumer.verbs.receive(consumer.call()))).toBe("body_unavailable");
      await bench.pass(MINUTE_MS);
    }
    const missing = bench.logged.filter(({ event }) => event === "segments.missing");
    expect(missing, "once a life").toHaveLength(4);
    bench.bucket.objects.set(name, object);
    expect(await drainInTime(consumer)).toEqual(all.map(textOf));
    expect(await consumer.stats()).toMatchObject({ lag: 0, expired: 0 });
    // What was missing once has its minutes again.
    bench.bucket.objects.delete(name);
    await consumer.seek("earliest");
    bench.wake();
    expect(await code(bench, consumer.verbs.receive(consumer.call()))).toBe("body_unavailable");
    expect(bench.logged.some(({ event }) => event === "segments.lost")).toBe(false);
  });

  it.each(["another one", "emptied"] as const)(
    "because it is not the right one (%s) passes over nothing, for days; stats say since when",
    async (how) => {
      const consumer = await filled();
      const { bench } = consumer;
      const { home } = bench.bucket;
      const objects = [...bench.bucket.objects];
      bench.bucket.home = "00000000000000ee";
      if (how === "emptied") bench.bucket.objects.clear();
      bench.wake();
      const figures = async () => {
        const [figure] = (await bench.run(consumer.verbs.stats(consumer.stamp))).groups;
        const { coldUnreachableAt } = await bench.run(consumer.verbs.stats(consumer.stamp));
        return { expired: figure?.expired, lag: figure?.lag, coldUnreachableAt };
      };
      const since = bench.clock.nowMs();
      for (let hours = 0; hours < 30; hours++) {
        expect(await code(bench, consumer.verbs.receive(consumer.call()))).toBe("body_unavailable");
        await bench.pass(HOUR_MS);
      }
      expect(await figures()).toEqual({ expired: 0, lag: COUNT, coldUnreachableAt: since });
      expect(bench.logged.some(({ event }) => event === "segments.lost")).toBe(false);
      const { get } = bench.bucket.calls;
      for (let seconds = 0; seconds < 60; seconds++) {
        await code(bench, consumer.verbs.receive(consumer.call()));
        await bench.pass(1_000);
      }
      expect(bench.bucket.calls.get - get, "asked with backoff").toBeLessThan(8);
      bench.bucket.home = home;
      for (const [name, object] of objects) bench.bucket.objects.set(name, object);
      await bench.pass(MINUTE_MS);
      expect(await drain(consumer)).toEqual(all.map(textOf));
      expect(await figures()).toEqual({ expired: 0, lag: 0 });
    },
  );

  it("for good lets an ordered group go on, past what it had parked", async () => {
    const consumer = await coldConsumer({ ordered: true, backoff: { delaysMs: [1_000] } });
    const { bench } = consumer;
    await fill(consumer, COUNT, (n) => ({ messageGroup: `m${n % 2}` }));
    await cool(consumer);
    const { receipts } = await consumer.take(1, { invisibleMs: HOUR_MS });
    const odd: number[] = [];
    for (
      let taken = await consumer.take(4);
      taken.offsets.length > 0;
      taken = await consumer.take(4)
    ) {
      odd.push(...taken.offsets);
      await consumer.tell("ack", taken.receipts);
    }
    expect(odd).toHaveLength(COUNT / 2);
    // Copies of what is done with go.
    await bench.pass(MINUTE_MS);
    await consumer.stats();
    const [row] = bench.sql.exec(
      "SELECT first, end, key FROM cold_log ORDER BY first LIMIT 1 OFFSET 3",
    );
    const [first, end] = [Number(row?.["first"]), Number(row?.["end"])];
    bench.bucket.objects.delete(named(row?.["key"] as Uint8Array));
    await consumer.tell("ack", receipts);
    const even = all.filter((n) => n > 0 && n % 2 === 0 && (n < first || n >= end));
    expect(await drainInTime(consumer)).toEqual(even.map(textOf));
    expect((await consumer.stats()).lag).toBe(0);
  });
});
