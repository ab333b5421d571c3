/** Receiving and settling over queues: how many calls, never more than asked for, and what comes again. */
import { expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { Bell } from "../../src/queue/waiting/bell.ts";
import { createBroker } from "../../src/broker/durable-broker.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { World } from "./fakes.node.ts";
import { at, valueOf, world64 } from "./receiving.node.ts";

test("a topic of one queue costs one call, which the queue holds for the whole wait", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  await broker.receive(at, { maxMessages: 1, waitMs: 20_000 });
  expect(world.calls).toEqual(["registry topic", "queue t/0 receive"]);
});

test("a full batch from 64 queues that all hold something takes at most 3 calls", async () => {
  const { world, receive } = world64();
  for (let queue = 0; queue < 64; queue++) world.queue("t", queue).put(100);
  await receive();
  for (let round = 0; round < 50; round++) {
    world.calls.length = 0;
    expect((await receive()).messages).toHaveLength(16);
    expect(world.calls.length).toBeLessThanOrEqual(3);
  }
});

test("a full batch takes at most 3 calls when few of 64 queues hold something", async () => {
  const { world, receive } = world64();
  for (const queue of [5, 17]) world.queue("t", queue).put(4_000);
  while (!(await receive()).messages.length);
  for (let round = 0; round < 30; round++) {
    world.calls.length = 0;
    expect((await receive()).messages.length).toBeGreaterThan(0);
    expect(world.calls.length).toBeLessThanOrEqual(3);
  }
});

test("no queue starves behind one with an endless backlog", async () => {
  const { world, receive } = world64();
  world.queue("t", 3).put(100_000);
  await receive();
  world.queue("t", 40).put(1);
  const seen = new Set<number>();
  for (let round = 0; round < 129; round++) {
    for (const message of (await receive()).messages) seen.add(message.queue);
  }
  expect([...seen].toSorted((one, other) => one - other)).toEqual([3, 40]);
});

test("an empty 20 s poll over 64 queues takes at most 66 calls", async () => {
  const { world, receive } = world64();
  await receive();
  world.calls.length = 0;
  expect((await receive({ waitMs: 20_000 })).messages).toEqual([]);
  expect(world.calls.length).toBeLessThanOrEqual(66);
  expect(world.count(/waitAtBell/)).toBe(1);
});

test("an empty receive without a wait asks each queue once", async () => {
  const { world, receive } = world64();
  expect((await receive()).messages).toEqual([]);
  expect(world.count(/receive/)).toBe(64);
});

test("never more is leased than was asked for", async () => {
  for (const maxMessages of [1, 2, 5, 16, 100]) {
    const { world, receive } = world64();
    for (let queue = 0; queue < 64; queue++) if (queue % 5 === 3) world.queue("t", queue).put(2);
    const { messages } = await receive({ maxMessages });
    const leased = [...world.queues.values()].flatMap((queue) =>
      queue.log.filter((row) => row.leasedBy !== undefined),
    );
    expect(messages.length).toBeGreaterThan(0);
    expect(leased).toHaveLength(messages.length);
    expect(messages.length).toBeLessThanOrEqual(maxMessages);
  }
});

test("a ring ends the wait with what the rung queue holds", async () => {
  const { world, receive } = world64();
  world.onBell = (ring) => {
    setImmediate(() => {
      world.queue("t", 9).put(3);
      ring([9]);
    });
  };
  const { messages } = await receive({ waitMs: 20_000 });
  expect(messages.map((message) => message.queue)).toEqual([9, 9, 9]);
});

test("a ring for what others have taken is waited after again, not for ever", async () => {
  const { world, receive } = world64();
  world.onBell = (ring) => ring([9]);
  expect((await receive({ waitMs: 20_000 })).messages).toEqual([]);
  expect(world.calls.length).toBeLessThan(600);
});

test("what comes between the questions and the wait is not missed: the bell is first", async () => {
  const { world, receive } = world64();
  await receive({ waitMs: 20_000 });
  const bell = world.calls.findIndex((call) => call.endsWith("waitAtBell"));
  const asked = new Set(world.calls.slice(bell + 1).map((call) => call.split(" ")[1]));
  expect(asked.size).toBe(64);
});

test("who found something while it began to wait waits no longer, and passes on what rang meanwhile", async () => {
  const { world, receive } = world64();
  world.onBell = (ring) => {
    world.queue("t", 9).put(1);
    ring([5]);
  };
  await receive({ waitMs: 20_000, maxMessages: 1 });
  expect(world.queue("t", 0).cancelled).toHaveLength(1);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(world.queue("t", 0).rung.map(({ queue }) => queue)).toEqual([5]);
});

