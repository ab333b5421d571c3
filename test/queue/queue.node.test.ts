import { describe, expect, it } from "vitest";
import { send } from "../../src/queue/sending.ts";
import { beginChecks } from "../../src/queue/checking.ts";
import { prepare } from "../../src/queue/deciding.ts";
import { view } from "../../src/queue/halves/transaction-view.ts";
import { receive } from "../../src/queue/consuming.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { accept } from "../../src/protocol/errors.ts";
import type { Delivered, Settled } from "../../src/protocol/rpc.ts";
import type { Content } from "../../src/core/record.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };

async function started(topic = route()): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(topic, 0));
  return bench;
}

const sendAll = (bench: Bench, ...contents: readonly Partial<Content>[]) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(bench.queue.store, { stamp, records: records(...contents) }, nowMs),
    ),
  );

const take = (
  bench: Bench,
  maxMessages = 16,
  more: { attempt?: string; waitMs?: number; stamp?: typeof stamp } = {},
): Promise<Delivered> =>
  bench.run(
    bench.queue.waits.receive({
      stamp,
      group: "g",
      maxMessages,
      invisibleMs: 30_000,
      waitMs: 0,
      bytesMax: 1e6,
      ...more,
    }),
  );

const ack = (
  bench: Bench,
  receipts: readonly string[],
  verb: "ack" | "nack" = "ack",
  delayMs?: number,
): Promise<readonly Settled[]> =>
  bench.run(
    new QueueVerbs(bench.queue).settle({
      stamp,
      group: "g",
      verb,
      receipts,
      ...(delayMs === undefined ? {} : { delayMs }),
    }),
  );

const prepared = (bench: Bench, ...contents: readonly Partial<Content>[]) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      prepare(
        bench.queue.store,
        {
          stamp,
          producerGroup: "p",
          check: { timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 },
          records: records(...contents),
          targets: contents.map(() => ({ topic: "orders", incarnation: 7, queue: 0 })),
        },
        nowMs,
      ),
    ),
  );

const filtered = (sql: string, version: number) =>
  route([group("g", { filter: { sql } })], {}, { version });
const priced = (price: number): Partial<Content> => ({ properties: { price: String(price) } });

const decide = (bench: Bench, position: number, decision: "commit" | "rollback" | "resume") =>
  bench.run(bench.queue.decide({ stamp, position, decision, by: "producer" }));

