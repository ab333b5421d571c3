/** The scheduler's rules: each run once and never early, missed ones by their rule, trouble on the way, a bounded amount. */
import { expect, test } from "vitest";
import { accept, refuse } from "../../src/protocol/errors.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { SentMessage } from "../../src/protocol/rpc.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, record, World } from "./kit.node.ts";

const NEW_YEAR = "2026-01-01T00:00:30.250Z";
const READY: SentMessage = { id: "m", queue: 3, offset: 0, state: "ready" };

test("each run is sent once, at its second and never before, and says which one it is", async () => {
  const world = new World(NEW_YEAR);
  const { created, schedule } = await world.put(
    "tick",
    {},
    { tag: "a", messageGroup: "g", delayMs: 5, properties: { p: "v" } },
  );
  expect(created).toBe(true);
  expect(schedule.nextRunAt).toBe(Date.parse("2026-01-01T00:01:00Z"));
  await world.pass(3 * MINUTE_MS);
  expect(world.sent.map(({ at }) => new Date(at).toISOString())).toEqual([
    "2026-01-01T00:01:00.000Z",
    "2026-01-01T00:02:00.000Z",
    "2026-01-01T00:03:00.000Z",
  ]);
  expect(world.sent[0]).toMatchObject({
    topic: "t",
    content: {
      tag: "a",
      messageGroup: "g",
      delayMs: 5,
      properties: { p: "v", halfmqSchedule: "tick", halfmqScheduledAt: "1767225660000" },
      producer: { epoch: 1, sequence: 1 },
    },
  });
  expect((await world.get("tick")).lastRun).toMatchObject({
    scheduledAt: Date.parse("2026-01-01T00:03:00Z"),
    outcome: "sent",
    attempts: 1,
    id: "m",
    queue: 0,
  });
});

test("a clock that was put back repeats no run, and what is set anew then is no older than what was sent", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  await world.pass(2 * MINUTE_MS);
  world.nowMs -= HOUR_MS;
  await world.pass(30 * MINUTE_MS);
  expect(world.sent).toHaveLength(2);
  await world.put("tick", { cron: "*/2 * * * *" });
  await world.pass(2 * MINUTE_MS);
  expect(world.runs.at(-1)).toBe("2025-12-31T23:34:00.000Z");
  expect(world.sent.map(({ content }) => content.producer?.epoch)).toEqual([1, 2, 3]);
});

test("an alarm that goes off early sends nothing", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  world.nowMs = Date.parse("2026-01-01T00:00:59.999Z");
  world.alarmAt = undefined;
  world.scheduler.alarm();
  expect(world.sent).toEqual([]);
  expect(world.alarmAt).toBe(Date.parse("2026-01-01T00:01:00Z"));
});

test("a run costs two rows and one alarm, and the next is reckoned from the calendar", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  await world.pass(MINUTE_MS);
  world.sql.rowsWritten = 0;
  world.alarmsSet = 0;
  await world.pass(60 * MINUTE_MS);
  expect(world.sent).toHaveLength(61);
  expect(world.sql.rowsWritten).toBe(120);
  expect(world.alarmsSet).toBe(60);
});

test("an object that nobody wrote to stays without a row", async () => {
  const world = new World(NEW_YEAR);
  world.sql.rowsWritten = 0;
  expect(await world.scheduler.list({ limit: 10 })).toMatchObject({
    ok: true,
    value: { items: [] },
  });
  expect(await world.scheduler.get("x")).toMatchObject({ ok: false, code: "schedule_not_found" });
  world.scheduler.poke(undefined);
  expect(world.sql.exec("SELECT name FROM sqlite_master")).toEqual([]);
  expect(world.alarmsSet).toBe(0);
});

test("a crash between the send and its note repeats the same firing, which its queue knows", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  world.answer = () => new Promise(() => undefined);
  await world.pass(30_000);
  expect(world.sent).toHaveLength(1);
  // The former life's answer never comes; meanwhile the schedule goes elsewhere with something else.
  await world.put("tick", { topic: "other", cron: "0 0 1 1 *" }, { messageGroup: "new" });
  world.answer = () => accept({ queue: 3, state: "duplicate" });
  await world.down(10_000);
  expect(world.sent).toHaveLength(2);
  const [first, second] = world.sent;
  expect({ ...second, at: 0 }).toEqual({ ...first, at: 0 });
  const view = await world.get("tick");
  expect(view.lastRun).toMatchObject({ outcome: "sent", attempts: 1, queue: 3 });
  expect(view.pendingRun).toBeUndefined();
  expect(view.topic).toBe("other");
  expect(world.sql.exec("SELECT count(*) AS n FROM message")[0]?.["n"]).toBe(1);
});

