/** Redriven dead letters of an ordered group: at the end of their message group, one at a time, across wakes and seeks. */
import { describe, expect, it } from "vitest";
import type { Delivered } from "../../src/protocol/rpc.ts";
import { OrderLocks } from "../../src/queue/delivery/order.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { send } from "../../src/queue/sending.ts";
import { Consumer } from "./consumer.node.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };

async function started(ordered = true): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g", { ordered })]), 0));
  return bench;
}

const put = (bench: Bench, ...messageGroups: readonly string[]) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(
        bench.queue.store,
        { stamp, records: records(...messageGroups.map((messageGroup) => ({ messageGroup }))) },
        nowMs,
      ),
    ),
  );

const take = (bench: Bench, maxMessages = 1): Promise<Delivered> =>
  bench.run(
    bench.queue.waits.receive({
      stamp,
      group: "g",
      maxMessages,
      invisibleMs: 30_000,
      waitMs: 0,
      bytesMax: 1e6,
    }),
  );

const tell = (
  bench: Bench,
  verb: "ack" | "nack",
  receipts: readonly string[],
  { retry = true, delayMs = 0 } = {},
) =>
  bench.run(
    new QueueVerbs(bench.queue).settle({
      stamp,
      group: "g",
      verb,
      receipts,
      ...(retry ? {} : { retry }),
      delayMs,
    }),
  );

const again = (bench: Bench) => bench.run(new QueueVerbs(bench.queue).redrive(stamp, "g"));

/** Kills the next message that comes; answers its offset. */
async function bury(bench: Bench): Promise<number | undefined> {
  const { receipts, offsets } = await take(bench);
  await tell(bench, "nack", receipts, { retry: false });
  return offsets[0];
}

/** Receives one at a time and acks each. */
async function drain(bench: Bench): Promise<number[]> {
  const seen: number[] = [];
  for (;;) {
    const { receipts, offsets, attempts } = await take(bench);
    if (offsets.length === 0) return seen;
    expect(attempts).toEqual([1]);
    await tell(bench, "ack", receipts);
    seen.push(...offsets);
  }
}

describe.each([false, true])("a redriven dead letter of an ordered group (woken: %s)", (wakes) => {
  const rest = (bench: Bench): void => {
    if (wakes) bench.wake();
  };

  it("comes behind what its message group had then, and before what comes later", async () => {
    const bench = await started();
    await put(bench, "a", "a", "a", "b");
    expect(await bury(bench)).toBe(0);
    await again(bench);
    rest(bench);
    await put(bench, "a");
    rest(bench);
    expect(await drain(bench)).toEqual([1, 2, 3, 0, 4]);
  });

  it("locks its message group while it is in flight or waits for a retry", async () => {
    const bench = await started();
    await put(bench, "a", "b");
    expect(await bury(bench)).toBe(0);
    await again(bench);
    expect((await take(bench)).offsets).toEqual([1]);
    const back = await take(bench);
    expect(back.offsets).toEqual([0]);
    await put(bench, "a", "c");
    rest(bench);
    expect((await take(bench, 16)).offsets).toEqual([3]);
    await tell(bench, "nack", back.receipts);
    rest(bench);
    const retried = await take(bench, 16);
    expect([retried.offsets, retried.attempts]).toEqual([[0], [2]]);
    await tell(bench, "ack", retried.receipts);
    rest(bench);
    expect((await take(bench, 16)).offsets).toEqual([2]);
  });

  it("comes in the order of the log when several are redriven at once", async () => {
    const bench = await started();
    await put(bench, "a", "a", "a", "a");
    for (const offset of [0, 1, 2]) expect(await bury(bench)).toBe(offset);
    await again(bench);
    rest(bench);
    expect(await drain(bench)).toEqual([3, 0, 1, 2]);
  });

  it("is delivered once after a seek, by the log or by itself", async () => {
    const bench = await started();
    await put(bench, "a", "a", "a");
    expect(await bury(bench)).toBe(0);
    expect(await bury(bench)).toBe(1);
    await again(bench);
    await bench.run(new QueueVerbs(bench.queue).seek(stamp, "g", { offset: 1 }));
    rest(bench);
    expect(await drain(bench)).toEqual([1, 2, 0]);
    const now = await bench.run(new QueueVerbs(bench.queue).stats(stamp));
    expect(now.groups[0]).toMatchObject({ lag: 0, deadLetters: 0, inFlight: 0, retrying: 0 });
  });
});

it("a redriven dead letter that the log brings again anyway comes once", async () => {
  const bench = await started();
  await put(bench, "a", "a");
  expect(await bury(bench)).toBe(0);
  await bench.run(new QueueVerbs(bench.queue).seek(stamp, "g", "earliest"));
  expect(await again(bench)).toEqual({ redriven: 1 });
  expect(await drain(bench)).toEqual([0, 1]);
});

