/** Attempts over many queues: what a lost answer held comes again, and a first try costs no more than any receive. */
import { expect, test } from "vitest";
import { createBroker } from "../../src/broker/durable-broker.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { at, valueOf, world64 } from "./receiving.node.ts";

test("the same attempt gets the same batch, wherever it came from, and leases nothing more", async () => {
  const { world, receive } = world64();
  for (let queue = 0; queue < 64; queue++) if (queue % 9 === 4) world.queue("t", queue).put(50);
  const first = await receive({ attemptId: "a" });
  expect(first.messages.length).toBeGreaterThan(0);
  // Home queues that were empty hold something by now.
  for (let queue = 0; queue < 64; queue++) world.queue("t", queue).put(5);
  const again = await receive({ attemptId: "a" });
  expect(again.messages.map((message) => message.id).toSorted()).toEqual(
    first.messages.map((message) => message.id).toSorted(),
  );
});

test("an isolate that is new asks every queue what an attempt holds before it leases", async () => {
  const { world, receive } = world64();
  for (let queue = 0; queue < 64; queue++) if (queue % 9 === 4) world.queue("t", queue).put(50);
  const first = await receive({ attemptId: "a" });
  for (let queue = 0; queue < 64; queue++) world.queue("t", queue).put(5);
  const restarted = createBroker(world.ground);
  const again = valueOf(
    await restarted.receive(at, { maxMessages: 16, waitMs: 0, attemptId: "a" }),
  );
  expect(again.messages.map((message) => message.id).toSorted()).toEqual(
    first.messages.map((message) => message.id).toSorted(),
  );
});

test("with backlog a new attempt costs an old isolate one call", async () => {
  const { world, receive } = world64();
  for (let queue = 0; queue < 64; queue++) world.queue("t", queue).put(100);
  await receive();
  world.nowMs += 60_000;
  world.calls.length = 0;
  expect((await receive({ attemptId: "b" })).messages).toHaveLength(16);
  expect(world.calls).toHaveLength(1);
});

test("a first try costs what any poll does, three calls; a repeat gets its batch, from whatever isolate", async () => {
  const { world, receive } = world64();
  await receive({ waitMs: 20_000, attemptId: "a", repeat: false });
  world.calls.length = 0;
  await receive({ waitMs: 20_000, attemptId: "b", repeat: false });
  expect(world.calls, "one in turn, the bell").toHaveLength(2);
  for (const queue of [9, 12]) world.queue("t", queue).put(1);
  world.onBell = (ring) => ring([9, 12]);
  world.calls.length = 0;
  const first = await receive({ waitMs: 20_000, attemptId: "c", repeat: false });
  expect(
    first.messages.map(({ queue }) => queue),
    "a batch over queues",
  ).toEqual([9, 12]);
  expect(world.calls).toHaveLength(4);
  for (let queue = 0; queue < 64; queue++) world.queue("t", queue).put(5);
  const restarted = createBroker(world.ground);
  world.nowMs += 20_000;
  await restarted.receive(at, { maxMessages: 1, waitMs: 0 });
  world.nowMs += 20_000;
  const repeat = { maxMessages: 16, waitMs: 0, attemptId: "c", repeat: true };
  const again = valueOf(await restarted.receive(at, repeat));
  expect(again.messages.map(({ id }) => id).toSorted()).toEqual(
    first.messages.map(({ id }) => id).toSorted(),
  );
  // One that was given nothing is a poll like any other, behind its question.
  world.calls.length = 0;
  expect((await receive({ attemptId: "b", repeat: true })).messages.length).toBeGreaterThan(0);
  expect(world.calls.length).toBeLessThanOrEqual(64 + 4);
});

test("a batch of an attempt has its queues in one order, whichever answered first", async () => {
  const { world, receive } = world64();
  const rung = [12, 30, 9];
  world.onBell = (ring) => ring(rung);
  await receive({ waitMs: 20_000, attemptId: "a", repeat: false });
  for (const queue of rung) world.queue("t", queue).put(2);
  const first = await receive({ waitMs: 20_000, attemptId: "b", repeat: false });
  const placesOf = (batch: Awaited<ReturnType<typeof receive>>) =>
    batch.messages.map(({ queue, offset }) => [queue, offset]);
  const inOrder = [9, 12, 30].flatMap((queue) => [0, 1].map((offset) => [queue, offset]));
  expect(placesOf(first)).toEqual(inOrder);
  const again = await receive({ attemptId: "b", repeat: true });
  expect(placesOf(again)).toEqual(inOrder);
});

test("a repeat is not kept from all queues by one that is down", async () => {
  const { world, receive } = world64();
  world.queue("t", 7).put(1);
  for (let round = 0; round < 2; round++)
    world.queue("t", 3).refusals.push(refuse("unavailable", "down"));
  const { messages } = await receive({ attemptId: "a", repeat: true });
  expect(messages.map(({ queue }) => queue)).toEqual([7]);
});
