/** Messages out of attempts that hold their place, what is blocked and why, and thousands of message groups without a scan. */
import { describe, expect, it, vi } from "vitest";
import { SegmentLog } from "../../src/queue/log/segments.ts";
import { Consumer } from "./consumer.node.ts";

const BLOCK = { ordered: true, onPoison: "block", maxAttempts: 2 } as const;

const waits = [false, true];

describe.each(waits)('a message group with onPoison "block" (woken: %s)', (wakes) => {
  const rest = (consumer: Consumer): void => {
    if (wakes) consumer.bench.wake();
  };

  /** Message 0 of group a has failed twice. */
  async function poisoned(): Promise<Consumer> {
    const consumer = await Consumer.of(BLOCK);
    await consumer.put("a", "a", "b");
    expect(await consumer.fail("first")).toBe(0);
    expect(await consumer.fail("second")).toBe(0);
    rest(consumer);
    return consumer;
  }

  it("is held after maxAttempts failures, with the last reason, and nothing passes", async () => {
    const consumer = await poisoned();
    expect(await consumer.drain()).toEqual([2]);
    await consumer.bench.pass(365 * 86_400_000);
    rest(consumer);
    expect(await consumer.offsets()).toEqual([]);
    const { items } = await consumer.blocked();
    expect(items).toMatchObject([
      { offset: 0, messageGroup: "a", state: "poisoned", deliveryAttempt: 2, reason: "second" },
    ]);
    expect(items[0]?.dueAt).toBeUndefined();
    expect(await consumer.stats()).toMatchObject({ poisoned: 1, deadLetters: 0, retrying: 0 });
  });

  it("holds on a lease that ended as on a nack", async () => {
    const consumer = await Consumer.of({ ...BLOCK, maxAttempts: 1 });
    await consumer.put("a", "a");
    await consumer.take();
    await consumer.bench.pass(30_000);
    rest(consumer);
    expect(await consumer.offsets()).toEqual([]);
    const { items } = await consumer.blocked();
    expect(items).toMatchObject([{ state: "poisoned", reason: "lease_expired" }]);
  });

  it("goes on in its order, with all attempts, when it is retried", async () => {
    const consumer = await poisoned();
    expect(await consumer.decide("retry")).toEqual({ decided: 1 });
    rest(consumer);
    expect(await consumer.fail("third")).toBe(0);
    const again = await consumer.take();
    expect([again.offsets, again.attempts]).toEqual([[0], [2]]);
    await consumer.tell("nack", again.receipts, { reason: "fourth" });
    rest(consumer);
    expect((await consumer.blocked()).items).toMatchObject([{ offset: 0, reason: "fourth" }]);
    await consumer.decide("retry");
    rest(consumer);
    expect(await consumer.drain()).toEqual([0, 1, 2]);
    expect(await consumer.stats()).toMatchObject({ lag: 0, poisoned: 0, deadLetters: 0 });
  });

  it("goes on without it when it is skipped: it is a dead letter then", async () => {
    const consumer = await poisoned();
    expect(await consumer.decide("skip", ["another"])).toEqual({ decided: 0 });
    const { items } = await consumer.blocked();
    expect(await consumer.decide("skip", [items[0]?.id ?? ""])).toEqual({ decided: 1 });
    rest(consumer);
    expect(await consumer.drain()).toEqual([1, 2]);
    expect(await consumer.stats()).toMatchObject({ lag: 0, poisoned: 0, deadLetters: 1 });
  });

  it("is settled by the last receipt: an ack is done, a nack with retry false is a dead letter", async () => {
    for (const [verb, deadLetters] of [
      ["ack", 0],
      ["nack", 1],
    ] as const) {
      const consumer = await Consumer.of({ ...BLOCK, maxAttempts: 1 });
      await consumer.put("a", "a");
      const { receipts } = await consumer.take();
      await consumer.tell("nack", receipts, { reason: "no" });
      rest(consumer);
      expect(await consumer.offsets()).toEqual([]);
      expect(await consumer.tell(verb, receipts, { retry: false })).toMatchObject([{ ok: true }]);
      expect(await consumer.offsets()).toEqual([1]);
      expect(await consumer.stats()).toMatchObject({ poisoned: 0, deadLetters });
    }
  });

  it("is freed by settings that would not have held it", async () => {
    const raised = await poisoned();
    await raised.set({ ...BLOCK, maxAttempts: 3 });
    rest(raised);
    const third = await raised.take();
    expect([third.offsets, third.attempts]).toEqual([[0], [3]]);
    const gone = await poisoned();
    await gone.set({ ...BLOCK, onPoison: "deadLetter" });
    rest(gone);
    expect(await gone.drain()).toEqual([1, 2]);
    expect(await gone.stats()).toMatchObject({ deadLetters: 1 });
  });

  it("is delivered anew after a seek to before it, and a dead letter after one past it", async () => {
    const back = await poisoned();
    await back.seek("earliest");
    rest(back);
    expect(await back.drain()).toEqual([0, 1, 2]);
    expect(await back.stats()).toMatchObject({ poisoned: 0, deadLetters: 0 });
    const past = await poisoned();
    await past.seek({ offset: 1 });
    rest(past);
    expect(await past.drain()).toEqual([1, 2]);
    expect(await past.stats()).toMatchObject({ poisoned: 0, deadLetters: 1, lag: 0 });
  });

  it("stays held when the log's retention has taken its message", async () => {
    const consumer = await poisoned();
    expect(await consumer.drain()).toEqual([2]);
    await consumer.bench.pass(4 * 86_400_000);
    await consumer.put("c");
    rest(consumer);
    expect(consumer.bench.queue.store.messages.first).toBe(3);
    await consumer.decide("retry");
    expect(await consumer.drain()).toEqual([0, 3]);
  });

  it("holds the rest of a batch behind the poisoned one", async () => {
    const consumer = await Consumer.of({ ...BLOCK, maxAttempts: 1 });
    await consumer.put("a", "a", "a");
    const batch = await consumer.take(3);
    await consumer.tell("ack", batch.receipts.slice(2));
    await consumer.tell("nack", batch.receipts.slice(0, 1));
    rest(consumer);
    expect((await consumer.blocked()).items).toMatchObject([{ offset: 0, state: "poisoned" }]);
    await consumer.tell("nack", batch.receipts.slice(1, 2));
    rest(consumer);
    await consumer.decide("retry");
    expect(await consumer.drain()).toEqual([0, 1]);
  });
});

