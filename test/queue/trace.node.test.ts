/** The life of a message on a topic with `trace`: told in order, over restarts, at a bounded price. */
import { expect, test } from "vitest";
import type { Content } from "../../src/core/record.ts";
import { sentBy } from "../../src/core/message.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import type { TraceEvent } from "../../src/protocol/rpc.ts";
import type { TopicSettings } from "../../src/protocol/topic.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const HOUR_MS = 3_600_000;

async function started(settings: Partial<TopicSettings> = {}): Promise<Bench> {
  const bench = new Bench();
  const groups = [group("g", { maxAttempts: 2, backoff: { delaysMs: [1_000] } })];
  await bench.run(bench.queue.configure(route(groups, { trace: true, ...settings }), 0));
  return bench;
}

function untimed(event: TraceEvent): Partial<TraceEvent> {
  const { at, ...rest } = event;
  expect(at).toBeGreaterThan(0);
  return rest;
}

const verbs = (bench: Bench) => new QueueVerbs(bench.queue);

async function send(bench: Bench, ...contents: readonly Partial<Content>[]): Promise<string[]> {
  const stored = await bench.run(verbs(bench).send({ stamp, records: records(...contents) }));
  return sentBy(7, 0, stored).messages.map(({ id = "" }) => id);
}

const take = async (bench: Bench, maxMessages = 10) =>
  bench.run(
    verbs(bench).receive({
      stamp,
      group: "g",
      maxMessages,
      invisibleMs: 30_000,
      waitMs: 0,
      bytesMax: 1e6,
    }),
  );

const settle = (
  bench: Bench,
  verb: "ack" | "nack",
  receipts: readonly string[],
  reason?: string,
) => {
  const call = { stamp, group: "g", verb, receipts };
  return bench.run(verbs(bench).settle(reason === undefined ? call : { ...call, reason }));
};

const life = async (bench: Bench, id: string) =>
  (await bench.run(verbs(bench).message({ stamp, id }))).events ?? [];

const types = async (bench: Bench, id: string) => (await life(bench, id)).map(({ type }) => type);

test("deliveries, nacks, the end of a lease, dead letters and redrives stand in order", async () => {
  const bench = await started();
  const [id = ""] = await send(bench, {});
  await settle(bench, "nack", (await take(bench)).receipts, "not now");
  await bench.pass(1_000);
  await take(bench);
  await bench.pass(30_000);
  await bench.run(verbs(bench).redrive(stamp, "g"));
  await settle(bench, "ack", (await take(bench)).receipts);
  const events = await life(bench, id);
  expect(events.map(untimed)).toEqual([
    { type: "stored" },
    { type: "delivered", group: "g", deliveryAttempt: 1 },
    { type: "nacked", group: "g", deliveryAttempt: 1, reason: "not now" },
    { type: "delivered", group: "g", deliveryAttempt: 2 },
    { type: "leaseExpired", group: "g", deliveryAttempt: 2 },
    { type: "deadLettered", group: "g", reason: "lease_expired" },
    { type: "redriven", group: "g" },
    { type: "delivered", group: "g", deliveryAttempt: 1 },
    { type: "acked", group: "g" },
  ]);
  const ats = events.map(({ at }) => at);
  expect(ats).toEqual(ats.toSorted((a, b) => a - b));
  bench.wake();
  expect(await life(bench, id)).toEqual(events);
});

test("a message that waits tells of its delay, its new times and its recall", async () => {
  const bench = await started();
  const [due = "", taken = ""] = await send(bench, { delayMs: HOUR_MS }, { delayMs: HOUR_MS });
  const deliverAt = bench.clock.nowMs() + 5_000;
  await bench.run(verbs(bench).retime({ stamp, id: due }, deliverAt));
  await bench.run(verbs(bench).recall({ stamp, id: taken }));
  expect(await types(bench, taken)).toEqual(["delayed", "recalled"]);
  await bench.pass(5_000);
  await take(bench);
  const events = await life(bench, due);
  expect(events.map(({ type }) => type)).toEqual(["delayed", "retimed", "stored", "delivered"]);
  expect(events[1]).toMatchObject({ deliverAt });
});

