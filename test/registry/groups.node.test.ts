/** Consumer groups: merged settings, numbers, and their way into every queue. */
import { expect, test } from "vitest";
import { LIMITS } from "../../src/protocol/limits.ts";
import { GROUP_DEFAULTS, type Backoff } from "../../src/protocol/topic.ts";
import { codeOf, DOWN, value, World } from "./kit.node.ts";

const PUT = { createTopic: false, onlyIfMissing: false };
const SEEN = { createTopic: true, onlyIfMissing: true };

test("a group's first put makes it with defaults, in every queue", async () => {
  const world = new World();
  const { topics, groups } = world.wake();
  await topics.put("t", { queues: 2 });
  world.clock.now += 7;
  const { route, created } = value(await groups.put("t", "g", { maxAttempts: 3 }, PUT));
  expect(created).toBe(true);
  expect(route).toMatchObject({ version: 2 });
  expect(route.groups).toEqual([
    {
      name: "g",
      number: 1,
      settings: { ...GROUP_DEFAULTS, maxAttempts: 3 },
      paused: false,
      createdAt: 1_000_007,
    },
  ]);
  expect([...world.queues.values()].map(({ route }) => route.groups.length)).toEqual([1, 1]);
});

test("a group of an unknown topic makes the topic only when asked, in one step", async () => {
  const world = new World();
  const { groups } = world.wake();
  expect(codeOf(await groups.put("t", "g", {}, PUT))).toBe("topic_not_found");
  const { route } = value(await groups.put("t", "g", {}, SEEN));
  expect(route.groups.map(({ name }) => name)).toEqual(["g"]);
  expect(world.calledQueues("configure")).toEqual(["t/0"]);
});

test("no change is no new version; a change is; startFrom and mode never", async () => {
  const world = new World();
  const { groups } = world.wake();
  await groups.put("t", "g", { startFrom: "latest" }, SEEN);
  const same = value(await groups.put("t", "g", { startFrom: "latest", mode: "shared" }, PUT));
  expect([same.created, same.route.version]).toEqual([false, 2]);
  const changed = value(await groups.put("t", "g", { invisibleMs: 5_000 }, PUT));
  expect([changed.created, changed.route.version]).toEqual([false, 3]);
  for (const [field, patch] of [
    ["startFrom", { startFrom: 5 }],
    ["mode", { mode: "broadcast" }],
  ] as const) {
    const refused = await groups.put("t", "g", { ...patch, invisibleMs: 1 }, PUT);
    expect(refused).toMatchObject({ code: "immutable_field", facts: { field } });
  }
  expect(value(await groups.put("t", "g", {}, PUT)).route.version).toBe(3);
});

test("a backoff's formula is patched by field, a list takes its place", async () => {
  const { groups } = new World().wake();
  const put = async (backoff: Partial<Backoff>) => {
    const outcome = await groups.put(
      "t",
      "g",
      { backoff: backoff as Backoff },
      { ...PUT, createTopic: true },
    );
    return value(outcome).route.groups[0]?.settings.backoff;
  };
  expect(await put({ factor: 3 })).toEqual({ ...GROUP_DEFAULTS.backoff, factor: 3 });
  expect(await put({ initialMs: 1 })).toEqual({
    ...GROUP_DEFAULTS.backoff,
    factor: 3,
    initialMs: 1,
  });
  expect(await put({ delaysMs: [1, 2] })).toEqual({ delaysMs: [1, 2] });
  expect(await put({ initialMs: 9 })).toEqual({ ...GROUP_DEFAULTS.backoff, initialMs: 9 });
});

test("a group that is seen again stays as it is", async () => {
  const world = new World();
  const { groups } = world.wake();
  await groups.put("t", "g", { maxAttempts: 3 }, SEEN);
  const calls = world.calls.length;
  const seen = value(await groups.put("t", "g", { startFrom: "latest", maxAttempts: 9 }, SEEN));
  expect(seen).toMatchObject({ created: false, route: { version: 2 } });
  expect(seen.route.groups[0]?.settings.maxAttempts).toBe(3);
  expect(world.calls).toHaveLength(calls);
});