test("a run whose fate nobody knows any more is not sent again", async () => {
  const world = new World(NEW_YEAR);
  await world.put("yearly", { cron: "1 0 1 1 *" });
  world.answer = () => new Promise(() => undefined);
  await world.pass(30_000);
  await world.down(LIMITS.producerWindowMs);
  expect(world.sent).toHaveLength(1);
  const { lastRun } = await world.get("yearly");
  expect(lastRun).toMatchObject({ outcome: "failed", code: "unavailable" });
  expect(world.logged).toEqual(["schedule.failed"]);
});

test("skip: runs that are more than a minute late are left out, younger ones are sent", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", { cron: "*/20 * * * * *" });
  await world.down(2 * HOUR_MS + 5_000);
  await world.pass(0);
  expect(world.runs).toEqual([
    "2026-01-01T01:59:40.000Z",
    "2026-01-01T02:00:00.000Z",
    "2026-01-01T02:00:20.000Z",
  ]);
  expect(world.logged).toEqual(["schedule.skipped"]);
  await world.pass(10_000);
  expect(world.runs.at(-1)).toBe("2026-01-01T02:00:40.000Z");
});

test("skip: what was left out is shown, and the next run comes in time", async () => {
  const world = new World(NEW_YEAR);
  await world.put("daily", { cron: "0 6 * * *" });
  await world.down(DAY_MS);
  const view = await world.get("daily");
  expect(world.sent).toEqual([]);
  expect(view.lastRun).toMatchObject({
    outcome: "skipped",
    scheduledAt: Date.parse("2026-01-01T06:00Z"),
    attempts: 0,
  });
  expect(view.nextRunAt).toBe(Date.parse("2026-01-02T06:00Z"));
  await world.pass(DAY_MS);
  expect(world.runs).toEqual(["2026-01-02T06:00:00.000Z"]);
});

test("once: one run for all that were missed, the latest, whatever their number", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", { cron: "* * * * * *", missed: "once" });
  await world.put("daily", { cron: "0 6 * * *", missed: "once" });
  await world.put("rare", { cron: "* * * 2 *", missed: "once" });
  await world.down(100 * DAY_MS);
  expect(world.runs.toSorted()).toEqual([
    "2026-02-28T23:59:00.000Z",
    "2026-04-10T06:00:00.000Z",
    "2026-04-11T00:00:30.000Z",
  ]);
  expect((await world.get("daily")).nextRunAt).toBe(Date.parse("2026-04-11T06:00Z"));
  await world.pass(1_000);
  expect(world.runs).toHaveLength(4);
});

test("paused: nothing is sent, what comes due is left out in both rules, and resume counts from now", async () => {
  const world = new World(NEW_YEAR);
  for (const missed of ["skip", "once"] as const) {
    await world.put(missed, { missed });
    await world.scheduler.pause(missed, true);
    expect((await world.get(missed)).nextRunAt).toBeUndefined();
  }
  await world.pass(HOUR_MS);
  await world.down(HOUR_MS);
  // A PUT changes neither.
  await world.put("once", { missed: "once", cron: "*/2 * * * *" });
  await world.pass(HOUR_MS);
  expect(world.sent).toEqual([]);
  for (const missed of ["skip", "once"]) await world.scheduler.pause(missed, false);
  expect((await world.get("skip")).nextRunAt).toBe(Date.parse("2026-01-01T03:01Z"));
  await world.pass(MINUTE_MS);
  expect(world.runs).toEqual(["2026-01-01T03:01:00.000Z"]);
});

