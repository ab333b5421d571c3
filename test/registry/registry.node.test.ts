/** The registry's rules over node:sqlite, against queues and coordinators made of memory. */
import { expect, it } from "vitest";
import { sha256 } from "../../src/platform/constant-time.ts";
import { parseKeyText } from "../../src/platform/key-text.ts";
import { randomBytes } from "../../src/platform/random.ts";
import { accept, refuse, type Outcome } from "../../src/protocol/errors.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { ProducerGroupRecord, TopicRoute } from "../../src/protocol/rpc.ts";
import type { Ports, Storage } from "../../src/registry/ground.ts";
import { Registry } from "../../src/registry/registry.ts";
import { TestSql } from "../kit/sqlite.node.ts";

class World {
  nowMs = 1_000_000;
  /** Queues that cannot be reached. */
  readonly down = new Set<number>();
  readonly configured: { queue: number; route: TopicRoute }[] = [];
  readonly dropped: number[] = [];
  readonly told: (ProducerGroupRecord | undefined)[] = [];
  prepared = 0;
  readonly holds: boolean[] = [];
  readonly registry: Registry;

  constructor() {
    const sql = new TestSql();
    const storage: Storage = { sql, transactionSync: (body) => sql.transactionSync(body) };
    this.registry = new Registry(storage, this.#ports());
  }

  #ports(): Ports {
    const on = async <T>(queue: number, value: T, run: () => void): Promise<Outcome<T>> => {
      if (this.down.has(queue)) return refuse("unavailable", "down");
      run();
      return accept(value);
    };
    return {
      namespace: "shop",
      configureQueue: (route, queue) => on(queue, 0, () => this.configured.push({ queue, route })),
      queueInUse: ({ queue }, _incarnation, hold) =>
        on(queue, { prepared: this.prepared, delayed: 0, forwarding: 0 }, () =>
          this.holds.push(hold),
        ),
      dropQueue: ({ queue }) => on(queue, true, () => this.dropped.push(queue)),
      pokeQueue: ({ queue }) => on(queue, true, () => undefined),
      configurePusher: () => on(-1, true, () => undefined),
      configureCoordinator: (_, record) => on(-1, true, () => this.told.push(record)),
      enterNamespace: () => on(-1, true, () => undefined),
      armAlarm: () => undefined,
      randomBytes,
      clock: { nowMs: () => this.nowMs, after: () => () => undefined },
      log: { info: () => undefined, error: () => undefined },
    };
  }

  queues(): number[] {
    return this.configured.splice(0).map(({ queue }) => queue);
  }
}

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
  return outcome.value;
}

it("makes a topic once, and an equal PUT changes nothing", async () => {
  const {
    registry: { topics },
  } = new World();
  expect(await topics.topic("a", false)).toMatchObject({ code: "topic_not_found" });
  const made = valueOf(await topics.topic("a", true));
  const again = valueOf(await topics.put("a", { queues: 1 }));
  expect(again).toEqual({ route: made, created: false });
});

it("tells new queues of a growth before the old ones, and never shrinks", async () => {
  const world = new World();
  const { topics } = world.registry;
  const { version } = valueOf(await topics.put("a", { queues: 2 })).route;
  world.queues();
  const { route } = valueOf(await topics.put("a", { queues: 4 }));
  expect(world.queues()).toEqual([2, 3, 0, 1]);
  expect(route.version).toBeGreaterThan(version);
  expect(route.growths).toEqual([{ from: 2, to: 4, at: world.nowMs }]);
  const fewer = await topics.put("a", { queues: 1 });
  expect(fewer).toMatchObject({ code: "immutable_field", facts: { field: "queues" } });
});

it("refuses a change that did not reach every queue, and completes it on the next touch", async () => {
  const world = new World();
  const { topics } = world.registry;
  world.down.add(1);
  expect(await topics.put("a", { queues: 2 })).toMatchObject({ code: "unavailable" });
  expect(await topics.topic("a", false)).toMatchObject({ code: "unavailable" });
  world.down.clear();
  world.queues();
  expect(valueOf(await topics.put("a", { queues: 2 })).created).toBe(true);
  expect(world.queues()).toEqual([0, 1]);
});

