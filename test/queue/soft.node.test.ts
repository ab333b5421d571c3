/** Topics whose sends are answered before the disk: what a crash may take, and what it may not. */
import { expect, test } from "vitest";
import type { Content } from "../../src/core/record.ts";
import { sentBy } from "../../src/core/message.ts";
import { accept } from "../../src/protocol/errors.ts";
import type { Stored } from "../../src/protocol/rpc.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };

const counted = (sequence: number) => ({ producer: { id: "p", epoch: 1, sequence } });

async function started(): Promise<Bench> {
  const bench = new Bench();
  const settings = { durability: "memory", retentionMs: 60_000 } as const;
  await bench.run(bench.queue.configure(route([group("g")], settings), 0));
  return bench;
}

const verbs = (bench: Bench) => new QueueVerbs(bench.queue);

/** What is answered without the clock, and so without a flush. */
async function sendNow(bench: Bench, ...contents: readonly Partial<Content>[]) {
  const answers: Stored[] = [];
  void verbs(bench)
    .send({ stamp, records: records(...contents) })
    .then((outcome) => outcome.ok && answers.push(outcome.value));
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  return answers[0] === undefined ? undefined : sentBy(7, 0, answers[0]).messages;
}

const receive = (bench: Bench, waitMs = 0) =>
  verbs(bench).receive({
    stamp,
    group: "g",
    maxMessages: 10,
    invisibleMs: 30_000,
    waitMs,
    bytesMax: 1e6,
  });

const rows = (bench: Bench): number =>
  bench.sql.exec("SELECT COUNT(*) AS n FROM message_log").map((row) => Number(row["n"]))[0] ?? -1;

test("a send is answered before the disk, and many of them become one row 20 ms later", async () => {
  const bench = await started();
  for (let index = 0; index < 5; index++)
    expect(await sendNow(bench, {})).toMatchObject([{ offset: index, state: "ready" }]);
  expect(rows(bench)).toBe(0);
  await bench.clock.advance(19);
  expect(rows(bench)).toBe(0);
  await bench.clock.advance(1);
  expect(rows(bench)).toBe(1);
  await bench.clock.advance(1_000);
  expect(rows(bench)).toBe(1);
});

test("a crash takes the last ones; their offsets come again, under other ids", async () => {
  const bench = await started();
  const [kept] = (await sendNow(bench, {})) ?? [];
  await bench.clock.advance(20);
  const [lost] = (await sendNow(bench, {})) ?? [];
  bench.wake();
  await bench.clock.advance(0);
  const [next] = (await sendNow(bench, {})) ?? [];
  expect(next?.offset).toBe(lost?.offset);
  expect(new Set([kept?.id, lost?.id, next?.id]).size).toBe(3);
  const look = (id = "") => bench.run(verbs(bench).message({ stamp, id }));
  expect(await look(kept?.id)).toMatchObject({ state: "ready", offset: 0 });
  expect(await look(next?.id)).toMatchObject({ state: "ready", offset: 1 });
  await expect(look(lost?.id)).rejects.toMatchObject({ code: "message_not_found" });
});

test("what was received is on disk, under the id that the send answered", async () => {
  const bench = await started();
  const [sent] = (await sendNow(bench, {})) ?? [];
  const delivered = await bench.run(receive(bench));
  expect(rows(bench)).toBe(1);
  bench.wake();
  const receipts = delivered.receipts;
  const settled = await bench.run(
    verbs(bench).settle({ stamp, group: "g", verb: "ack", receipts }),
  );
  expect(settled).toMatchObject([{ ok: true }]);
  expect(await bench.run(verbs(bench).message({ stamp, id: sent?.id ?? "" }))).toMatchObject({
    groups: [{ state: "acked" }],
  });
});

test("a long poll is woken by a send that was answered before the disk", async () => {
  const bench = await started();
  const got: number[] = [];
  void receive(bench, 5_000).then((outcome) => outcome.ok && got.push(...outcome.value.offsets));
  await bench.clock.advance(0);
  await sendNow(bench, {}, {});
  await bench.clock.advance(20);
  expect(got).toEqual([0, 1]);
});

test("delayed and prepared messages wait for the disk as everywhere", async () => {
  const bench = await started();
  expect(await sendNow(bench, { delayMs: 1_000 })).toBeUndefined();
  await bench.clock.advance(0);
  bench.wake();
  expect(bench.queue.store.delayed.count).toBe(1);
});

test("sequences and dedup ids are lost with their messages only", async () => {
  const bench = await started();
  await sendNow(bench, counted(1), { dedupId: "a" });
  await bench.clock.advance(20);
  await sendNow(bench, counted(2), { dedupId: "b" });
  bench.wake();
  await bench.clock.advance(0);
  const again = await sendNow(bench, { dedupId: "a" }, { dedupId: "b" }, counted(1), counted(2));
  expect(again?.map(({ state }) => state)).toEqual(["duplicate", "ready", "duplicate", "ready"]);
  expect(again?.[2]).toMatchObject({ id: expect.stringMatching(/^mm_/u) as string, offset: 0 });
});

test("a refusal is answered at once and stores nothing", async () => {
  const bench = await started();
  const outcomes: unknown[] = [];
  const stale = { ...stamp, version: 0 };
  void verbs(bench)
    .send({ stamp: stale, records: records({}) })
    .then((outcome) => outcomes.push(outcome));
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  expect(outcomes).toMatchObject([{ ok: false, code: "stale_route" }]);
});

test("callers wait for the disk once too much is owed to it", async () => {
  const bench = await started();
  const body = { json: `"${"x".repeat(1_000_000)}"` };
  for (let index = 0; index < 5; index++) expect(await sendNow(bench, { body })).toBeDefined();
  expect(await sendNow(bench, { body })).toBeUndefined();
  await bench.clock.advance(0);
  expect(bench.queue.store.messages.next).toBe(6);
  expect(await sendNow(bench, { body })).toBeDefined();
});

test("retention and restarts in between lose no offset and no message that was written", async () => {
  const bench = await started();
  for (let round = 0; round < 30; round++) {
    await sendNow(bench, {}, {});
    await bench.pass(7_000);
    await sendNow(bench, {});
    await bench.clock.advance(20);
    if (round % 7 === 3) bench.wake();
  }
  await bench.run(bench.queue.run(() => accept(undefined)));
  expect(bench.queue.store.messages.next).toBe(90);
  expect(bench.queue.store.messages.first).toBeGreaterThan(50);
  const read = bench.queue.store.messages.read(89);
  expect(read).toBeDefined();
});
