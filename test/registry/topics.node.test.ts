/** Topics: what is written through before an answer, and how what broke off is completed. */
import { expect, test } from "vitest";
import { LIMITS } from "../../src/protocol/limits.ts";
import { TOPIC_DEFAULTS } from "../../src/protocol/topic.ts";
import { codeOf, DOWN, settle, value, World } from "./kit.node.ts";

test("a new topic is in every queue object before it is answered", async () => {
  const world = new World();
  const { route, created } = value(await world.wake().topics.put("t", { queues: 3 }));
  expect(created).toBe(true);
  expect(route).toMatchObject({ namespace: "default", topic: "t", incarnation: 1, version: 1 });
  expect(route.settings).toEqual({ ...TOPIC_DEFAULTS, queues: 3 });
  expect([...world.queues.keys()]).toEqual(["t/0", "t/1", "t/2"]);
  expect([...world.queues.values()].every((each) => each.route.version === 1)).toBe(true);
});

test("a patch changes what it names; nothing new is no new version and calls nobody", async () => {
  const world = new World();
  const { topics } = world.wake();
  await topics.put("t", { retentionMs: 60_000, transaction: { ...TOPIC_DEFAULTS.transaction } });
  const partial = { maxChecks: 7 } as typeof TOPIC_DEFAULTS.transaction;
  const changed = value(await topics.put("t", { transaction: partial }));
  expect(changed).toMatchObject({ created: false, route: { version: 2 } });
  expect(changed.route.settings).toMatchObject({
    retentionMs: 60_000,
    transaction: { ...TOPIC_DEFAULTS.transaction, maxChecks: 7 },
  });
  const calls = world.calls.length;
  expect(value(await topics.put("t", { retentionMs: 60_000 })).route.version).toBe(2);
  expect(world.calls).toHaveLength(calls);
});

test("queues never shrink", async () => {
  const { topics } = new World().wake();
  await topics.put("t", { queues: 3 });
  const refused = await topics.put("t", { queues: 2, retentionMs: 60_000 });
  expect(refused).toMatchObject({ code: "immutable_field", facts: { field: "queues" } });
  expect(value(await topics.topic("t", false))).toMatchObject({ version: 1 });
});

test("a growth reaches the new queues before the old ones", async () => {
  const world = new World();
  const { topics } = world.wake();
  await topics.put("t", { queues: 2 });
  world.calls.length = 0;
  world.clock.now += 5;
  const { route } = value(await topics.put("t", { queues: 4 }));
  expect(route.growths).toEqual([{ from: 2, to: 4, at: 1_000_005 }]);
  expect(world.calledQueues("configure")).toEqual(["t/2", "t/3", "t/0", "t/1"]);
});

test("old queues do not seal while a new one does not know of the growth", async () => {
  const world = new World();
  const { topics } = world.wake();
  await topics.put("t", { queues: 2 });
  world.fault = ({ to }) => (to === "t/3" ? DOWN : undefined);
  expect(codeOf(await topics.put("t", { queues: 4 }))).toBe("unavailable");
  expect(world.queues.get("t/0")?.route.settings.queues).toBe(2);
  world.fault = () => undefined;
  world.calls.length = 0;
  const { route, created } = value(await topics.put("t", { queues: 4 }));
  expect(created).toBe(false);
  expect(route).toMatchObject({ version: 2, growths: [{ from: 2, to: 4 }] });
  expect(world.calledQueues("configure")).toEqual(["t/2", "t/3", "t/0", "t/1"]);
});

test("a change that reached some queues is completed by the alarm, with the same version", async () => {
  const world = new World();
  const registry = world.wake();
  await registry.topics.put("t", { queues: 3 });
  world.fault = ({ to }) => (to === "t/1" ? DOWN : undefined);
  expect(codeOf(await registry.topics.put("t", { retentionMs: 60_000 }))).toBe("unavailable");
  await world.alarm(registry);
  expect(world.queues.get("t/1")?.route.version).toBe(1);
  expect(world.alarmAt).toBeGreaterThan(world.clock.now);
  world.fault = () => undefined;
  await world.alarm(registry);
  expect([...world.queues.values()].map(({ route }) => route.version)).toEqual([2, 2, 2]);
  await world.alarm(registry);
  expect(world.alarmAt, "once nothing is left, no alarm follows").toBeUndefined();
  expect(value(await registry.topics.topic("t", false)).version).toBe(2);
});

test("a reader never sees a change before every queue has it, and does not storm a queue that is down", async () => {
  const world = new World();
  const { topics } = world.wake();
  await topics.put("t", { queues: 2 });
  world.fault = ({ to }) => (to === "t/1" ? DOWN : undefined);
  await topics.put("t", { retentionMs: 60_000 });
  world.calls.length = 0;
  for (let count = 0; count < 10; count++) {
    expect(codeOf(await topics.topic("t", false))).toBe("unavailable");
  }
  expect(world.calls).toEqual([]);
  await world.clock.advance(1_000);
  expect(codeOf(await topics.topic("t", false))).toBe("unavailable");
  expect(world.calls).not.toEqual([]);
  world.fault = () => undefined;
  await world.clock.advance(1_000);
  expect(value(await topics.topic("t", false)).version).toBe(2);
});