test("a poll that cannot ask a queue which rang leaves it in peace for a while, though it hears its own ring", async () => {
  const { world, receive } = world64();
  const bell = new Bell({ ...systemClock, nowMs: () => world.nowMs }, 1);
  const home = world.queue("t", 0);
  home.waitAtBell = (call) => bell.wait(1, 500, call) ?? Promise.reject(new Error("full"));
  home.ring = (call) => Promise.resolve(bell.ring(call));
  // As far as any poll: the bell is heard, and nothing is there.
  await receive({ waitMs: 500 });
  world.calls.length = 0;
  const busy = world.queue("t", 5);
  busy.refusals.push(...Array.from({ length: 5 }, () => refuse("overloaded", "x")));
  busy.put(1);
  bell.ring({ group: 1, queue: 5, count: 1 });
  expect((await receive({ waitMs: 5_000 })).messages).toHaveLength(1);
  expect(world.count(/t\/5 receive/)).toBe(6);
  expect(world.pauses.length).toBeGreaterThanOrEqual(4);
  for (const delayMs of world.pauses) expect(delayMs).toBeGreaterThanOrEqual(100);
});

test("what one poll has heard, the next one asks nobody for again", async () => {
  const { world, receive } = world64();
  await receive({ waitMs: 20_000 });
  const { heard } = world.queue("t", 0);
  expect(heard.splice(0)).toEqual([undefined]);
  world.onBell = (ring) => {
    world.queue("t", 9).put(1);
    ring([9]);
  };
  world.calls.length = 0;
  expect((await receive({ waitMs: 20_000 })).messages).toHaveLength(1);
  // The queue in turn, the bell, the one that rang.
  expect(world.calls).toHaveLength(3);
  expect(heard).toEqual([{ life: 1, number: 0 }]);
});

test("what a queue has left is asked for before the next wait", async () => {
  const { world, receive } = world64();
  await receive({ waitMs: 20_000 });
  world.onBell = (ring) => {
    world.queue("t", 9).put(2);
    ring([9]);
  };
  await receive({ waitMs: 20_000, maxMessages: 1 });
  world.onBell = (ring) => ring([]);
  const { messages } = await receive({ waitMs: 20_000, maxMessages: 1 });
  expect(messages.map(({ queue, offset }) => [queue, offset])).toEqual([[9, 1]]);
});

test("a bell that has lost its memory has all queues asked again", async () => {
  const { world, receive } = world64();
  await receive({ waitMs: 20_000 });
  world.queue("t", 40).put(1);
  world.bell.life++;
  expect((await receive({ waitMs: 20_000 })).messages).toHaveLength(1);
});

test("a queue that could not be asked is asked again by the next poll", async () => {
  const { world, receive } = world64();
  world.queue("t", 40).put(1);
  world.queue("t", 40).refusals.push(refuse("unavailable", "away"));
  await expect(receive({ waitMs: 20_000 })).rejects.toThrow("unavailable");
  expect((await receive({ waitMs: 20_000 })).messages).toHaveLength(1);
});

test("what rings for a poll that looks no more is passed on behind its answer", async () => {
  const { world, receive } = world64();
  world.onBell = (ring) => {
    world.queue("t", 9).put(1);
    ring([5]);
  };
  const work: Promise<unknown>[] = [];
  await receive({ waitMs: 20_000, maxMessages: 1, outlive: (one) => work.push(one) });
  expect(work).toHaveLength(1);
  await Promise.all(work);
  expect(world.queue("t", 0).rung.map(({ queue }) => queue)).toEqual([5]);
});

test("a client that goes away ends the wait where it is held", async () => {
  const { world, receive } = world64();
  const abort = new AbortController();
  world.onBell = () => setImmediate(() => abort.abort());
  expect((await receive({ waitMs: 20_000, signal: abort.signal })).messages).toEqual([]);
  expect(world.queue("t", 0).cancelled).toHaveLength(1);
  expect(world.count(/waitAtBell/)).toBe(1);
});

