/** Consumers of a broadcast group: each has deliveries of its own, across wakes, seeks and silence. */
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../src/protocol/errors.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import type { Delivered, RingCall } from "../../src/protocol/rpc.ts";
import { Consumer } from "./consumer.node.ts";
import { Bench, group, route } from "./kit.node.ts";

const HOUR_MS = 3_600_000;
const BROADCAST = { mode: "broadcast" } as const;

describe.each([false, true])("a consumer of a broadcast group (woken: %s)", (wakes) => {
  const rest = (consumer: Consumer): void => {
    if (wakes) consumer.bench.wake();
  };

  it("gets every message, with leases, retries and dead letters of its own", async () => {
    const all = await Consumer.of({ ...BROADCAST, maxAttempts: 2 });
    await all.send({}, {}, {});
    const [one, other] = [await all.named("one"), await all.named("other")];
    expect(await one.drain()).toEqual([0, 1, 2]);
    rest(all);
    expect(await other.fail()).toBe(0);
    rest(all);
    const second = await other.take();
    expect([second.offsets, second.attempts]).toEqual([[0], [2]]);
    await other.tell("nack", second.receipts, { reason: "never" });
    rest(all);
    expect(await other.drain()).toEqual([1, 2]);
    expect(await one.offsets()).toEqual([]);
    expect((await one.deadLetters()).items).toEqual([]);
    expect((await all.deadLetters()).items).toMatchObject([
      { offset: 0, reason: "never", attempts: 2, consumerId: "other" },
    ]);
    await all.bench.run(all.verbs.redrive(all.stamp, "g"));
    rest(all);
    expect(await one.drain()).toEqual([]);
    expect(await other.drain()).toEqual([0]);
  });

  it("is told apart from the others by its receipts alone", async () => {
    const all = await Consumer.of(BROADCAST);
    await all.send({});
    const [one, other] = [await all.named("one"), await all.named("other")];
    const { receipts } = await one.take();
    rest(all);
    expect(await all.tell("ack", receipts)).toMatchObject([{ ok: true }]);
    expect(await other.offsets()).toEqual([0]);
    expect(await one.offsets()).toEqual([]);
  });

  it("shows its own figures beside the group's", async () => {
    const all = await Consumer.of(BROADCAST);
    const [one, other] = [await all.named("one"), await all.named("other")];
    await all.send({}, {}, {});
    await one.drain();
    await other.take();
    rest(all);
    const stats = await all.stats();
    expect(stats).toMatchObject({ lag: 3, inFlight: 1 });
    expect(stats.consumers).toMatchObject([
      { consumerId: "one", lag: 0, inFlight: 0 },
      { consumerId: "other", lag: 3, inFlight: 1 },
    ]);
  });

  it("gets the same batch for the same attempt id, which is its own", async () => {
    const all = await Consumer.of(BROADCAST);
    await all.send({}, {});
    const [one, other] = [await all.named("one"), await all.named("other")];
    const first = await one.take(1, { attempt: "a" });
    rest(all);
    expect((await one.take(1, { attempt: "a" })).receipts).toEqual(first.receipts);
    const others = await other.take(1, { attempt: "a" });
    expect(others.offsets).toEqual([0]);
    expect(others.receipts).not.toEqual(first.receipts);
  });

  it("moves with the group's seek, or alone", async () => {
    const all = await Consumer.of(BROADCAST);
    await all.send({}, {});
    const [one, other] = [await all.named("one"), await all.named("other")];
    await one.drain();
    await other.drain();
    await all.seek("earliest");
    rest(all);
    expect([await one.drain(), await other.drain()]).toEqual([
      [0, 1],
      [0, 1],
    ]);
    await one.seek({ offset: 1 });
    rest(all);
    expect([await one.drain(), await other.drain()]).toEqual([[1], []]);
  });

  it("keeps the order of message groups and the filter for itself", async () => {
    const all = await Consumer.of({ ...BROADCAST, ordered: true, filter: { tags: ["x"] } });
    const message = { messageGroup: "a", tag: "x" };
    await all.send(message, message, { messageGroup: "a", tag: "y" }, message);
    const [one, other] = [await all.named("one"), await all.named("other")];
    const first = await one.take();
    rest(all);
    expect([first.offsets, await one.offsets(1)]).toEqual([[0], []]);
    expect(await other.drain()).toEqual([0, 1, 3]);
    expect((await all.blocked()).items).toMatchObject([{ offset: 0, consumerId: "one" }]);
    await one.tell("ack", first.receipts);
    rest(all);
    expect(await one.drain()).toEqual([1, 3]);
  });

  it("is forgotten after a day of silence, with all it had, and never earlier", async () => {
    const all = await Consumer.of({ ...BROADCAST, maxAttempts: 1 });
    await all.send({});
    const [silent, alive] = [await all.named("silent"), await all.named("alive")];
    await silent.fail();
    const { receipts } = await alive.take(1, { invisibleMs: 12 * HOUR_MS });
    for (let hours = 0; hours < 24; hours++) {
      await all.bench.pass(HOUR_MS - 1);
      rest(all);
      await alive.tell("extend", receipts, { invisibleMs: 12 * HOUR_MS });
      expect((await all.stats()).consumers).toHaveLength(2);
    }
    await all.bench.pass(2 * HOUR_MS);
    rest(all);
    expect(await all.stats()).toMatchObject({
      deadLetters: 0,
      consumers: [{ consumerId: "alive" }],
    });
    const again = await all.named("silent");
    expect(await again.drain()).toEqual([0]);
    expect(await all.tell("ack", receipts)).toMatchObject([{ ok: true }]);
  });
});