test("a crash in the middle of a write-through is completed by the next life", async () => {
  const world = new World();
  const first = world.wake();
  await first.topics.put("t", { queues: 2 });
  world.fault = ({ to }) => (to === "t/1" ? "hang" : undefined);
  void first.topics.put("t", { retentionMs: 60_000 });
  await settle();
  world.fault = () => undefined;
  world.alarmAt = undefined;
  const second = world.wake();
  expect(world.alarmAt, "waking arms for what is left").toBeDefined();
  const { version, settings } = value(await second.topics.topic("t", false));
  expect([version, settings.retentionMs]).toEqual([2, 60_000]);
  expect(world.queues.get("t/1")?.route.version).toBe(2);
});

test("a creation that nobody was told of is completed as a creation", async () => {
  const world = new World();
  const { topics } = world.wake();
  world.fault = ({ to }) => (to === "t/0" ? DOWN : undefined);
  expect(codeOf(await topics.put("t", {}))).toBe("unavailable");
  expect(value(topics.list({ limit: 10 })).items).toEqual([]);
  world.fault = () => undefined;
  expect(value(await topics.put("t", {}))).toMatchObject({ created: true, route: { version: 1 } });
});

test("many that create one topic at a time make one", async () => {
  const world = new World();
  const { topics } = world.wake();
  const outcomes = await Promise.all([
    ...Array.from({ length: 20 }, () => topics.topic("t", true)),
    ...Array.from({ length: 20 }, async () => {
      const outcome = await topics.put("t", {});
      return outcome.ok ? { ...outcome, value: outcome.value.route } : outcome;
    }),
  ]);
  expect(new Set(outcomes.map((outcome) => value(outcome).incarnation)).size).toBe(1);
  expect(world.rows("topic")).toBe(1);
  expect(world.calledQueues("configure")).toEqual(["t/0"]);
});

test("changes of one topic at a time all count, and none overtakes another", async () => {
  const world = new World();
  const { topics } = world.wake();
  await Promise.all([
    topics.put("t", { retentionMs: 60_000 }),
    topics.put("t", { dedupWindowMs: 1 }),
    topics.put("t", { queues: 3 }),
    topics.put("t", { flushSpacingMs: 5 }),
  ]);
  const { settings, version } = value(await topics.topic("t", false));
  expect(settings).toMatchObject({
    retentionMs: 60_000,
    dedupWindowMs: 1,
    queues: 3,
    flushSpacingMs: 5,
  });
  expect(version).toBe(4);
  expect([...world.queues.values()].map(({ route }) => route.version)).toEqual([4, 4, 4]);
});

test("one topic that hangs does not hold another", async () => {
  const world = new World();
  const { topics } = world.wake();
  world.fault = ({ to }) => (to === "stuck/0" ? "hang" : undefined);
  void topics.put("stuck", {});
  expect(codeOf(await topics.put("free", {}))).toBe("ok");
});

test("an unknown topic is made by create only", async () => {
  const { topics } = new World().wake();
  expect(codeOf(await topics.topic("t", false))).toBe("topic_not_found");
  const route = value(await topics.topic("t", true));
  expect(route.settings).toEqual(TOPIC_DEFAULTS);
  expect(value(await topics.byIncarnation(route.incarnation))).toEqual(route);
  expect(codeOf(await topics.byIncarnation(99))).toBe("topic_not_found");
});

test("a topic with work is not deleted, and the counts are sums over its queues", async () => {
  const world = new World();
  const { topics } = world.wake();
  await topics.put("t", { queues: 2 });
  world.usage.set("t/0", { prepared: 1, delayed: 2, forwarding: 0 });
  world.usage.set("t/1", { prepared: 0, delayed: 3, forwarding: 4 });
  expect(await topics.delete("t", false)).toMatchObject({
    code: "topic_in_use",
    facts: { prepared: 1, delayed: 5, forwarding: 4 },
  });
  expect(world.calledQueues("drop")).toEqual([]);
  expect(codeOf(await topics.delete("t", true))).toBe("ok");
  expect(world.queues.size).toBe(0);
});

test("a delete leaves nothing but the name, and that for a minute", async () => {
  const world = new World();
  const registry = world.wake();
  const { topics } = registry;
  await topics.put("t", { queues: 2 });
  await registry.groups.put("t", "g", {}, { createTopic: false, onlyIfMissing: false });
  expect(codeOf(await topics.delete("t", false))).toBe("ok");
  expect(world.calledQueues("drop")).toEqual(["t/0", "t/1"]);
  expect([world.rows("topic"), world.rows("topic_group")]).toEqual([0, 0]);
  for (const create of [true, false]) {
    const refused = await topics.topic("t", create);
    expect(codeOf(refused)).toBe("topic_not_found");
    if (!refused.ok) expect(refused.detail).toContain("deleted");
  }
  const options = { createTopic: true, onlyIfMissing: true };
  expect(codeOf(await registry.groups.put("t", "g", {}, options))).toBe("topic_not_found");
  await world.alarm(registry);
  await world.alarm(registry);
  expect(world.rows("deleted_name")).toBe(0);
  expect(world.alarmAt).toBeUndefined();
  expect(value(await topics.topic("t", true))).toMatchObject({ incarnation: 2, groups: [] });
});

