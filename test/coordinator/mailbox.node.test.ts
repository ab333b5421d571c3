/** The mailbox: checks laid once, handed out once, kept across evictions, and never for what is decided. */
import { expect, test } from "vitest";
import { Mailbox } from "../../src/coordinator/mailbox.ts";
import { Pollers } from "../../src/coordinator/pollers.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { TestSql } from "../kit/sqlite.node.ts";
import {
  GROUP,
  INCARNATION,
  makeWorld,
  NAMESPACE,
  settle,
  aRecord,
  WEBHOOK,
  type World,
} from "./kit.node.ts";

const QUERY = { maxMessages: 16, waitMs: 0, bytesMax: 8 * 1024 * 1024 };

function polling(world: World = makeWorld()) {
  const coordinator = world.wake();
  const offer = async (offers: Parameters<typeof coordinator.offer>[2]) => {
    await coordinator.offer(NAMESPACE, GROUP, offers);
    await settle();
  };
  const poll = (query: Partial<typeof QUERY> & { consumerId?: string; waitId?: string } = {}) =>
    coordinator.poll(NAMESPACE, GROUP, { ...QUERY, ...query });
  const taken = async (
    query: Partial<typeof QUERY> & { waitId?: string } = {},
    by = poll(query),
  ): Promise<string[]> => {
    const outcome = await by;
    if (!outcome.ok) throw new Error(outcome.code);
    return outcome.value.checks.map(({ transactionId, attempt }) => `${transactionId}#${attempt}`);
  };
  return { ...world, coordinator, offer, poll, taken };
}

const rowsOf = (sql: TestSql): unknown[] =>
  sql.exec("SELECT batch FROM mailbox").map((row) => JSON.parse(row["batch"] as string));

test("checks are laid as one row a batch, counted at once, and handed out once with their content", async () => {
  const { queue, sql, offer, poll, taken, coordinator, clock } = polling();
  sql.rowsWritten = 0;
  await offer(queue().offersOf(...Array(100).keys()));
  expect(sql.rowsWritten).toBe(1);
  expect(queue().half(99).checks).toBe(1);
  const outcome = await poll({ maxMessages: 3, consumerId: "c1" });
  expect(outcome).toMatchObject({
    ok: true,
    value: { checks: [{ transactionId: "tx_7_0_0", attempt: 1 }, {}, {}] },
  });
  if (outcome.ok) expect(outcome.value.checks[0]?.entries.length).toBeGreaterThan(0);
  expect(sql.rowsWritten).toBe(2);
  expect(await taken({ maxMessages: 1_000 })).toHaveLength(97);
  expect(await taken({ maxMessages: 1_000 })).toEqual([]);
  expect(rowsOf(sql)).toEqual([]);
  expect(await coordinator.seen()).toMatchObject({
    lastPolledAt: clock.nowMs(),
    pollers: [{ consumerId: "c1", lastSeenAt: clock.nowMs() }],
  });
});

test("checks of several queues come queue by queue, the one that waits longest first", async () => {
  const { queue, offer, taken } = polling();
  await offer(queue(0).offersOf(0));
  await offer(queue(1).offersOf(0));
  await offer(queue(0).offersOf(1));
  expect(await taken()).toEqual(["tx_7_0_0#1", "tx_7_0_1#1", "tx_7_1_0#1"]);
});

test("what lies in the mailbox survives an eviction, what was handed out does not come back", async () => {
  const world = makeWorld();
  const before = polling(world);
  await before.offer(world.queue().offersOf(0, 1, 2));
  expect(await before.taken({ maxMessages: 1 })).toEqual(["tx_7_0_0#1"]);
  const after = polling(world);
  expect(await after.taken()).toEqual(["tx_7_0_1#1", "tx_7_0_2#1"]);
  expect(await polling(world).taken()).toEqual([]);
});

test("a newer attempt supersedes the older one, also across evictions, and keeps its place", async () => {
  const world = makeWorld();
  const first = polling(world);
  await first.offer(world.queue().offersOf(0, 1));
  await first.offer(world.queue().offersOf(0));
  expect(rowsOf(world.sql)).toHaveLength(2);
  expect(await polling(world).taken({ maxMessages: 1 })).toEqual(["tx_7_0_0#2"]);
  // The first row still names attempt 1: it is read again, and found old.
  expect(await polling(world).taken()).toEqual(["tx_7_0_1#1"]);
  expect(rowsOf(world.sql)).toEqual([]);
});

test("a batch that is wholly superseded loses its row at once", async () => {
  const { queue, sql, offer, taken } = polling();
  for (let round = 0; round < 5; round++) await offer(queue().offersOf(0, 1, 2));
  expect(rowsOf(sql)).toEqual([
    [
      "t",
      INCARNATION,
      0,
      [
        [0, 5],
        [1, 5],
        [2, 5],
      ],
    ],
  ]);
  expect(await taken()).toEqual(["tx_7_0_0#5", "tx_7_0_1#5", "tx_7_0_2#5"]);
});

