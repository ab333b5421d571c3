/** The object itself inside workerd: real SQLite, structured clones, the alarm, and what is left after an eviction. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { accept, type Outcome } from "../../src/protocol/errors.ts";
import type { TopicRoute } from "../../src/protocol/rpc.ts";
import { RegistryObject } from "../../src/registry/object.ts";

/** Queue objects and coordinators of the test's own, by name. */
function makeFleet() {
  const fleet = { isDown: false, configured: [] as string[], told: [] as string[] };
  const answer = (): Promise<Outcome<object>> =>
    fleet.isDown ? Promise.reject(new Error("gone")) : Promise.resolve(accept({}));
  const QUEUE = {
    getByName: (name: string) => ({
      configure: (route: TopicRoute) => {
        fleet.configured.push(`${name}@${route.incarnation}.${route.version}`);
        return answer();
      },
      inUse: () => Promise.resolve(accept({ prepared: 0, delayed: 0, forwarding: 0 })),
      drop: answer,
      poke: answer,
    }),
  };
  const COORDINATOR = {
    getByName: (name: string) => ({
      configure: () => {
        fleet.told.push(name);
        return answer();
      },
    }),
  };
  return { fleet, bindings: { QUEUE, COORDINATOR } };
}

/** A registry object that just woke up over the storage of a fresh or an earlier name. */
function inObject<T>(
  name: string,
  bindings: object,
  run: (object: RegistryObject, ctx: DurableObjectState) => Promise<T>,
): Promise<T> {
  return runInDurableObject(env.REGISTRY.getByName(name), (_, ctx) =>
    run(new RegistryObject(ctx, { ...env, ...bindings }), ctx),
  );
}

const rowsOf = (ctx: DurableObjectState): number =>
  [
    ...ctx.storage.sql.exec(
      "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'",
    ),
  ].length;

test("topics, groups, producer groups and keys survive an eviction", async () => {
  const { bindings, fleet } = makeFleet();
  const keyed = await inObject("ns-survive", bindings, async (object) => {
    await object.putTopic("t", { queues: 2 });
    await object.putGroup("t", "g", {}, { createTopic: false, onlyIfMissing: false });
    await object.putProducerGroup("p", { check: { url: "https://a.example", timeoutMs: 1 } });
    return object.putKey("k", { scopes: ["send"] });
  });
  expect(keyed).toMatchObject({
    ok: true,
    value: { key: expect.stringMatching(/^hmq_ns-survive\.k\./) },
  });
  // By chance.
  const incarnation = Number(/@(\d+)/u.exec(fleet.configured[0] ?? "")?.[1]);
  expect(fleet.configured).toEqual([
    `ns-survive/t/0@${incarnation}.1`,
    `ns-survive/t/1@${incarnation}.1`,
    `ns-survive/t/0@${incarnation}.2`,
    `ns-survive/t/1@${incarnation}.2`,
  ]);
  expect(fleet.told).toEqual(["ns-survive/p"]);
  await inObject("ns-survive", bindings, async (object) => {
    expect(await object.topic("t", false)).toMatchObject({
      value: { namespace: "ns-survive", version: 2, groups: [{ name: "g", number: 1 }] },
    });
    expect(await object.topicByIncarnation(incarnation)).toMatchObject({ value: { topic: "t" } });
    expect(await object.producerGroup("p")).toMatchObject({ value: { group: "p" } });
    const hash = await object.keyHash("k");
    expect(hash.ok && hash.value.hash.length).toBe(32);
    expect(await object.changes(0, 0)).toMatchObject({ value: { last: 4, gap: false } });
    expect(await object.listTopics({ limit: 10 })).toMatchObject({
      value: { items: [{ topic: "t" }] },
    });
    expect(await object.watchdog()).toBe(2);
  });
  expect(fleet.configured).toHaveLength(4);
});

test("asking for the key of a made-up namespace writes nothing", async () => {
  const { bindings } = makeFleet();
  await inObject("ns-made-up", bindings, async (object, ctx) => {
    expect(await object.keyHash("k")).toMatchObject({ ok: false, code: "key_not_found" });
    expect(rowsOf(ctx)).toBe(0);
  });
});

test("a change that no queue took is armed for, survives, and the alarm completes it", async () => {
  const { bindings, fleet } = makeFleet();
  fleet.isDown = true;
  await inObject("ns-alarm", bindings, async (object, ctx) => {
    expect(await object.putTopic("t", {})).toMatchObject({ ok: false, code: "unavailable" });
    expect(await ctx.storage.getAlarm()).not.toBeNull();
    await object.alarm();
    expect(await ctx.storage.getAlarm()).not.toBeNull();
  });
  fleet.isDown = false;
  await inObject("ns-alarm", bindings, async (object) => {
    await object.alarm();
    fleet.configured.length = 0;
    expect(await object.topic("t", false)).toMatchObject({ ok: true, value: { version: 1 } });
  });
  expect(fleet.configured).toEqual([]);
});
