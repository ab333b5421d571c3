/** Prepares, ids, lists and cursors over queues; what the isolate remembers. */
import { expect, test } from "vitest";
import { createBroker } from "../../src/broker/durable-broker.ts";
import { RouteCache } from "../../src/broker/route-cache.ts";
import type { Content } from "../../src/core/record.ts";
import { queueOfWord } from "../../src/core/route.ts";
import { refuse, type Outcome } from "../../src/protocol/errors.ts";
import { World } from "./fakes.node.ts";

const at = { namespace: "default", topic: "t" };
const plain = (more: Partial<Content> = {}): Content => ({ body: { json: "1" }, ...more });

const permit = () => undefined;

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
  return outcome.value;
}

test("a transaction's home is the queue of the first message in the path's topic", async () => {
  const world = new World();
  world.topic("t", 16);
  world.topic("other", 4);
  const broker = createBroker(world.ground);
  const messages = [
    { topic: "other", content: plain({ messageGroup: "x" }) },
    { content: plain({ messageGroup: "y" }) },
    { topic: "new", content: plain() },
  ];
  valueOf(await broker.prepare(at, { producerGroup: "p", messages }));
  const home = queueOfWord("y", 16);
  const [call] = world.queue("t", home).prepares;
  expect(call?.targets).toEqual([
    { topic: "other", incarnation: 2, queue: queueOfWord("x", 4) },
    { topic: "t", incarnation: 1, queue: home },
    { topic: "new", incarnation: 3, queue: 0 },
  ]);
  expect(call?.check).toEqual({ timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 });
});

test("a keyed prepare keeps its home when the topic grows, its targets follow", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  const keyed = { key: new Uint8Array(16), body: new Uint8Array(8) };
  const messages = [{ content: plain({ messageGroup: "grown" }) }];
  const request = { producerGroup: "p", messages, keyed };
  valueOf(await broker.prepare(at, request));
  world.topic("t", 64);
  valueOf(await broker.prepare(at, request));
  const { prepares } = world.queue("t", queueOfWord("grown", 2));
  expect(prepares).toHaveLength(2);
  expect(prepares[1]?.targets[0]?.queue).toBe(queueOfWord("grown", 64));
});

test("a producer group is shown to the registry at first sight, not at every prepare", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  const request = { producerGroup: "p", messages: [{ content: plain() }] };
  for (let round = 0; round < 5; round++) valueOf(await broker.prepare(at, request));
  expect(world.count(/seeProducerGroup/)).toBe(1);
  expect(world.count(/prepare/)).toBe(5);
});

test("a prepare takes what is set of the check policy and refuses a producer", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  const content = plain();
  valueOf(
    await broker.prepare(at, {
      producerGroup: "p",
      messages: [{ content }],
      check: { maxChecks: 2 },
    }),
  );
  expect(world.queue("t", 0).prepares[0]?.check).toEqual({
    timeoutMs: 6_000,
    intervalMs: 30_000,
    maxChecks: 2,
  });
  const marked = plain({ producer: { id: "p", epoch: 1, sequence: 1 } });
  expect(
    await broker.prepare(at, { producerGroup: "p", messages: [{ content }, { content: marked }] }),
  ).toMatchObject({ code: "invalid_request", facts: { field: "messages[1].producer" } });
});

test("an id that leads nowhere is not found, and one that leads to a forbidden topic is refused", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  for (const id of ["", "nonsense", "tx_zz_0_0", "tx_1_2_0", "tx_1_0", "ml_1_0_0"]) {
    expect(await broker.transaction({ namespace: "default", id, permit }), id).toMatchObject({
      code: "transaction_not_found",
    });
  }
  for (const id of ["nonsense", "ml_zz_0_0", "ml_1_2_0", "tx_1_0_0"]) {
    expect(await broker.message({ namespace: "default", id, permit }), id).toMatchObject({
      code: "message_not_found",
    });
  }
  const forbidden = {
    namespace: "default",
    id: "tx_1_0_0",
    permit: () => refuse("forbidden", "no"),
  };
  expect(await broker.transaction(forbidden)).toMatchObject({ code: "forbidden" });
  expect(world.count(/queue/)).toBe(0);
});