it("a new consumer starts where the group's startFrom says, when it comes", async () => {
  for (const [startFrom, expected] of [
    ["earliest", [0, 1]],
    ["latest", [1]],
  ] as const) {
    const all = await Consumer.of({ ...BROADCAST, startFrom });
    await all.send({});
    const one = await all.named("one");
    await all.send({});
    expect(await one.drain()).toEqual(expected);
  }
});

it("a queue that came by growth is read from its beginning by whoever joined before", async () => {
  const bench = new Bench();
  const settings = { ...BROADCAST, startFrom: "latest" } as const;
  const growths = [{ from: 1, to: 2, at: 0 }];
  await bench.run(bench.queue.configure(route([group("g", settings)], {}, { growths }), 1));
  const all = await Consumer.of(settings, bench);
  await all.send({});
  const join = (consumerId: string, queues: number) =>
    bench.run(
      all.verbs.join({
        stamp: all.stamp,
        group: "g",
        consumerId,
        membership: { home: 5, queues },
      }),
    );
  await join("before", 1);
  await join("after", 2);
  const lags = (await all.stats()).consumers.map(({ consumerId, lag }) => [consumerId, lag]);
  expect(lags).toEqual([
    ["before", 1],
    ["after", 0],
  ]);
  // Forgotten at its home and back: what this queue knew of it counts no more.
  const again = { stamp: all.stamp, group: "g", consumerId: "before" };
  await bench.run(all.verbs.join({ ...again, membership: { home: 6, queues: 2 } }));
  expect((await all.stats()).lag).toBe(0);
});