test("after a resume the first attempt supersedes the last one before", async () => {
  const { queue, offer, taken } = polling();
  queue().half(0).checks = 14;
  await offer(queue().offersOf(0));
  queue().half(0).checks = 0;
  await offer(queue().offersOf(0));
  expect(await taken()).toEqual(["tx_7_0_0#1"]);
});

test("decided transactions are never handed out", async () => {
  const { queue, sql, offer, taken } = polling();
  await offer(queue().offersOf(0, 1, 2, 3));
  queue().half(0).state = "committed";
  queue().half(2).state = "rolledBack";
  expect(await taken({ maxMessages: 2 })).toEqual(["tx_7_0_1#1", "tx_7_0_3#1"]);
  expect(rowsOf(sql)).toEqual([]);
});

test("a group with a target lays nothing, and its poll answers what was laid before", async () => {
  const { queue, endpoint, coordinator, offer, taken } = polling();
  await offer(queue().offersOf(0));
  await coordinator.configure(aRecord(WEBHOOK));
  await offer(queue().offersOf(1));
  expect(endpoint.asked).toHaveLength(1);
  expect(await taken()).toEqual(["tx_7_0_0#1"]);
  expect(await taken()).toEqual([]);
});

test("a poll waits for the first check, and for no longer than it said", async () => {
  const { queue, clock, offer, taken } = polling();
  const empty = taken({ waitMs: 1_000 });
  await clock.advance(1_000);
  expect(await empty).toEqual([]);

  const waiting = taken({ waitMs: 20_000 });
  await clock.advance(500);
  await offer(queue().offersOf(0, 1));
  expect(await waiting).toEqual(["tx_7_0_0#1", "tx_7_0_1#1"]);
  expect(clock.timers).toBe(0);
});

test("a check that is laid between a poll's look and its wait is not slept over", async () => {
  const { ports, sql, queue, clock } = makeWorld();
  const mailbox = new Mailbox(sql);
  const pollers = new Pollers(mailbox, ports);
  const poll = pollers.poll(NAMESPACE, { ...QUERY, waitMs: 20_000 });
  queue().half(0).checks = 1;
  mailbox.lay([{ topic: "t", incarnation: INCARNATION, queue: 0, position: 0, attempt: 1 }]);
  pollers.wake(1);
  await settle();
  expect(clock.timers).toBe(0);
  expect(await poll).toMatchObject({ value: { checks: [{ transactionId: "tx_7_0_0" }] } });
});

test("several pollers share what comes, and nobody gets what another got", async () => {
  const { queue, clock, offer, taken } = polling();
  const polls = Array.from({ length: 5 }, () => taken({ maxMessages: 2, waitMs: 10_000 }));
  await settle();
  await offer(queue().offersOf(...Array(6).keys()));
  await clock.advance(10_000);
  const got = await Promise.all(polls);
  expect(got.map((each) => each.length).toSorted((a, b) => a - b)).toEqual([0, 0, 2, 2, 2]);
  expect(new Set(got.flat()).size).toBe(6);
});

test("polls at the same time never get the same check", async () => {
  const { queue, offer, taken } = polling();
  await offer(queue().offersOf(...Array(200).keys()));
  const got = await Promise.all(Array.from({ length: 20 }, () => taken({ maxMessages: 10 })));
  expect(got.flat()).toHaveLength(200);
  expect(new Set(got.flat()).size).toBe(200);
});

test("waiting pollers are bounded", async () => {
  const { clock, poll } = polling();
  const polls = Array.from({ length: LIMITS.waitersMax }, () => poll({ waitMs: 1_000 }));
  await settle();
  expect(await poll({ waitMs: 1_000 })).toMatchObject({
    ok: false,
    code: "too_many_waiters",
    facts: { limit: LIMITS.waitersMax },
  });
  expect(await poll()).toMatchObject({ ok: true });
  await clock.advance(1_000);
  expect(await Promise.all(polls)).toHaveLength(LIMITS.waitersMax);
});

test("an answer stops at its bytes but holds one check at least; the rest comes with the next", async () => {
  const { queue, offer, taken } = polling();
  queue().bodyBytes = 1_000;
  await offer(queue().offersOf(0, 1, 2, 3, 4));
  expect(await taken({ bytesMax: 1 })).toEqual(["tx_7_0_0#1"]);
  expect(await taken({ bytesMax: 2_500 })).toEqual(["tx_7_0_1#1", "tx_7_0_2#1"]);
  expect(await taken()).toEqual(["tx_7_0_3#1", "tx_7_0_4#1"]);
});