test("a peek over queues goes by time, in pages that show nothing twice and miss nothing", async () => {
  const world = new World();
  world.topic("t", 5);
  const broker = createBroker(world.ground);
  for (let round = 0; round < 120; round++) world.queue("t", (round * 7) % 5).put(1);
  const seen: number[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? { limit: 9 } : { limit: 9, cursor };
    const page = valueOf(await broker.peek(at, query));
    seen.push(...page.items.map((message) => message.storedAt));
    // What comes meanwhile is at the end and disturbs no cursor.
    if (seen.length < 50) world.queue("t", seen.length % 5).put(1);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  expect(seen).toEqual(seen.toSorted((one, other) => one - other));
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.length).toBe(
    [...world.queues.values()].reduce((sum, each) => sum + each.log.length, 0),
  );
});

test("a peek answers at most 8 MiB and at least one message", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  const big = `"${"x".repeat(1024 * 1024 - 2)}"`;
  for (const queue of [0, 1]) world.queue("t", queue).put(6, big);
  const page = valueOf(await broker.peek(at, { limit: 100 }));
  const bytes = page.items.reduce((sum, { content }) => sum + JSON.stringify(content).length, 0);
  expect(bytes).toBeLessThanOrEqual(8 * 1024 * 1024 + 64 * 1024);
  expect(page.items.length).toBeGreaterThan(1);
  expect(page.nextCursor).toBeDefined();
});

test("a cursor of another topic, or a made-up one, is refused", async () => {
  const world = new World();
  world.topic("t", 2);
  world.topic("other", 2);
  const broker = createBroker(world.ground);
  world.queue("other", 0).put(3);
  const page = valueOf(await broker.peek({ namespace: "default", topic: "other" }, { limit: 1 }));
  for (const cursor of [page.nextCursor ?? "", "x", "bnVsbA", "e30", "%%%"]) {
    expect(await broker.peek(at, { limit: 1, cursor }), cursor).toMatchObject({
      code: "invalid_request",
      facts: { field: "cursor" },
    });
  }
});

test("a cursor of one queue is no cursor of another", async () => {
  const world = new World();
  world.topic("t", 2);
  world.queue("t", 0).put(3);
  const broker = createBroker(world.ground);
  const { nextCursor = "" } = valueOf(await broker.peek(at, { limit: 1, queue: 0 }));
  const query = { limit: 1, cursor: nextCursor };
  expect(valueOf(await broker.peek(at, { ...query, queue: 0 })).items[0]?.offset).toBe(1);
  expect(await broker.peek(at, { ...query, queue: 1 })).toMatchObject({
    code: "invalid_request",
    facts: { field: "cursor" },
  });
});

test("an offset without a queue is refused on a topic of several, and a queue too high", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  expect(await broker.peek(at, { limit: 1, offset: 0 })).toMatchObject({
    facts: { field: "queue" },
  });
  expect(await broker.peek(at, { limit: 1, queue: 2 })).toMatchObject({
    facts: { field: "queue", limit: 1, actual: 2 },
  });
});

test("the cache holds so many routes, forgets the one used longest ago, and keeps the newest", () => {
  const world = new World();
  const cache = new RouteCache(3);
  for (const name of ["a", "b", "c"]) cache.keep(world.topic(name, 1), 0);
  cache.get("default", "a");
  cache.keep(world.topic("d", 1), 0);
  expect(cache.get("default", "b")).toBeUndefined();
  expect(cache.get("default", "a")).toBeDefined();
  const old = world.routes.get("a");
  const fresh = world.topic("a", 2);
  cache.keep(fresh, 5);
  if (old !== undefined) cache.keep(old, 9);
  expect(cache.get("default", "a")).toEqual({ route: fresh, readAt: 5 });
  expect(cache.byIncarnation("default", fresh.incarnation)?.route).toBe(fresh);
});

test("what no queue checks is read again when it is older than a second", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  await broker.topic(at);
  await broker.topic(at);
  expect(world.count(/registry topic/)).toBe(1);
  world.nowMs += 1_000;
  await broker.topic(at);
  expect(world.count(/registry topic/)).toBe(2);
});

test("a tail goes on behind messages that nobody can have any more, and says how many they were", async () => {
  const world = new World();
  world.topic("t", 1);
  const queue = world.queue("t", 0);
  queue.put(5);
  queue.lostBelow = 3;
  const broker = createBroker(world.ground);
  const tail = valueOf(await broker.tail(at, "earliest"));
  const events = valueOf(await tail.next(0));
  const more = events.length > 0 ? events : valueOf(await tail.next(0));
  expect(more.map(({ message, missed }) => [message.offset, missed])).toEqual([
    [3, 3],
    [4, 0],
  ]);
});