test("a run that is refused for now is tried again, further and further apart", async () => {
  const world = new World(NEW_YEAR);
  await world.put("daily", { cron: "1 0 * * *" });
  world.answer = () => refuse("unavailable", "down");
  await world.pass(10 * MINUTE_MS);
  const start = Date.parse("2026-01-01T00:01Z");
  const seconds = world.sent.map(({ at }) => (at - start) / 1_000);
  expect(seconds.slice(0, 8)).toEqual([0, 2, 6, 14, 30, 62, 122, 182]);
  expect((await world.get("daily")).pendingRun).toMatchObject({
    code: "unavailable",
    scheduledAt: start,
  });
  world.answer = () => accept(READY);
  await world.pass(MINUTE_MS);
  const view = await world.get("daily");
  expect(view.lastRun).toMatchObject({ outcome: "sent", scheduledAt: start });
  expect(view.pendingRun).toBeUndefined();
  expect(new Set(world.sent.map(({ content }) => content.producer?.epoch)).size).toBe(1);
});

test("skip: a run that a full topic refuses for more than a minute is left out", async () => {
  const world = new World(NEW_YEAR);
  await world.put("daily", { cron: "1 0 * * *" });
  world.answer = () => refuse("backlog_full", "full");
  await world.pass(5 * MINUTE_MS);
  expect((await world.get("daily")).lastRun).toMatchObject({
    outcome: "skipped",
    code: "backlog_full",
    attempts: 6,
  });
});

test("once: a full topic gets one run for all of them when it has room, the latest", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", { missed: "once" });
  world.answer = () => refuse("backlog_full", "full");
  await world.pass(10 * MINUTE_MS);
  const refused = world.sent.length;
  world.answer = () => accept(READY);
  await world.pass(MINUTE_MS);
  expect(world.runs.slice(refused)).toHaveLength(2);
  expect(world.runs.at(-1)).toBe("2026-01-01T00:11:00.000Z");
});

test("a topic that is gone fails the run, and the schedule goes on", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  world.answer = () => refuse("topic_not_found", "gone");
  await world.pass(MINUTE_MS);
  expect((await world.get("tick")).lastRun).toMatchObject({
    outcome: "failed",
    code: "topic_not_found",
  });
  world.answer = () => accept(READY);
  await world.pass(MINUTE_MS);
  expect((await world.get("tick")).lastRun).toMatchObject({ outcome: "sent" });
});

test("a slow topic holds up its own schedule only, and its next run waits for its end", async () => {
  const world = new World(NEW_YEAR);
  await world.put("slow", { topic: "slow" });
  await world.put("quick", { topic: "quick" });
  const held = Promise.withResolvers<void>();
  world.answer = async ({ topic }) => {
    if (topic === "slow") await held.promise;
    return accept(READY);
  };
  await world.pass(90_000);
  const count = (topic: string) => world.sent.filter((each) => each.topic === topic).length;
  expect([count("slow"), count("quick")]).toEqual([1, 2]);
  held.resolve();
  await world.pass(0);
  expect(count("slow")).toBe(2);
});

test("at most 32 messages are on their way, and all are sent in the end", async () => {
  const world = new World(NEW_YEAR);
  for (let each = 0; each < 100; each++) await world.put(`s${each}`, { cron: "1 0 1 * *" });
  let open = 0;
  let most = 0;
  const gates: (() => void)[] = [];
  world.answer = async () => {
    most = Math.max(most, ++open);
    await new Promise<void>((resolve) => gates.push(resolve));
    open--;
    return accept(READY);
  };
  await world.pass(30_000);
  expect(open).toBe(32);
  const alarms = world.alarmsSet;
  while (gates.length > 0) {
    gates.shift()?.();
    await world.pass(0);
  }
  expect(world.sent).toHaveLength(100);
  expect(most).toBe(32);
  expect(world.alarmsSet - alarms).toBeLessThan(5);
});

test("an alarm whose time has come is not moved before it goes off, but a lost one is", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", { cron: "* * * * * *" });
  const due = world.alarmAt ?? 0;
  world.nowMs = due + 5_000;
  // Any call may come before the alarm, and runs what is due.
  await world.put("other", { cron: "@yearly" });
  await world.scheduler.pause("tick", false);
  expect(world.sent.length).toBeGreaterThan(0);
  expect(world.alarmAt).toBe(due);
  world.nowMs = due + 20_000;
  await world.put("other", { cron: "@daily" });
  expect(world.alarmAt).toBeGreaterThanOrEqual(world.nowMs);
});

