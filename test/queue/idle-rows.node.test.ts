/** Rows that say nothing new are not written: they are the bill. */
import { expect, it } from "vitest";
import type { ByteWriter } from "../../src/core/bytes.ts";
import { accept } from "../../src/protocol/errors.ts";
import { receive } from "../../src/queue/consuming.ts";
import { Journal, type Page } from "../../src/queue/storage/journal.ts";
import { send } from "../../src/queue/sending.ts";
import { openStorage } from "../../src/queue/storage/schema.ts";
import { LongBodies } from "../../src/queue/log/long-bodies.ts";
import { TestSql } from "../kit/sqlite.node.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const call = { stamp, maxMessages: 16, waitMs: 0, bytesMax: 1e6, invisibleMs: 600_000 };

const sendAll = (bench: Bench, count: number, tag: string) =>
  bench.run(
    bench.queue.run((nowMs) =>
      send(
        bench.queue.store,
        { stamp, records: records(...Array.from({ length: count }, () => ({ tag }))) },
        nowMs,
      ),
    ),
  );

const receiveAs = (bench: Bench, name: string) =>
  bench.run(
    bench.queue.run((nowMs) => {
      const found = bench.queue.store.groups.get(name);
      if (found === undefined) throw new Error("no group");
      return accept(receive(bench.queue.store, found, { ...call, group: name }, nowMs));
    }),
  );

it("a deleted group leaves no rows, though the ring still holds its operations", async () => {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g"), group("h", {}, 2)]), 0));
  await sendAll(bench, 64, "t");
  for (let n = 0; n < 4; n++) await receiveAs(bench, "h");
  await bench.run(bench.queue.configure(route([group("g")], {}, { version: 2 }), 0));
  bench.wake();
  for (let n = 0; n < 1_100; n++)
    await bench.run(
      bench.queue.run((nowMs) => {
        bench.queue.store.groups
          .get("g")
          ?.state.rememberAttempt(`${n}`, { until: 0, items: [] }, nowMs);
        return accept(undefined);
      }),
    );
  const found = bench.sql.exec("SELECT name FROM page WHERE name LIKE 'g2%'");
  expect(found).toEqual([]);
});

it("a filter that passes over a long stretch writes no page of it, and does not look again after waking", async () => {
  const bench = new Bench();
  const settings = { filter: { tags: ["wanted"] } };
  await bench.run(bench.queue.configure(route([group("g", settings)]), 0));
  await sendAll(bench, 1, "wanted");
  for (let n = 0; n < 30; n++) await sendAll(bench, 1_000, "other");
  await receiveAs(bench, "g");
  bench.sql.rowsWritten = 0;
  for (let n = 0; n < 9; n++) await receiveAs(bench, "g");
  expect(bench.sql.rowsWritten).toBeLessThan(20);
  const { cursor } = bench.queue.store.groups.get("g")?.state ?? { cursor: 0 };
  expect(cursor).toBe(30_001);
  bench.wake();
  expect(bench.queue.store.groups.get("g")?.state.cursor).toBeGreaterThan(24_000);
});

it("what a filter passed over before retention took it does not wait again after waking", async () => {
  for (const ordered of [true, false]) {
    const bench = new Bench();
    const settings = { ordered, filter: { tags: ["wanted"] } };
    await bench.run(
      bench.queue.configure(route([group("g", settings)], { retentionMs: 60_000 }), 0),
    );
    await sendAll(bench, 3, "wanted");
    await sendAll(bench, 2, "other");
    for (let n = 0; n < 3; n++) {
      await receiveAs(bench, "g");
      await bench.run(
        bench.queue.run(() => {
          bench.queue.store.groups.get("g")?.ack([n]);
          return accept(undefined);
        }),
      );
    }
    await receiveAs(bench, "g");
    const lag = (): number | undefined => bench.queue.store.groups.get("g")?.lag;
    expect(lag()).toBe(0);
    await bench.clock.advance(120_000);
    await bench.run(bench.queue.run(() => accept(undefined)));
    expect(bench.queue.store.messages.first).toBe(5);
    bench.wake();
    expect(lag()).toBe(0);
    const { expired } = bench.queue.store.groups.get("g")?.state ?? {};
    expect(expired).toBe(0);
  }
});

it("retention writes nothing for groups that are past what it drops", async () => {
  const bench = new Bench();
  const groups = Array.from({ length: 100 }, (_, n) => group(`g${n}`, {}, n + 1));
  await bench.run(bench.queue.configure(route(groups, { retentionMs: 60_000 }), 0));
  await sendAll(bench, 16, "t");
  for (const { name } of groups) {
    await receiveAs(bench, name);
    await bench.run(
      bench.queue.run(() => {
        bench.queue.store.groups.get(name)?.ack(Array.from({ length: 16 }, (_, n) => n));
        return accept(undefined);
      }),
    );
  }
  await bench.clock.advance(120_000);
  bench.sql.rowsWritten = 0;
  await bench.run(bench.queue.run(() => accept(undefined)));
  expect(bench.queue.store.messages.first).toBe(16);
  expect(bench.sql.rowsWritten).toBeLessThan(10);
});

it("a page longer than a row is kept in several, and leaves none behind", () => {
  const sql = new TestSql();
  openStorage(sql, LongBodies.schema);
  let journal = new Journal(sql, 1_024);
  const page: Page & { size: number } = {
    name: "l",
    savedSeq: 0,
    dirtySeq: 0,
    size: 5_000_000,
    encode: (writer: ByteWriter) =>
      void writer.raw(new Uint8Array(page.size).fill(page.size % 251)),
  };
  const rows = (): unknown => sql.exec("SELECT COUNT(*) AS n FROM long_body")[0]?.["n"];
  for (const size of [5_000_000, 3_000_000]) {
    page.size = size;
    journal.save(page);
    journal.commit(undefined);
    journal = new Journal(sql, 1_024);
    expect(journal.load().pages).toEqual([
      { name: "l", seq: page.savedSeq, data: new Uint8Array(size).fill(size % 251) },
    ]);
    expect(rows()).toBe(Math.floor(size / 1_400_000));
  }
  page.size = 10;
  journal.save(page);
  journal.commit(undefined);
  expect(rows()).toBe(0);
});