describe("a queue", () => {
  it("delivers what was sent once, in order, and is done with what was acked", async () => {
    const bench = await started();
    await sendAll(bench, {}, {}, {});
    const first = await take(bench, 2);
    expect(first.offsets).toEqual([0, 1]);
    expect((await take(bench)).offsets).toEqual([2]);
    expect((await ack(bench, first.receipts)).every(({ ok }) => ok)).toBe(true);
    await bench.pass(30_000);
    const again = await take(bench);
    expect(again.offsets).toEqual([2]);
    expect(again.attempts).toEqual([2]);
  });

  it("writes one row for a lone send, one for a receive, one for an ack, beside an alarm", async () => {
    const bench = await started();
    await sendAll(bench, {});
    bench.sql.rowsWritten = 0;
    await sendAll(bench, {});
    expect(bench.sql.rowsWritten).toBe(1);
    const got = await take(bench, 1);
    expect(bench.sql.rowsWritten).toBe(2);
    await ack(bench, got.receipts);
    expect(bench.sql.rowsWritten).toBe(3);
  });

  it("passes over what a filter does not want without a row, and again after a loss of memory", async () => {
    const lag = async () => {
      const { groups } = await bench.run(new QueueVerbs(bench.queue).stats(stamp));
      return { lag: groups[0]?.lag, lagExact: groups[0]?.lagExact };
    };
    const bench = new Bench();
    await bench.run(bench.queue.configure(filtered("price > 20", 1), 0));
    await sendAll(bench, priced(10), priced(30), {}, priced(40), priced(5));
    expect(await lag()).toEqual({ lag: 5, lagExact: false });
    bench.sql.rowsWritten = 0;
    const got = await take(bench);
    expect(got.offsets).toEqual([1, 3]);
    expect(bench.sql.rowsWritten).toBeLessThanOrEqual(2);
    expect(await lag()).toEqual({ lag: 2, lagExact: true });
    bench.sql.rowsWritten = 0;
    await sendAll(bench, priced(1));
    const rows = bench.sql.rowsWritten;
    expect((await take(bench)).offsets).toEqual([]);
    expect(bench.sql.rowsWritten).toBe(rows);
    bench.wake();
    expect((await take(bench)).offsets).toEqual([]);
    expect(await lag()).toEqual({ lag: 2, lagExact: true });

    await sendAll(bench, priced(50), priced(2));
    await bench.run(bench.queue.configure(filtered("price < 20", 2), 0));
    const after = { stamp: { ...stamp, version: 2 } };
    const later = await take(bench, 16, after);
    expect(later.offsets, "what the old filter passed over stays so").toEqual([7]);
    bench.wake();
    expect((await take(bench, 16, after)).offsets).toEqual([]);
  });

  it("keeps everything across a loss of memory at every step", async () => {
    const bench = await started();
    await sendAll(bench, {}, {}, {}, {});
    bench.wake();
    const got = await take(bench, 2, { attempt: "a" });
    bench.wake();
    expect((await take(bench, 2, { attempt: "a" })).receipts).toEqual(got.receipts);
    expect((await take(bench, 1)).offsets).toEqual([2]);
    await ack(bench, got.receipts.slice(0, 1));
    bench.wake();
    await bench.run(bench.queue.run(() => accept(undefined)));
    const { groups } = await bench.run(new QueueVerbs(bench.queue).stats(stamp));
    expect(groups[0]).toMatchObject({ lag: 3, inFlight: 2 });
  });

  it("survives thousands of flushes between two wakes, and forgets no ack when the ring comes round", async () => {
    const bench = await started();
    const acked = new Set<number>();
    for (let turn = 0; turn < 1_500; turn++) {
      await sendAll(bench, {});
      const got = await take(bench, 1);
      if (turn % 7 === 0) continue;
      await ack(bench, got.receipts);
      for (const offset of got.offsets) acked.add(offset);
    }
    bench.wake();
    await bench.pass(31_000);
    const rest: number[] = [];
    for (;;) {
      const got = await take(bench, 1_000);
      if (got.offsets.length === 0) break;
      rest.push(...got.offsets);
    }
    expect(rest.filter((offset) => acked.has(offset))).toEqual([]);
    expect(rest.length).toBe(1_500 - acked.size);
  });

  it("refuses a receipt once its message was delivered again, and takes a late ack before that", async () => {
    const bench = await started();
    await sendAll(bench, {});
    const first = await take(bench);
    await bench.pass(30_001);
    const second = await take(bench);
    expect(await ack(bench, first.receipts)).toMatchObject([
      { ok: false, code: "receipt_expired" },
    ]);
    await bench.pass(30_001);
    expect(await ack(bench, second.receipts)).toMatchObject([{ ok: true }]);
    expect(await ack(bench, first.receipts)).toMatchObject([{ ok: true }]);
  });

  it("keeps a long poll until something comes", async () => {
    const bench = await started();
    const poll = bench.queue.waits.receive({
      stamp,
      group: "g",
      maxMessages: 1,
      invisibleMs: 30_000,
      waitMs: 20_000,
      bytesMax: 1e6,
    });
    await bench.clock.advance(5_000);
    await sendAll(bench, {});
    expect((await bench.run(poll)).offsets).toEqual([0]);
  });

  it("sends a waiting poll back when the topic grows, so that it waits for the new queues too", async () => {
    const bench = await started();
    const poll = bench.queue.waits.receive({
      stamp,
      group: "g",
      maxMessages: 1,
      invisibleMs: 30_000,
      waitMs: 20_000,
      bytesMax: 1e6,
    });
    await bench.clock.advance(1_000);
    const growths = [{ from: 1, to: 2, at: bench.clock.nowMs() }];
    await bench.run(
      bench.queue.configure(route([group("g")], { queues: 2 }, { version: 2, growths }), 0),
    );
    await expect(bench.run(poll)).rejects.toMatchObject({ code: "stale_route" });
  });

  it("never delivers a delayed message early, and does on time", async () => {
    const bench = await started();
    await sendAll(bench, { delayMs: 5_000 });
    await bench.pass(4_999);
    expect((await take(bench)).offsets).toEqual([]);
    bench.wake();
    await bench.pass(2);
    expect((await take(bench)).offsets).toEqual([0]);
  });

  it("holds a message group while one of it is in flight, and not the others", async () => {
    const bench = await started(route([group("g", { ordered: true })]));
    await sendAll(bench, { messageGroup: "a" }, { messageGroup: "a" }, { messageGroup: "b" }, {});
    const got = await take(bench, 1);
    expect(got.offsets).toEqual([0]);
    expect((await take(bench)).offsets).toEqual([2, 3]);
    bench.wake();
    expect((await take(bench)).offsets).toEqual([]);
    await ack(bench, got.receipts);
    expect((await take(bench)).offsets).toEqual([1]);
  });

  it("gives a contiguous batch of a message group, and the next only when all of it is done with", async () => {
    const bench = await started(route([group("g", { ordered: true })]));
    await sendAll(bench, ...Array.from({ length: 6 }, () => ({ messageGroup: "a" })));
    const batch = await take(bench, 4);
    expect(batch.offsets).toEqual([0, 1, 2, 3]);
    await ack(bench, batch.receipts.slice(1));
    expect((await take(bench)).offsets).toEqual([]);
    await ack(bench, batch.receipts.slice(0, 1), "nack", 0);
    const again = await take(bench);
    expect(again.offsets).toEqual([0]);
    await ack(bench, again.receipts);
    expect((await take(bench)).offsets).toEqual([4, 5]);
  });

  it("leaves nothing of a deleted topic, also when it is killed before the erasure", async () => {
    const bench = await started();
    await sendAll(bench, {});
    await bench.run(bench.queue.drop(7));
    bench.wake();
    expect(bench.erased).toBeGreaterThan(0);
    await bench.run(bench.queue.configure(route([group("g")], {}, { incarnation: 8 }), 0));
    await expect(sendAll(bench, {})).rejects.toMatchObject({ code: "stale_route" });
  });

  it("refuses callers instead of holding more than it can", async () => {
    const bench = await started();
    const calls = Array.from({ length: 20_001 }, () => bench.queue.run(() => accept(undefined)));
    await bench.clock.advance(1);
    const outcomes = await Promise.all(calls);
    expect(outcomes.filter(({ ok }) => ok).length).toBe(20_000);
    expect(outcomes.at(-1)).toMatchObject({ ok: false, code: "overloaded" });
  });

  it("moves a message to the dead letters after maxAttempts", async () => {
    const bench = await started(route([group("g", { maxAttempts: 2 })]));
    await sendAll(bench, {});
    await ack(bench, (await take(bench)).receipts, "nack", 0);
    await ack(bench, (await take(bench)).receipts, "nack", 0);
    expect((await take(bench)).offsets).toEqual([]);
    const { groups } = await bench.run(new QueueVerbs(bench.queue).stats(stamp));
    expect(groups[0]).toMatchObject({ lag: 0, deadLetters: 1 });
  });
});