test("the watchdog's call arms an alarm that the platform lost", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  world.alarmAt = undefined;
  world.scheduler.poke(undefined);
  expect(world.alarmAt).toBe(Date.parse("2026-01-01T00:01Z"));
  const before = world.alarmsSet;
  world.scheduler.poke(world.alarmAt);
  expect(world.alarmsSet).toBe(before);
});

test("alarm never throws, and comes again", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  world.sql.onStatement = () => {
    throw new Error("disk full");
  };
  world.nowMs = world.alarmAt ?? 0;
  world.alarmAt = undefined;
  expect(() => world.scheduler.alarm()).not.toThrow();
  expect(world.alarmAt).toBe(world.nowMs + MINUTE_MS);
  world.sql.onStatement = () => undefined;
  await world.pass(MINUTE_MS);
  expect(world.sent.length).toBeGreaterThan(0);
});

test("a deleted schedule sends nothing more, and one of the same name is another producer", async () => {
  const world = new World(NEW_YEAR);
  await world.put("tick", {});
  const held = Promise.withResolvers<void>();
  world.answer = () => held.promise.then(() => accept(READY));
  await world.pass(MINUTE_MS);
  expect(await world.scheduler.delete("tick")).toMatchObject({ ok: true });
  await world.put("tick", { cron: "0 0 1 1 *" });
  held.resolve();
  await world.pass(0);
  expect((await world.get("tick")).lastRun).toBeUndefined();
  await world.put("tick", {});
  await world.pass(MINUTE_MS);
  const [first, second] = world.sent.map(({ content }) => content.producer?.id);
  expect(second).not.toBe(first);
  expect(await world.scheduler.delete("nothing")).toMatchObject({ code: "schedule_not_found" });
});

test("the same PUT again changes nothing; another time counts from now", async () => {
  const world = new World(NEW_YEAR);
  await world.put("daily", { cron: "0 6 * * *", missed: "once" });
  // Due, but not looked at yet: it is not lost by a change of the message.
  world.nowMs += DAY_MS;
  const same = await world.put("daily", { cron: "0 6 * * *", missed: "once" }, { tag: "new" });
  expect(same.created).toBe(false);
  expect(world.sent.map(({ content }) => content.tag)).toEqual(["new"]);
  const other = await world.put("daily", { cron: "0 6 * * *", timeZone: "Asia/Tokyo" });
  expect(other.schedule.nextRunAt).toBe(Date.parse("2026-01-02T21:00Z"));
});

test("a list pages by creation, shows nothing twice and keeps its cursor over deletes", async () => {
  const world = new World(NEW_YEAR);
  for (const name of ["b", "a", "c", "d"]) await world.put(name, {});
  const first = await world.scheduler.list({ limit: 2 });
  if (!first.ok) throw new Error(first.code);
  expect(first.value.items.map(({ name }) => name)).toEqual(["b", "a"]);
  await world.scheduler.delete("a");
  await world.scheduler.delete("c");
  await world.put("c", {});
  const cursor = first.value.nextCursor ?? "";
  const rest = await world.scheduler.list({ limit: 10, cursor });
  expect(rest).toMatchObject({ ok: true, value: { items: [{ name: "d" }, { name: "c" }] } });
  expect(await world.scheduler.list({ limit: 10, cursor: "t1" })).toMatchObject({
    code: "invalid_request",
    facts: { field: "cursor" },
  });
});

test("a namespace has a thousand schedules and no more", async () => {
  const world = new World(NEW_YEAR);
  const rule = { topic: "t", cron: "* * * * *", timeZone: "UTC", missed: "skip" } as const;
  await world.put("s1", rule);
  world.sql.exec(
    `WITH RECURSIVE n (id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM n WHERE id < ${LIMITS.schedulesMax})
     INSERT INTO schedule SELECT n.id, 's' || n.id, schedule.body FROM n, schedule`,
  );
  world.wake();
  expect(await world.scheduler.put("more", rule, record())).toMatchObject({
    code: "invalid_request",
    facts: { field: "name", limit: LIMITS.schedulesMax },
  });
  expect(await world.scheduler.put("s7", rule, record())).toMatchObject({ ok: true });
  await world.scheduler.delete("s7");
  expect(await world.scheduler.put("more", rule, record())).toMatchObject({ ok: true });
});