test("a group's number is never given twice", async () => {
  const world = new World();
  const first = world.wake();
  await first.groups.put("t", "a", {}, SEEN);
  await first.groups.put("t", "b", {}, SEEN);
  await first.groups.delete("t", "b");
  const { groups } = world.wake();
  const { route } = value(await groups.put("t", "b", {}, SEEN));
  expect(route.groups.map(({ name, number }) => [name, number])).toEqual([
    ["a", 1],
    ["b", 3],
  ]);
});

test("pause and resume are versions; repeating them is none", async () => {
  const world = new World();
  const { groups } = world.wake();
  await groups.put("t", "g", {}, SEEN);
  const paused = value(await groups.pause("t", "g", true));
  expect([paused.version, paused.groups[0]?.paused]).toEqual([3, true]);
  expect(value(await groups.pause("t", "g", true)).version).toBe(3);
  expect(world.queues.get("t/0")?.route.groups[0]?.paused).toBe(true);
  expect(value(await groups.pause("t", "g", false)).groups[0]?.paused).toBe(false);
  expect(codeOf(await groups.pause("t", "h", true))).toBe("group_not_found");
  expect(codeOf(await groups.pause("u", "h", true))).toBe("topic_not_found");
});

test("a group exists in every queue before anyone reads it, whatever broke off", async () => {
  const world = new World();
  const { topics, groups } = world.wake();
  await topics.put("t", { queues: 2 });
  world.fault = ({ to }) => (to === "t/1" ? DOWN : undefined);
  expect(codeOf(await groups.put("t", "g", {}, PUT))).toBe("unavailable");
  expect(codeOf(await topics.topic("t", false))).toBe("unavailable");
  world.fault = () => undefined;
  const { created, route } = value(await groups.put("t", "g", {}, PUT));
  expect([created, route.version]).toEqual([true, 2]);
  expect(world.queues.get("t/1")?.route.groups.map(({ name }) => name)).toEqual(["g"]);
});

test("a deleted group is gone from every queue", async () => {
  const world = new World();
  const { groups } = world.wake();
  await groups.put("t", "g", {}, SEEN);
  expect(value(await groups.delete("t", "g")).groups).toEqual([]);
  expect(world.queues.get("t/0")?.route.groups).toEqual([]);
  expect(codeOf(await groups.delete("t", "g"))).toBe("group_not_found");
});

test("a topic has a thousand groups and not one more", async () => {
  const world = new World();
  const { topics, groups } = world.wake();
  await topics.put("t", {});
  for (let number = 1; number < LIMITS.groupsMax; number++) {
    world.sql.exec(
      "INSERT INTO topic_group (incarnation, number, name, since, settings, paused, created_at) VALUES (1, ?, ?, 1, ?, 0, 1)",
      number + 1_000,
      `g${number}`,
      JSON.stringify(GROUP_DEFAULTS),
    );
  }
  expect(codeOf(await groups.put("t", "last", {}, PUT))).toBe("ok");
  expect(await groups.put("t", "more", {}, PUT)).toMatchObject({
    code: "invalid_request",
    facts: { field: "group", limit: 1_000, actual: 1_001 },
  });
});

test("groups whose settings no queue could keep in one row are refused, and the topic lives on", async () => {
  const world = new World();
  const { groups, topics } = world.wake();
  await groups.put("t", "g", {}, SEEN);
  const large = { backoff: { delaysMs: Array.from({ length: 1_000 }, () => 31_622_400_000) } };
  const outcomes = [];
  for (let number = 0; number < 120; number++) {
    outcomes.push(await groups.put("t", `large-${number}`, large, PUT));
  }
  const refused = outcomes.filter((outcome) => !outcome.ok);
  expect(refused.length).toBeGreaterThan(0);
  const limit = LIMITS.groupSettingsBytesMax;
  expect(refused[0]).toMatchObject({ code: "invalid_request", facts: { field: "group", limit } });
  const { route } = value(await groups.put("t", "g", { maxAttempts: 3 }, PUT));
  expect(JSON.stringify(route).length).toBeLessThan(2_000_000);
  expect(codeOf(await groups.put("t", "g", large, PUT))).toBe("invalid_request");
  expect((await topics.topic("t", false)).ok).toBe(true);
});