describe("a transaction", () => {
  it("is invisible until it is committed, and then delivered once with its id", async () => {
    const bench = await started();
    const { messageIds } = await prepared(bench, {});
    expect((await take(bench)).offsets).toEqual([]);
    bench.wake();
    const committed = await decide(bench, 0, "commit");
    expect(committed).toMatchObject({
      state: "committed",
      repeated: false,
      messages: [{ id: messageIds[0], offset: 0 }],
    });
    expect(await decide(bench, 0, "commit")).toMatchObject({ repeated: true });
    await expect(decide(bench, 0, "rollback")).rejects.toMatchObject({
      code: "transaction_committed",
    });
    expect((await take(bench)).offsets).toEqual([0]);
  });

  it("is checked after 6 s, then each 30 s, 15 times, and discarded one interval later", async () => {
    const bench = await started();
    await prepared(bench, {});
    const start = bench.clock.nowMs();
    const begun: number[] = [];
    while (bench.queue.store.halves.open.size > 0 && bench.clock.nowMs() < start + 1_000_000) {
      await bench.pass(1_000);
      for (const { position, attempt } of bench.offers.splice(0)) {
        const checks = await bench.run(
          bench.queue.run((nowMs) =>
            accept(
              beginChecks(bench.queue.store, [{ position, attempt, openUntil: 0 }], true, nowMs),
            ),
          ),
        );
        if (checks.length > 0) begun.push(bench.clock.nowMs() - start);
      }
      if (begun.length === 7) bench.wake();
    }
    expect(begun).toEqual(Array.from({ length: 15 }, (_, index) => 6_000 + 30_000 * index));
    expect(bench.clock.nowMs() - start).toBe(6_000 + 15 * 30_000);
    expect(view(bench.queue.store, 0)).toMatchObject({ state: "discarded", checks: 15 });
    expect((await take(bench)).offsets).toEqual([]);
    expect(bench.logged.map(({ event }) => event)).toContain("transaction.discarded");
    expect(await decide(bench, 0, "resume")).toMatchObject({ state: "prepared" });
  });

  it("counts its delay from the commit", async () => {
    const bench = await started();
    await prepared(bench, { delayMs: 5_000 });
    await bench.pass(3_000);
    await decide(bench, 0, "commit");
    await bench.pass(4_999);
    expect((await take(bench)).offsets).toEqual([]);
    await bench.pass(1);
    expect((await take(bench)).offsets).toEqual([0]);
  });
});