test("what was leased while its client went away is released", async () => {
  const { world, receive } = world64();
  const abort = new AbortController();
  world.onBell = (ring) => {
    setImmediate(() => {
      world.queue("t", 9).put(3);
      ring([9]);
    });
  };
  world.onCall = (call) => {
    if (call === "queue t/9 receive" && world.queue("t", 9).log.length > 0) abort.abort();
  };
  expect((await receive({ waitMs: 20_000, signal: abort.signal })).messages).toEqual([]);
  expect(world.count(/settle/)).toBe(1);
  expect(world.queue("t", 9).log.map((row) => row.leasedBy)).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test("a group that is deleted under a long poll is not made anew by it", async () => {
  const world = new World();
  world.topic("t", 4);
  const broker = createBroker(world.ground);
  world.onBell = (ring) => {
    setImmediate(() => {
      world.topic("t", 4, []);
      ring([2]);
    });
  };
  const outcome = await broker.receive(at, { maxMessages: 16, waitMs: 20_000 });
  expect(outcome).toMatchObject({ code: "group_not_found" });
  expect(world.count(/putGroup/)).toBe(0);
});

test("a route that turns out to be old while a poll begins to wait costs it no wait", async () => {
  const { world, receive } = world64();
  world.queue("t", 9).refusals.push(refuse("stale_route", "older"));
  let waits = 0;
  world.onBell = (ring) => {
    world.draw = ++waits / 4;
    if (waits < 2) return;
    setImmediate(() => {
      world.queue("t", 9).put(1);
      ring([9]);
    });
  };
  expect((await receive({ waitMs: 20_000 })).messages).toHaveLength(1);
  const { cancelled, waitIds } = world.queue("t", 0);
  expect(cancelled).toEqual(waitIds.slice(0, 1));
  expect(new Set(waitIds).size).toBe(2);
});

test("what a poll found empty is not passed on, only what it could not ask", async () => {
  const { world, receive } = world64();
  await receive({ waitMs: 20_000 });
  world.queue("t", 9).refusals.push(refuse("body_unavailable", "away"));
  world.onBell = (ring) => ring([5, 9, 6]);
  await expect(receive({ waitMs: 20_000 })).rejects.toThrow("body_unavailable");
  await new Promise(setImmediate);
  expect(world.queue("t", 0).rung.map(({ queue }) => queue)).toEqual([9]);
});

test("queues that take their time hold a poll no longer than it waits, and the next one asks those behind them", async () => {
  const { world, receive } = world64();
  await receive({ waitMs: 20_000 });
  const rung = Array.from({ length: 40 }, (_, index) => index + 10);
  world.queue("t", 10).put(1);
  world.onBell = (ring) => ring(rung);
  expect((await receive({ waitMs: 20_000, maxMessages: 1 })).messages).toHaveLength(1);
  // All of them may hold something, and none does.
  world.onBell = (ring) => ring([]);
  world.onCall = (call) => {
    if (/t\/[1-4]\d receive/u.test(call)) world.nowMs += 1_000;
  };
  const asked = new Set<string>();
  for (let round = 0; round < 20; round++) {
    world.calls.length = 0;
    const startedAt = world.nowMs;
    expect((await receive({ waitMs: 3_000 })).messages).toEqual([]);
    expect(world.nowMs - startedAt).toBeLessThanOrEqual(3_000 + 5_000);
    for (const call of world.calls) if (call.includes("receive")) asked.add(call);
  }
  for (const queue of rung) expect(asked).toContain(`queue t/${queue} receive`);
});

test.each(["unavailable", "body_unavailable"] as const)(
  "a queue that is down, or whose bucket is (%s), does not keep the others' messages back; with nothing else it is told",
  async (code) => {
    const { world, receive } = world64();
    for (let round = 0; round < 3; round++) world.queue("t", 0).refusals.push(refuse(code, "x"));
    world.queue("t", 1).put(1);
    expect((await receive()).messages).toHaveLength(1);
    await expect(receive()).rejects.toThrow(code);
  },
);

test("a ring for what is in a bucket that is away ends the wait", async () => {
  const { world, receive } = world64();
  world.onBell = (ring) => {
    setImmediate(() => {
      world.queue("t", 9).refusals.push(refuse("body_unavailable", "x"));
      ring([9]);
    });
  };
  await expect(receive({ waitMs: 20_000 })).rejects.toThrow("body_unavailable");
  expect(world.calls.length).toBeLessThan(80);
});

test("an unknown group is made, and a paused one says so", async () => {
  const world = new World();
  world.topic("t", 1, []);
  const broker = createBroker(world.ground);
  world.queue("t", 0).isPaused = true;
  const received = valueOf(await broker.receive(at, { maxMessages: 1, waitMs: 0 }));
  expect(received).toEqual({ messages: [], paused: true });
  expect(world.count(/putGroup/)).toBe(1);
});

test("receipts go to their queues and come back in order; what is no receipt is invalid", async () => {
  const { world, receive } = world64();
  for (const queue of [1, 2, 3]) world.queue("t", queue).put(2);
  const broker = createBroker(world.ground);
  const receipts: string[] = [];
  while (receipts.length < 6) {
    receipts.push(...(await receive()).messages.map((message) => message.receipt));
  }
  world.calls.length = 0;
  const mixed = [receipts[0], "nonsense", receipts[5], receipts[1], "r_zz_0_1_0_1_0"] as string[];
  const results = valueOf(await broker.settle(at, { verb: "ack", receipts: mixed }));
  expect(results.map((result) => [result.receipt, result.ok])).toEqual([
    [mixed[0], true],
    [mixed[1], false],
    [mixed[2], true],
    [mixed[3], true],
    [mixed[4], false],
  ]);
  expect(world.count(/settle/)).toBeLessThanOrEqual(3);
});

test("an ack of an unknown group is refused", async () => {
  const world = new World();
  world.topic("t", 1, []);
  const broker = createBroker(world.ground);
  expect(await broker.settle(at, { verb: "ack", receipts: ["x"] })).toMatchObject({
    code: "group_not_found",
  });
});
