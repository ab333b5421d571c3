/** Producer groups, keys and the list of changes. */
import { expect, test } from "vitest";
import { parseKeyText } from "../../src/platform/key-text.ts";
import { sha256 } from "../../src/platform/constant-time.ts";
import { Changes } from "../../src/registry/changes.ts";
import { codeOf, DOWN, settle, value, World } from "./kit.node.ts";

const DAY_MS = 86_400_000;
const check = { url: "https://orders.example/check", timeoutMs: 10_000 };

test("a target brings the first secret, shown to the call that was answered first", async () => {
  const world = new World();
  const { producerGroups } = world.wake();
  world.fault = () => DOWN;
  expect(codeOf(await producerGroups.put("p", { check }))).toBe("unavailable");
  world.fault = () => undefined;
  const { record, created } = value(await producerGroups.put("p", { check }));
  expect(created).toBe(true);
  expect(record.secrets).toHaveLength(1);
  expect(record.secrets[0]?.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(world.coordinators.get("p")).toEqual(record);
  const calls = world.calls.length;
  const again = value(
    await producerGroups.put("p", { check: { timeoutMs: 10_000, url: check.url } }),
  );
  expect([again.created, again.record.version]).toEqual([false, record.version]);
  expect(world.calls).toHaveLength(calls);
  const moved = value(
    await producerGroups.put("p", { check: { ...check, url: "https://b.example" } }),
  );
  expect(moved).toMatchObject({ created: false, record: { secrets: record.secrets } });
  expect(world.coordinators.get("p")?.check).toMatchObject({ url: "https://b.example" });
});

test("a group that was only seen costs no second write, and gets its secret with its target", async () => {
  const world = new World();
  const { producerGroups } = world.wake();
  const seen = await Promise.all([producerGroups.see("p"), producerGroups.see("p")]);
  expect(seen.map((each) => value(each))).toEqual([
    expect.objectContaining({ group: "p", secrets: [] }),
    expect.objectContaining({ group: "p", secrets: [] }),
  ]);
  const written = world.sql.rowsWritten;
  await producerGroups.see("p");
  expect([world.sql.rowsWritten, world.calls.length]).toEqual([written, 0]);
  const put = value(await producerGroups.put("p", { check }));
  expect([put.created, put.record.secrets.length]).toEqual([true, 1]);
});

test("a rotated secret signs beside the new one for a day", async () => {
  const world = new World();
  const { producerGroups } = world.wake();
  const old = value(await producerGroups.put("p", { check })).record.secrets[0]?.secret;
  const { secrets } = value(await producerGroups.rotate("p"));
  expect(secrets).toEqual([
    { secret: expect.stringMatching(/^whsec_/) },
    { secret: old, untilAt: world.clock.now + DAY_MS },
  ]);
  expect(secrets[0]?.secret).not.toBe(old);
  expect(world.coordinators.get("p")?.secrets).toEqual(secrets);
  await world.clock.advance(DAY_MS - 1);
  expect(value(producerGroups.get("p")).secrets).toHaveLength(2);
  await world.clock.advance(1);
  expect(value(producerGroups.get("p")).secrets).toHaveLength(1);
  for (let count = 0; count < 20; count++) await producerGroups.rotate("p");
  expect(value(producerGroups.get("p")).secrets).toHaveLength(8);
  expect(codeOf(await producerGroups.rotate("q"))).toBe("producer_group_not_found");
});

test("a deleted group is told to its coordinator, after a crash by the alarm", async () => {
  const world = new World();
  const first = world.wake();
  const old = value(await first.producerGroups.put("p", { check })).record;
  world.fault = () => "hang";
  void first.producerGroups.delete("p");
  await settle();
  world.fault = () => undefined;
  const registry = world.wake();
  expect(codeOf(registry.producerGroups.get("p"))).toBe("producer_group_not_found");
  expect(value(registry.producerGroups.list({ limit: 1 })).items).toEqual([]);
  await world.alarm(registry);
  expect(world.coordinators.size).toBe(0);
  expect(world.rows("producer_group")).toBe(0);
  expect(codeOf(await registry.producerGroups.delete("p"))).toBe("producer_group_not_found");
  const fresh = value(await registry.producerGroups.put("p", { check })).record;
  expect(fresh.version, "newer than what the coordinator ever heard").toBeGreaterThan(old.version);
});

test("a key's text is told once; only the hash of its secret is kept", async () => {
  const world = new World();
  const { keys } = world.wake();
  const rights = { scopes: ["send"], topics: ["a*"], expiresAt: 5 } as const;
  const { record, key } = value(await keys.put("my.key", rights));
  expect(record).toEqual({ name: "my.key", namespace: "default", createdAt: 1_000_000, ...rights });
  const parsed = parseKeyText(key);
  expect(parsed).toMatchObject({ namespace: "default", name: "my.key" });
  const { hash } = value(keys.hash("my.key"));
  expect([...hash]).toEqual([...sha256(parsed?.secret ?? "")]);
  const rows = JSON.stringify(world.sql.exec("SELECT * FROM access_key"));
  expect(rows).not.toContain(parsed?.secret);
  const events = JSON.stringify(world.sql.exec("SELECT * FROM change"));
  expect(events).not.toContain(parsed?.secret);
});

test("putting a key again gives it a new text and new rights", async () => {
  const { keys } = new World().wake();
  const old = value(await keys.put("k", { scopes: ["send"] }));
  const fresh = value(await keys.put("k", { scopes: ["manage"] }));
  expect(fresh.key).not.toBe(old.key);
  expect(value(keys.get("k")).scopes).toEqual(["manage"]);
  expect(value(keys.list({ limit: 10 })).items).toHaveLength(1);
  expect(codeOf(keys.delete("k"))).toBe("ok");
  for (const gone of [keys.get("k"), keys.hash("k"), keys.delete("k")]) {
    expect(codeOf(gone)).toBe("key_not_found");
  }
});

test("every change is told in order, to those who wait too", async () => {
  const world = new World();
  const { changes, topics, groups } = world.wake();
  const waiting = changes.read(-1, 20_000);
  await settle();
  await topics.put("t", {});
  const { events, last, gap } = value(await waiting);
  expect([events.map(({ type }) => type), last, gap]).toEqual([["topic.created"], 1, false]);
  await topics.put("t", { queues: 2 });
  await groups.put("t", "g", {}, { createTopic: false, onlyIfMissing: false });
  await topics.delete("t", true);
  const more = value(await changes.read(last, 0));
  expect(more.events.map(({ sequence, type }) => [sequence, type])).toEqual([
    [2, "topic.updated"],
    [3, "route.changed"],
    [4, "group.created"],
    [5, "topic.deleted"],
  ]);
});

test("who waits for changes in vain is answered at the end, and leaves nothing behind", async () => {
  const world = new World();
  const { changes } = world.wake();
  const waiting = changes.read(-1, 5_000);
  await world.clock.advance(4_999);
  expect(world.clock.timers.size).toBe(1);
  await world.clock.advance(1);
  expect(value(await waiting)).toEqual({ events: [], last: 0, gap: false });
  expect(world.clock.timers.size).toBe(0);
});

test("waiters are bounded", async () => {
  const world = new World();
  world.wake();
  const changes = new Changes(world.storage, world.clock, 2);
  const waiting = [changes.read(0, 10), changes.read(0, 10)];
  expect(await changes.read(0, 10)).toMatchObject({
    code: "too_many_waiters",
    facts: { limit: 2, actual: 3 },
  });
  await world.clock.advance(10);
  expect((await Promise.all(waiting)).map(codeOf)).toEqual(["ok", "ok"]);
});

test("a reader that fell behind the last thousand changes is told of the gap", async () => {
  const world = new World();
  const { changes } = world.wake();
  for (let count = 0; count < 1_005; count++) changes.add("key.updated", { key: `${count}` });
  expect(world.rows("change")).toBe(1_000);
  expect(value(await changes.read(5, 0))).toMatchObject({ gap: false, last: 1_005 });
  const behind = value(await changes.read(4, 0));
  expect([behind.gap, behind.events[0]?.sequence]).toEqual([true, 6]);
  const future = value(await changes.read(9_999, 1_000));
  expect([future.gap, future.last]).toEqual([true, 1_005]);
});
