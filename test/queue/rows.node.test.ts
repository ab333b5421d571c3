/** No row passes the platform's bound, whatever comes together in a flush or piles up over weeks: such a queue never wakes. */
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../src/core/bytes.ts";
import { unframe, type Content } from "../../src/core/record.ts";
import { accept, type Outcome } from "../../src/protocol/errors.ts";
import { beginChecks } from "../../src/queue/checking.ts";
import { decide, prepare } from "../../src/queue/deciding.ts";
import { HalfShelf } from "../../src/queue/halves/shelf.ts";
import { send } from "../../src/queue/sending.ts";
import { list } from "../../src/queue/halves/transaction-view.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const home = { topic: "orders", incarnation: 7, queue: 0 };
const check = { timeoutMs: 1_000, intervalMs: 1_000, maxChecks: 1 };

async function started(): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g")]), 0));
  return bench;
}

const prepareAll = (bench: Bench, count: number, ...contents: Partial<Content>[]) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) => {
      for (let n = 0; n < count; n++) {
        const outcome = prepare(
          bench.queue.store,
          {
            stamp,
            producerGroup: "p",
            check,
            records: records(...contents),
            targets: contents.map(() => home),
          },
          nowMs,
        );
        if (!outcome.ok) return outcome;
      }
      return accept(undefined);
    }),
  );

describe("one flush", () => {
  it("takes as many keyed batches as its rows hold, and the rest in the next ones", async () => {
    const bench = await started();
    const contents = Array.from({ length: 1_000 }, (_, n) => ({ tag: `t${n}` }));
    const answers: Outcome<unknown>[] = [];
    for (let n = 0; n < 60; n++)
      void bench.queue
        .stamped(stamp, (nowMs) =>
          send(
            bench.queue.store,
            {
              stamp,
              records: records(...contents),
              keyed: { key: new Uint8Array(16).fill(n), body: new Uint8Array(8) },
            },
            nowMs,
          ),
        )
        .then((answer) => answers.push(answer));
    await bench.clock.advance(1_000);
    expect(bench.aborted).toBeUndefined();
    expect(answers.filter(({ ok }) => ok)).toHaveLength(60);
    expect(bench.queue.store.messages.next).toBe(60_000);
  });

  it("takes a transaction as large as a request may be, and gives it back after waking", async () => {
    const bench = await started();
    const body = { json: JSON.stringify("x".repeat(1_000_000)) };
    await prepareAll(bench, 1, ...Array.from({ length: 8 }, () => ({ body })));
    bench.wake();
    await bench.clock.advance(1_000);
    const begun = await bench.run(
      bench.queue.run((nowMs) =>
        accept(
          beginChecks(
            bench.queue.store,
            [{ position: 0, attempt: 1, openUntil: nowMs + 1_000 }],
            true,
            nowMs,
          ),
        ),
      ),
    );
    expect(unframe(begun[0]?.entries ?? new Uint8Array())).toHaveLength(8);
    await bench.run(
      bench.queue.stamped(stamp, (nowMs) =>
        decide(bench.queue.store, { stamp, position: 0, decision: "commit", by: "check" }, nowMs),
      ),
    );
    bench.wake();
    expect(bench.queue.store.messages.next).toBe(8);
    expect(bench.queue.store.messages.look(7)?.entry.length).toBeGreaterThan(1_000_000);
  });
});

describe("the head of the half log", () => {
  it("holds nothing per discarded transaction, and all of them are listed after waking", async () => {
    const bench = await started();
    for (let n = 0; n < 3; n++) await prepareAll(bench, 1_000, {});
    for (let attempt = 1; attempt < 20 && bench.queue.store.halves.open.size > 0; attempt++) {
      const checks = Array.from(bench.queue.store.halves.open, ({ position, checks }) => ({
        position,
        attempt: checks + 1,
        openUntil: 0,
      }));
      await bench.run(
        bench.queue.run((nowMs) =>
          accept(beginChecks(bench.queue.store, checks, false, nowMs).length),
        ),
      );
      await bench.pass(2_000);
    }
    expect(bench.queue.store.halves.counts.discarded).toBe(3_000);
    bench.wake();
    await bench.clock.advance(0);
    const found: string[] = [];
    let from: number | undefined = 0;
    while (from !== undefined) {
      const page = list(bench.queue.store, { state: "discarded", from, limit: 700 });
      found.push(...page.items.map(({ transactionId }) => transactionId));
      from = page.next;
    }
    expect(new Set(found).size).toBe(3_000);
    const head = new ByteWriter();
    bench.queue.store.halves.encode(head);
    expect(head.length).toBeLessThan(100);
  });

  it("stays small while one transaction stays undecided, and waking passes over what is archived", async () => {
    const bench = await started();
    for (let n = 0; n < 9; n++) await prepareAll(bench, 1_000, {});
    await bench.run(
      bench.queue.run((nowMs) => {
        for (let position = 1; position < 8_192; position++)
          decide(
            bench.queue.store,
            { stamp, position, decision: "rollback", by: "producer" },
            nowMs,
          );
        return accept(undefined);
      }),
    );
    const heads: number[] = [];
    const exec = bench.sql.exec.bind(bench.sql);
    bench.sql.exec = (query, ...bindings) => {
      if (/head FROM half_log WHERE first >= /.test(query)) heads.push(Number(bindings[0]));
      return exec(query, ...bindings);
    };
    bench.wake();
    expect(bench.queue.store.halves.open.size).toBe(9_000 - 8_191);
    expect(heads).toEqual([0, 8_192]);
  });

  it("knows its archived pages in any order of arrival", () => {
    const shelf = new HalfShelf();
    const numbers = Array.from({ length: 100_000 }, (_, n) => n + 1);
    for (const number of numbers.toReversed()) shelf.put(number);
    const writer = new ByteWriter();
    shelf.encode(writer);
    expect(writer.length).toBeLessThan(10);
    const woken = new HalfShelf();
    woken.restore(new ByteReader(writer.finish()));
    expect([woken.has(0), woken.has(1), woken.has(100_000), woken.nextOff(1)]).toEqual([
      false,
      true,
      true,
      100_001,
    ]);
    woken.put(0);
    expect(woken.nextOff(0)).toBe(100_001);
    woken.take(7);
    expect([woken.has(6), woken.has(7), woken.has(8), woken.nextOff(7)]).toEqual([
      true,
      false,
      true,
      7,
    ]);
  });
});