it("without order, or without a message group, a poisoned message holds only itself", async () => {
  for (const ordered of [false, true]) {
    const consumer = await Consumer.of({ ...BLOCK, ordered, maxAttempts: 1 });
    await consumer.send({}, {}, {});
    expect(await consumer.fail()).toBe(0);
    expect(await consumer.drain()).toEqual([1, 2]);
    consumer.bench.wake();
    const { items } = await consumer.blocked();
    expect(items).toMatchObject([{ offset: 0, state: "poisoned", waiting: 0 }]);
    await consumer.decide("retry");
    expect(await consumer.drain()).toEqual([0]);
  }
});

it("blocked says who is in flight until when, who waits for a retry until when, and what waits behind", async () => {
  const consumer = await Consumer.of({ ordered: true });
  await consumer.put("a", "a", "b", "b", "c");
  const [a, b] = [await consumer.take(), await consumer.take()];
  await consumer.tell("nack", b.receipts, { delayMs: 5_000 });
  const nowMs = consumer.bench.clock.nowMs();
  expect((await consumer.blocked()).items).toMatchObject([
    { messageGroup: "a", offset: 0, state: "inFlight", dueAt: nowMs + 30_000, deliveryAttempt: 1 },
    { messageGroup: "b", offset: 2, state: "retrying", dueAt: nowMs + 5_000, deliveryAttempt: 1 },
  ]);
  // The scan has met what waits.
  expect(await consumer.offsets()).toEqual([4]);
  const { items, next } = await consumer.blocked(undefined, 2);
  expect(items.map(({ waiting, more }) => [waiting, more])).toEqual([
    [1, false],
    [1, false],
  ]);
  expect((await consumer.blocked(next)).items).toMatchObject([{ messageGroup: "c" }]);
  await consumer.tell("ack", a.receipts);
  await consumer.bench.pass(5_000);
  expect((await consumer.blocked()).items.map(({ messageGroup }) => messageGroup)).toEqual(["c"]);
});

it("receives among thousands of message groups without scanning: a few log reads each", async () => {
  const GROUPS = 5_000;
  const consumer = await Consumer.of({ ordered: true });
  const names = Array.from({ length: GROUPS }, (_, index) => `group-${index}`);
  for (let round = 0; round < 3; round++)
    for (let from = 0; from < GROUPS; from += 1_000)
      await consumer.put(...names.slice(from, from + 1_000));
  // Every message group has one in flight and two that wait.
  const receipts: string[] = [];
  for (let taken = 0; taken < GROUPS; taken += 1_000)
    receipts.push(...(await consumer.take(1_000)).receipts);
  expect(await consumer.offsets()).toEqual([]);
  const read = vi.spyOn(SegmentLog.prototype, "read");
  const rowsBefore = consumer.bench.sql.rowsRead;
  for (const receipt of receipts.slice(0, 500)) {
    await consumer.tell("ack", [receipt]);
    expect(await consumer.offsets(1)).toHaveLength(1);
  }
  expect(read.mock.calls.length / 500).toBeLessThanOrEqual(2);
  expect(await consumer.offsets()).toEqual([]);
  expect(read.mock.calls.length / 500).toBeLessThanOrEqual(2);
  // Two flushes each, which look at the oldest segment for retention.
  expect(consumer.bench.sql.rowsRead - rowsBefore).toBeLessThanOrEqual(2 * 501);
  read.mockRestore();
});
