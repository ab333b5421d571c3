/** Delayed messages over a long life: what is done with leaves memory, and nothing is forgotten that still counts. */
import { expect, it } from "vitest";
import { sentBy } from "../../src/core/message.ts";
import { unframe } from "../../src/core/record.ts";
import { queueOfWord } from "../../src/core/route.ts";
import { accept } from "../../src/protocol/errors.ts";
import { message, retime } from "../../src/queue/reading/finding.ts";
import { send } from "../../src/queue/sending.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const HOUR_MS = 3_600_000;
const GROWN = { version: 2, growths: [{ from: 1, to: 4, at: 0 }] };
/** Belongs to another queue once there are four. */
const MOVED = ["a", "b", "c", "d", "e"].find((word) => queueOfWord(word, 4) !== 0) ?? "";

async function started(): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g")], { retentionMs: HOUR_MS }), 0));
  return bench;
}

const delayed = async (bench: Bench, delays: readonly number[]): Promise<string[]> => {
  const sent = await bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(
        bench.queue.store,
        { stamp, records: records(...delays.map((delayMs) => ({ delayMs }))) },
        nowMs,
      ),
    ),
  );
  return sentBy(7, 0, sent).messages.map(({ id = "" }) => id);
};

const rowsOf = (bench: Bench, table: string): number => {
  for (const row of bench.sql.exec(`SELECT COUNT(*) AS n FROM ${table}`)) return Number(row["n"]);
  return 0;
};

const look = (bench: Bench, id: string) =>
  bench.run(bench.queue.run((nowMs) => message(bench.queue.store, { stamp, id }, nowMs)));

it("archives a page of 4,096 that is done with, finds its messages there, and drops it after retention", async () => {
  const bench = await started();
  const ids: string[] = [];
  for (let round = 0; round < 5; round++)
    ids.push(
      ...(await delayed(
        bench,
        Array.from({ length: 1_000 }, () => 1_000),
      )),
    );
  const late = await delayed(bench, [5 * HOUR_MS]);
  expect(bench.queue.store.delayed.count).toBe(5_001);
  await bench.pass(60_000);
  expect(bench.queue.store.delayed.count).toBe(1);
  expect(rowsOf(bench, "delayed_archive")).toBe(1);
  for (const wakes of [false, true]) {
    if (wakes) bench.wake();
    expect(bench.queue.store.delayed.count).toBe(1);
    expect(await look(bench, ids[17] ?? "")).toMatchObject({ state: "ready", offset: 17 });
    expect(await look(bench, ids[4_999] ?? "")).toMatchObject({ state: "ready", offset: 4_999 });
    expect(await look(bench, late[0] ?? "")).toMatchObject({ state: "delayed" });
  }
  await bench.pass(2 * HOUR_MS);
  expect(rowsOf(bench, "delayed_archive")).toBe(0);
  bench.wake();
  await bench.pass(3 * HOUR_MS);
  expect(bench.queue.store.delayed.count).toBe(0);
  expect(bench.queue.store.messages.next).toBe(5_001);
  expect(rowsOf(bench, "page")).toBeLessThan(10);
});

it("archives a page though the queue that its messages were sent on to has forgotten where they stand", async () => {
  const bench = await started();
  const content = { delayMs: 1_000, messageGroup: MOVED };
  for (let left = 4_096; left > 0; left -= 1_024)
    await bench.run(
      bench.queue.stamped(stamp, (nowMs) =>
        send(
          bench.queue.store,
          { stamp, records: records(...Array.from({ length: 1_024 }, () => content)) },
          nowMs,
        ),
      ),
    );
  const { settings, ...grown } = route([group("g")], { retentionMs: HOUR_MS }, GROWN);
  const topic = { ...grown, settings: { ...settings, queues: 4 } };
  await bench.run(bench.queue.configure(topic, 0));
  // It has all of it since before, and remembers no place.
  bench.forward = (_target, call) => {
    const taken = call.first + unframe(call.entries).length - 1;
    return Promise.resolve(accept({ taken, placed: [] }));
  };
  await bench.pass(600_000);
  expect(bench.queue.store.links.pending).toBe(0);
  expect(rowsOf(bench, "delayed_archive")).toBe(1);
  bench.wake();
  await bench.pass(2 * HOUR_MS);
  expect(rowsOf(bench, "delayed_archive")).toBe(0);
  expect(rowsOf(bench, "delayed_log")).toBe(0);
});

it("keeps a new time across thousands of flushes and a wake", async () => {
  const bench = await started();
  const [id = ""] = await delayed(bench, [10 * HOUR_MS]);
  const due = bench.clock.nowMs() + 2 * HOUR_MS;
  await bench.run(bench.queue.run((nowMs) => retime(bench.queue.store, { stamp, id }, due, nowMs)));
  for (let flush = 0; flush < 2_200; flush++) {
    await delayed(bench, [20 * HOUR_MS]);
    if (flush % 700 === 0) bench.wake();
  }
  bench.wake();
  await bench.run(bench.queue.run(() => accept(undefined)));
  await bench.pass(due - bench.clock.nowMs() - 1);
  expect(bench.queue.store.messages.next).toBe(0);
  await bench.pass(1);
  expect(bench.queue.store.messages.next).toBe(1);
});