test("content is read in small calls where it is large, and in large calls where it is small", async () => {
  const { queue, offer, taken } = polling();
  queue(0).bodyBytes = 200_000;
  await offer(queue(0).offersOf(...Array(60).keys()));
  expect((await taken({ maxMessages: 1_000 })).length).toBeLessThan(42);
  expect(Math.max(...queue(0).reads.map((positions) => positions.length))).toBeLessThanOrEqual(33);
  await offer(queue(1).offersOf(...Array(1_000).keys()));
  await taken({ maxMessages: 1_000 });
  expect(await taken({ maxMessages: 1_000 })).not.toEqual([]);
  expect(queue(1).reads.length).toBeLessThan(25);
});

test("a queue that fails keeps its checks in the mailbox and others are handed out", async () => {
  const { queue, clock, offer, taken } = polling();
  await offer(queue(0).offersOf(0));
  await offer(queue(1).offersOf(0));
  queue(0).failures.push("throw", "unavailable");
  expect(await taken()).toEqual(["tx_7_1_0#1"]);
  const waiting = taken({ waitMs: 5_000 });
  await clock.advance(1_000);
  expect(await waiting).toEqual(["tx_7_0_0#1"]);
});

test("a queue that hangs holds a poll for a bounded time", async () => {
  const { queue, clock, offer, taken } = polling();
  await offer(queue(0).offersOf(0));
  queue(0).failures.push("hang");
  const poll = taken();
  await clock.advance(5_000);
  expect(await poll).toEqual([]);
  expect(await taken()).toEqual(["tx_7_0_0#1"]);
});

test("what belongs to a deleted topic is thrown away", async () => {
  const { queue, sql, offer, taken } = polling();
  await offer(queue(0).offersOf(0));
  queue(0).failures.push("internal");
  expect(await taken()).toEqual([]);
  expect(rowsOf(sql)).toEqual([]);
});

test("a check that is laid late, after a slow begin, is handed out", async () => {
  const { queue, clock, offer, taken } = polling();
  const gate = Promise.withResolvers<void>();
  queue().gate = gate.promise;
  await offer(queue().offersOf(0));
  await clock.advance(5_000);
  gate.resolve();
  await settle();
  expect(await taken()).toEqual(["tx_7_0_0#1"]);
});

test("past its bound the mailbox drops the oldest, so that nothing is stuck behind what nobody polls", () => {
  const sql = new TestSql();
  const mailbox = new Mailbox(sql, 10);
  const lay = (from: number, count: number) =>
    mailbox.lay(
      Array.from({ length: count }, (_, index) => ({
        topic: "t",
        incarnation: 1,
        queue: 0,
        position: from + index,
        attempt: 1,
      })),
    );
  expect(lay(0, 4)).toEqual({ dropped: 0 });
  const claim = mailbox.claim(1, new Set());
  expect(lay(4, 10)).toEqual({ dropped: 4 });
  expect(mailbox.size).toBe(10);
  mailbox.release(claim);
  expect(mailbox.claim(20, new Set()).map(({ position }) => position)).toEqual([
    0, 5, 6, 7, 8, 9, 10, 11, 12, 13,
  ]);
  expect(rowsOf(sql)).toHaveLength(2);
});

test("a reference that is superseded while it is claimed does not take its successor with it", () => {
  const mailbox = new Mailbox(new TestSql());
  const ref = { topic: "t", incarnation: 1, queue: 0, position: 1, attempt: 1 };
  mailbox.lay([ref]);
  const claim = mailbox.claim(1, new Set());
  mailbox.lay([{ ...ref, attempt: 2 }]);
  mailbox.spend(claim);
  expect(mailbox.claim(9, new Set())).toMatchObject([{ attempt: 2 }]);
});

test("a poll whose client is gone takes nothing, and the next one gets what comes", async () => {
  const { queue, offer, coordinator, poll, taken } = polling();
  const gone = poll({ waitMs: 20_000, waitId: "w1" });
  await settle();
  await coordinator.cancelPoll("w1");
  expect(await taken({}, gone)).toEqual([]);
  await coordinator.cancelPoll("w2");
  expect(await taken({ waitMs: 20_000, waitId: "w2" }), "a cancel may overtake its poll").toEqual(
    [],
  );
  await offer(queue().offersOf(1, 2));
  expect(await taken({ waitMs: 20_000, waitId: "w3" })).toEqual(["tx_7_0_1#1", "tx_7_0_2#1"]);
});

test("a poll that is cancelled while it reads lays its checks back", async () => {
  const { queue, offer, coordinator, poll, taken } = polling();
  await offer(queue().offersOf(1));
  const gone = poll({ waitId: "w1" });
  await coordinator.cancelPoll("w1");
  expect(await taken({}, gone)).toEqual([]);
  expect(await taken()).toEqual(["tx_7_0_1#1"]);
});