test("a deleted name is made at once by put, as another incarnation", async () => {
  const world = new World();
  const { topics } = world.wake();
  const old = value(await topics.put("t", { queues: 3, retentionMs: 60_000 })).route;
  await topics.delete("t", false);
  const { route, created } = value(await topics.put("t", {}));
  expect(created).toBe(true);
  expect(route).toMatchObject({ incarnation: 2, version: 1, settings: TOPIC_DEFAULTS });
  expect(codeOf(await topics.byIncarnation(old.incarnation))).toBe("topic_not_found");
});

test("a minute counts from the end of the delete to its last millisecond", async () => {
  const world = new World();
  const { topics } = world.wake();
  await topics.put("t", {});
  await topics.delete("t", false);
  await world.clock.advance(LIMITS.deletedNameMs - 1);
  expect(codeOf(await topics.topic("t", true))).toBe("topic_not_found");
  await world.clock.advance(1);
  expect(codeOf(await topics.topic("t", true))).toBe("ok");
});

test("a delete that broke off is a delete for everyone, and is completed by the alarm", async () => {
  const world = new World();
  const first = world.wake();
  await first.topics.put("t", { queues: 3 });
  world.fault = ({ verb, to }) => (verb === "drop" && to === "t/1" ? DOWN : undefined);
  expect(codeOf(await first.topics.delete("t", false))).toBe("unavailable");
  for (const create of [true, false]) {
    expect(codeOf(await first.topics.topic("t", create))).toBe("topic_not_found");
  }
  expect(codeOf(await first.topics.byIncarnation(1))).toBe("topic_not_found");
  expect(value(first.topics.list({ limit: 10 })).items).toEqual([]);
  expect(codeOf(await first.topics.put("t", {})), "its queues are not free yet").toBe(
    "unavailable",
  );
  world.fault = () => undefined;
  const second = world.wake();
  await world.alarm(second);
  expect(world.rows("topic")).toBe(0);
  expect(world.queues.size).toBe(0);
  expect(codeOf(await second.topics.delete("t", false))).toBe("topic_not_found");
});

test("a delete that broke off is completed by its repeat, without asking again what is in use", async () => {
  const world = new World();
  const { topics } = world.wake();
  await topics.put("t", {});
  world.fault = ({ verb }) => (verb === "drop" ? DOWN : undefined);
  await topics.delete("t", true);
  world.fault = () => undefined;
  world.usage.set("t/0", { prepared: 9, delayed: 0, forwarding: 0 });
  expect(codeOf(await topics.delete("t", false))).toBe("ok");
});

test("lists go by creation; cursors stay good while topics come and go", async () => {
  const { topics } = new World().wake();
  for (const name of ["c", "a", "b", "e", "d"]) await topics.put(name, {});
  const first = value(topics.list({ limit: 2 }));
  expect(first.items.map(({ topic }) => topic)).toEqual(["c", "a"]);
  await topics.delete("a", false);
  await topics.delete("b", false);
  await topics.put("late", {});
  const rest = value(topics.list({ limit: 1_000, cursor: first.nextCursor ?? "" }));
  expect(rest.items.map(({ topic }) => topic)).toEqual(["e", "d", "late"]);
  expect(rest.nextCursor).toBeUndefined();
  expect(value(topics.list({ limit: 4 })).nextCursor).toBeUndefined();
});

test("a limit or a cursor that no list gave is refused", () => {
  const { topics } = new World().wake();
  for (const limit of [0, 1_001, 1.5]) {
    expect(topics.list({ limit })).toMatchObject({
      code: "invalid_request",
      facts: { field: "limit" },
    });
  }
  for (const cursor of ["", "t", "p1", "tA", "t-1", "t00000000000000000"]) {
    const refused = topics.list({ limit: 1, cursor });
    expect(refused).toMatchObject({ code: "invalid_request", facts: { field: "cursor" } });
  }
});

test("the watchdog pokes every queue object, few at a time, and goes on past a failure", async () => {
  const world = new World();
  const registry = world.wake();
  await registry.topics.put("a", { queues: 40 });
  await registry.topics.put("b", { queues: 2 });
  world.fault = ({ verb, to }) => (verb === "poke" && to === "a/7" ? DOWN : undefined);
  expect(await registry.watchdog()).toBe(41);
  expect(new Set(world.calledQueues("poke")).size).toBe(42);
  expect(world.logged.join()).toContain("registry.poke_failed");
});