it("deletes what is not in use, holds the name for a minute, and never repeats an incarnation", async () => {
  const world = new World();
  const { topics } = world.registry;
  const first = valueOf(await topics.put("a", { queues: 2 })).route;
  world.prepared = 1;
  const inUse = { code: "topic_in_use", facts: { prepared: 2, delayed: 0, forwarding: 0 } };
  expect(await topics.delete("a", false)).toMatchObject(inUse);
  expect(world.holds).toEqual([true, true, false, false]);
  world.down.add(1);
  expect(await topics.delete("a", true)).toMatchObject({ code: "unavailable" });
  expect(await topics.topic("a", true)).toMatchObject({ code: "topic_not_found" });
  world.down.clear();
  expect(await topics.delete("a", true)).toMatchObject({ ok: true });
  expect(world.dropped).toContain(1);
  expect(await topics.topic("a", true)).toMatchObject({ code: "topic_not_found" });
  world.nowMs += LIMITS.deletedNameMs;
  const second = valueOf(await topics.topic("a", true));
  expect(second.incarnation).toBeGreaterThan(first.incarnation);
});

it("merges groups, keeps what cannot change, and never gives a number twice", async () => {
  const {
    registry: { groups },
  } = new World();
  const make = { createTopic: true, onlyIfMissing: false };
  const none = { createTopic: false, onlyIfMissing: false };
  expect(await groups.put("a", "g", {}, none)).toMatchObject({ code: "topic_not_found" });
  const made = valueOf(await groups.put("a", "g", { maxAttempts: 3 }, make));
  expect(made.created).toBe(true);
  const merged = valueOf(
    await groups.put("a", "g", { startFrom: "earliest", ordered: true }, make),
  );
  expect(merged.route.groups[0]?.settings).toMatchObject({ maxAttempts: 3, ordered: true });
  const kept = await groups.put("a", "g", { maxAttempts: 9 }, { ...make, onlyIfMissing: true });
  expect(valueOf(kept).route).toEqual(merged.route);
  for (const patch of [{ startFrom: "latest" }, { mode: "broadcast" }] as const) {
    const field = Object.keys(patch)[0];
    const refused = await groups.put("a", "g", patch, make);
    expect(refused).toMatchObject({ code: "immutable_field", facts: { field } });
  }
  expect(valueOf(await groups.pause("a", "g", true)).groups[0]?.paused).toBe(true);
  expect(await groups.pause("a", "h", true)).toMatchObject({ code: "group_not_found" });
  expect(valueOf(await groups.delete("a", "g")).groups).toEqual([]);
  const number = made.route.groups[0]?.number ?? Number.NaN;
  const again = valueOf(await groups.put("a", "g", {}, make)).route.groups[0]?.number;
  expect(again).toBeGreaterThan(number);
});

it("keeps only the hash of a key's secret, and a PUT makes the old text worthless", async () => {
  const {
    registry: { keys },
  } = new World();
  const first = valueOf(await keys.put("k.1", { scopes: ["send"] })).key;
  const second = valueOf(await keys.put("k.1", { scopes: ["send"] })).key;
  expect(parseKeyText(first)).toMatchObject({ namespace: "shop", name: "k.1" });
  const { hash } = valueOf(keys.hash("k.1"));
  expect(hash).toEqual(sha256(parseKeyText(second)?.secret ?? ""));
  expect(second).not.toBe(first);
  expect(keys.list({ limit: 10, cursor: "no!" })).toMatchObject({ facts: { field: "cursor" } });
  expect(keys.delete("k.1")).toMatchObject({ ok: true });
  expect(keys.hash("k.1")).toMatchObject({ code: "key_not_found" });
});

it("lets a producer group's old secret sign for a day beside the new one", async () => {
  const world = new World();
  const { producerGroups } = world.registry;
  const check = { url: "https://example.com/", timeoutMs: 1_000 };
  const { record, created } = valueOf(await producerGroups.put("p", { check }));
  expect(created).toBe(true);
  const [old] = record.secrets;
  expect(old?.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const { secrets } = valueOf(await producerGroups.rotate("p"));
  expect(secrets[1]).toEqual({ secret: old?.secret, untilAt: world.nowMs + 86_400_000 });
  expect(world.told.at(-1)?.secrets).toEqual(secrets);
  world.nowMs += 86_400_000;
  expect(valueOf(producerGroups.get("p")).secrets).toEqual(secrets.slice(0, 1));
  expect(await producerGroups.delete("p")).toMatchObject({ ok: true });
  expect(world.told.at(-1)).toBeUndefined();
});