test("a transaction tells of its prepare, its checks and who decided it", async () => {
  const bench = await started();
  await bench.run(
    verbs(bench).prepare({
      stamp,
      producerGroup: "p",
      check: { timeoutMs: 1_000, intervalMs: 1_000, maxChecks: 5 },
      records: records({}, { delayMs: 2_000 }),
      targets: [0, 1].map(() => ({ topic: "orders", incarnation: 7, queue: 0 })),
    }),
  );
  for (const attempt of [1, 2]) {
    await bench.pass(1_000);
    await bench.run(verbs(bench).beginChecks(7, [{ position: 0, attempt, openUntil: 0 }], false));
  }
  await bench.run(verbs(bench).decide({ stamp, position: 0, decision: "commit", by: "check" }));
  const events = await life(bench, "mh_7_0_0_0");
  expect(events.map(untimed)).toEqual([
    { type: "prepared" },
    { type: "checked", attempt: 1 },
    { type: "checked", attempt: 2 },
    { type: "committed", by: "check" },
    { type: "stored" },
  ]);
  await bench.pass(2_000);
  expect((await types(bench, "mh_7_0_0_1")).slice(-3)).toEqual(["committed", "delayed", "stored"]);
});

test("what is past its time to live says so", async () => {
  const bench = await started();
  const [id = ""] = await send(bench, { ttlMs: 1_000 });
  await bench.pass(1_000);
  expect(await types(bench, id)).toEqual(["stored", "expired"]);
});

test("a topic without trace keeps no events, and one that is switched on begins then", async () => {
  const bench = await started({ trace: false });
  const [id = ""] = await send(bench, {});
  await take(bench);
  const view = await bench.run(verbs(bench).message({ stamp, id }));
  expect(view).not.toHaveProperty("events");
  const on = route([group("g")], { trace: true }, { version: 2 });
  await bench.run(bench.queue.configure(on, 0));
  const at = { incarnation: 7, version: 2 };
  const seen = await bench.run(verbs(bench).message({ stamp: at, id }));
  expect(seen.events?.map(({ type }) => type)).toEqual(["stored"]);
});

test("events cost no row beside the flush's own, and a page now and then", async () => {
  const costs: number[] = [];
  for (const trace of [false, true]) {
    const bench = await started({ trace });
    bench.sql.rowsWritten = 0;
    for (let round = 0; round < 1_500; round++) {
      await send(bench, {}, {});
      await settle(bench, "ack", (await take(bench)).receipts);
    }
    costs.push(bench.sql.rowsWritten / 3_000);
  }
  const [plain = 0, traced = 0] = costs;
  expect(traced - plain).toBeLessThan(0.02);
});

test("events go with the messages that they tell of, also after a restart", async () => {
  const bench = await started({ retentionMs: 60_000 });
  for (let round = 0; round < 1_100; round++) {
    await send(bench, {});
    await settle(bench, "ack", (await take(bench)).receipts);
  }
  const rows = () =>
    Number(bench.sql.exec("SELECT COUNT(*) AS n FROM page WHERE name GLOB 'tl:*'")[0]?.["n"]);
  expect(rows()).toBeGreaterThan(2);
  await bench.pass(90_000);
  bench.wake();
  for (let round = 0; round < 6; round++) {
    await send(bench, {});
    await bench.pass(11_000);
  }
  // The page of the offsets that are in use now.
  expect(rows()).toBeLessThanOrEqual(1);
});

test("a message that is tried without end fills no page without end", async () => {
  const bench = await started();
  const groups = [group("g", { maxAttempts: 1_000_000, backoff: { delaysMs: [0] } })];
  await bench.run(bench.queue.configure(route(groups, { trace: true }, { version: 2 }), 0));
  const at = { incarnation: 7, version: 2 };
  const [id = ""] = sentBy(
    7,
    0,
    await bench.run(verbs(bench).send({ stamp: at, records: records({}) })),
  ).messages.map((sent) => sent.id);
  const { trace } = bench.queue.store;
  for (let count = 0; count < 40_000; count++)
    trace.note("log", [0, 1], { kind: "nacked", group: 1, value: count, reason: "again" });
  const view = await bench.run(verbs(bench).message({ stamp: at, id: id ?? "" }));
  expect(view.events?.length).toBeGreaterThan(5_000);
  expect(view.events?.length).toBeLessThan(40_000);
});