it("a redriven dead letter finds its place behind what its message group has spilled", () => {
  const locks = new OrderLocks();
  locks.fly("a", 0, "leased");
  locks.fly("full", 1, "leased");
  for (let offset = 2; offset < 50_002; offset++) locks.park("full", offset);
  locks.park("a", 60_000);
  locks.park("a", 7, 60_010);
  locks.land(0);
  expect(locks.next("a")).toBe("spilled");
  locks.refill("a", [60_000, 60_005, 60_020], 60_030);
  locks.refill("a", [60_040], undefined);
  const order = Array.from({ length: 6 }, () => locks.next("a"));
  expect(order).toEqual([60_000, 60_005, 7, 60_020, 60_040, undefined]);
});

describe.each([false, true])("a batch of an ordered group (woken: %s)", (wakes) => {
  const rest = (bench: Bench): void => {
    if (wakes) bench.wake();
  };

  it("comes again one batch at a time when its lease has ended", async () => {
    const bench = await started();
    await put(bench, "a", "a", "a", "a");
    expect((await take(bench, 3)).offsets).toEqual([0, 1, 2]);
    await bench.pass(30_000);
    rest(bench);
    const first = await take(bench);
    expect(first.offsets).toEqual([0]);
    rest(bench);
    expect((await take(bench, 16)).offsets).toEqual([]);
    await tell(bench, "ack", first.receipts);
    rest(bench);
    const more = await take(bench, 16);
    expect(more.offsets).toEqual([1, 2]);
    await tell(bench, "ack", more.receipts);
    expect((await take(bench, 16)).offsets).toEqual([3]);
  });

  it("is not repeated in part while the rest of it is with a consumer", async () => {
    const bench = await started();
    await put(bench, "a", "a", "a", "b");
    const batch = await take(bench, 3);
    expect(batch.offsets).toEqual([0, 1, 2]);
    await tell(bench, "nack", batch.receipts.slice(1, 2));
    await bench.pass(1);
    rest(bench);
    expect((await take(bench, 16)).offsets).toEqual([3]);
    await tell(bench, "ack", batch.receipts.slice(0, 1));
    expect((await take(bench, 16)).offsets).toEqual([]);
    await tell(bench, "ack", batch.receipts.slice(2));
    rest(bench);
    expect((await take(bench, 16)).offsets).toEqual([1]);
  });

  it("is repeated from its first message on, though a later one is due sooner", async () => {
    const bench = await started();
    await put(bench, "a", "a");
    const batch = await take(bench, 2);
    await tell(bench, "nack", batch.receipts.slice(1));
    await tell(bench, "nack", batch.receipts.slice(0, 1), { delayMs: 5_000 });
    await bench.pass(4_999);
    rest(bench);
    expect((await take(bench, 16)).offsets).toEqual([]);
    await bench.pass(1);
    expect((await take(bench, 16)).offsets).toEqual([0, 1]);
  });
});

it("messages that wait for their group are not lost when the group is no longer ordered", async () => {
  const bench = await started();
  await put(bench, "a", "a", "a");
  expect((await take(bench)).offsets).toEqual([0]);
  await put(bench, "b");
  expect((await take(bench)).offsets).toEqual([3]);
  const plain = { ...route([group("g")]), version: 2 };
  await bench.run(bench.queue.configure(plain, 0));
  bench.wake();
  stamp.version = 2;
  expect((await take(bench, 16)).offsets).toEqual([1, 2]);
  stamp.version = 1;
});

it("an expired message in the middle does not let a message group overtake", async () => {
  const bench = await started();
  await bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(
        bench.queue.store,
        {
          stamp,
          records: records(
            { messageGroup: "a" },
            { messageGroup: "a", ttlMs: 1_000 },
            { messageGroup: "a" },
            { messageGroup: "a" },
          ),
        },
        nowMs,
      ),
    ),
  );
  const first = await take(bench);
  await bench.pass(2_000);
  await tell(bench, "ack", first.receipts);
  expect((await take(bench)).offsets).toEqual([2]);
  expect((await take(bench)).offsets).toEqual([]);
});

it("an ordered group that woke looks again at what waits below a retry", async () => {
  const bench = await started();
  await put(bench, "a", "a", "b");
  const first = await take(bench);
  const second = await take(bench);
  expect([first.offsets, second.offsets]).toEqual([[0], [2]]);
  await tell(bench, "nack", second.receipts);
  bench.wake();
  expect((await take(bench)).offsets).toEqual([2]);
  await tell(bench, "ack", first.receipts);
  expect((await take(bench)).offsets).toEqual([1]);
});

it("[D2] a redriven message of an ordered group that is acked while it waits is not delivered again", async () => {
  const consumer = await Consumer.of({ ordered: true, maxAttempts: 1 });
  await consumer.put("a", "a");
  const { receipts } = await consumer.take(2);
  await consumer.tell("nack", receipts.slice(0, 1));
  await consumer.bench.run(consumer.verbs.redrive(consumer.stamp, "g"));
  // The scan meets it, and parks it behind what is still with the consumer.
  expect(await consumer.offsets()).toEqual([]);
  expect(await consumer.tell("ack", receipts)).toMatchObject([{ ok: true }, { ok: true }]);
  expect(await consumer.offsets()).toEqual([]);
  expect(await consumer.stats()).toMatchObject({ lag: 0, deadLetters: 0 });
});