describe("waiting without a lease", () => {
  it("is what a receive does when nothing is there", async () => {
    const bench = await started();
    const found = bench.queue.store.groups.get("g");
    if (found === undefined) throw new Error("no group");
    const call = {
      stamp,
      group: "g",
      maxMessages: 1,
      invisibleMs: 1_000,
      waitMs: 0,
      bytesMax: 1e6,
    };
    expect(receive(bench.queue.store, found, call, bench.clock.nowMs()).is).toBe("empty");
  });
});

describe("a queue whose topic may be about to be deleted", () => {
  it("takes nothing in between the count and the decision, and goes on when that is no", async () => {
    const bench = await started();
    const none = { prepared: 0, delayed: 0, forwarding: 0 };
    const add = () =>
      bench.queue.adding({ stamp, records: new Uint8Array() }, () => accept("added"));
    expect(await bench.run(new QueueVerbs(bench.queue).inUse(7, true))).toEqual(none);
    await expect(bench.run(add())).rejects.toMatchObject({ code: "unavailable" });
    expect(await bench.run(new QueueVerbs(bench.queue).inUse(7, false))).toEqual(none);
    expect(await bench.run(add())).toBe("added");
  });

  it("goes on by itself when nobody tells it", async () => {
    const bench = await started();
    await bench.run(new QueueVerbs(bench.queue).inUse(7, true));
    await bench.pass(10_000);
    expect(
      await bench.run(
        bench.queue.adding({ stamp, records: new Uint8Array() }, () => accept("added")),
      ),
    ).toBe("added");
  });
});