it("a group has at most a thousand consumers, and one flush of all of them writes one row", async () => {
  const all = await Consumer.of(BROADCAST);
  const consumers: Consumer[] = [];
  for (let index = 0; index < LIMITS.consumersMax; index++)
    consumers.push(await all.named(`consumer-${index}`));
  await expect(all.named("one too many")).rejects.toMatchObject({ code: "invalid_request" });
  await expect(consumers[0]?.join()).resolves.toBeDefined();
  await all.send({});
  const { sql, clock } = all.bench;
  sql.rowsWritten = 0;
  const taken: Delivered[] = [];
  for (const consumer of consumers)
    void consumer.verbs.receive(consumer.call()).then((outcome: Outcome<Delivered>) => {
      if (outcome.ok) taken.push(outcome.value);
    });
  await clock.advance(0);
  expect(taken.map(({ offsets }) => offsets)).toEqual(consumers.map(() => [0]));
  expect(sql.rowsWritten).toBe(1);
  void all.verbs.settle({
    stamp: all.stamp,
    group: "g",
    verb: "ack",
    receipts: taken.flatMap(({ receipts }) => receipts),
  });
  await clock.advance(0);
  expect(sql.rowsWritten).toBe(2);
  expect((await all.stats()).lag).toBe(0);
  // Retention writes nothing for who is done with what goes.
  await all.send({});
  await all.bench.pass(1);
  for (const consumer of consumers) await consumer.drain();
  const before = sql.rowsWritten;
  await all.bench.pass(3 * 24 * HOUR_MS - 60_000);
  for (const consumer of consumers) await consumer.join();
  const kept = sql.rowsWritten;
  await all.bench.pass(2 * 60_000);
  expect(all.bench.queue.store.messages.first).toBe(2);
  expect(kept - before).toBeLessThan(LIMITS.consumersMax * 60);
  expect(sql.rowsWritten - kept).toBeLessThan(10);
});

it("the bell is rung once for all consumers that have something, and for nobody else", async () => {
  const bench = new Bench();
  const rung: Omit<RingCall, "incarnation">[] = [];
  bench.ring = (ring) => void rung.push(ring);
  const growths = [{ from: 1, to: 2, at: 0 }];
  const settings = { queues: 2 };
  await bench.run(bench.queue.configure(route([group("g", BROADCAST)], settings, { growths }), 1));
  const all = await Consumer.of(BROADCAST, bench);
  const join = async (name: string): Promise<Consumer> => {
    const membership = { home: 1, queues: 2 };
    const call = { stamp: all.stamp, group: "g", consumerId: name, membership };
    await bench.run(all.verbs.join(call));
    return all.named(name);
  };
  const [one, other] = [await join("one"), await join("other")];
  await all.send({});
  expect(rung).toMatchObject([{ group: 1, queue: 1, consumerIds: ["one", "other"] }]);
  const { receipts } = await one.take();
  await other.drain();
  await one.tell("nack", receipts, { delayMs: 1_000 });
  await bench.pass(1_000);
  expect(rung.slice(1)).toMatchObject([{ consumerIds: ["one"] }]);
});

it("long polls of one consumer are not answered with what another has", async () => {
  const all = await Consumer.of(BROADCAST);
  const [one, other] = [await all.named("one"), await all.named("other")];
  await all.send({});
  await other.drain();
  const { receipts } = await one.take();
  const ended: string[] = [];
  for (const consumer of [one, other])
    void consumer.verbs
      .receive(consumer.call({ waitMs: 20_000 }))
      .then((outcome) =>
        ended.push(`${consumer.consumerId} ${outcome.ok ? outcome.value.offsets.join() : ""}`),
      );
  await all.bench.clock.advance(10);
  await one.tell("nack", receipts, { delayMs: 0 });
  await all.bench.pass(1);
  expect(ended).toEqual(["one 0"]);
  await all.bench.clock.advance(20_000);
  expect(ended).toEqual(["one 0", "other "]);
});

it("a receive of a consumer that is not known here asks for it to join", async () => {
  const all = await Consumer.of(BROADCAST);
  await expect(all.take(1, { consumerId: "nobody" })).rejects.toMatchObject({
    code: "stale_route",
  });
});

it("a deleted group leaves no row behind, whenever the queue wakes", async () => {
  for (const mode of ["shared", "broadcast"] as const) {
    const all = await Consumer.of({ mode });
    const one = mode === "broadcast" ? await all.named("one") : all;
    await all.send({}, {});
    await one.fail();
    await all.bench.run(all.bench.queue.configure(route([], {}, { version: 2 }), 0));
    all.bench.wake();
    all.stamp = { ...all.stamp, version: 2 };
    for (let flush = 0; flush < 1_100; flush++) await all.send({});
    const names = all.bench.sql.exec("SELECT name FROM page").map(({ name }) => name);
    expect(names).toEqual([]);
  }
});
