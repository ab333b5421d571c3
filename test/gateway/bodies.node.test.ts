/** Streams of messages whose bodies are in the bucket: with them, or not at all. */
import { expect, test } from "vitest";
import { World } from "./kit.node.ts";

const bodies = (messages: readonly object[]): unknown[] =>
  messages.map((message) => Reflect.get(message, "body") as unknown);

test("a socket gets the body, in its turn and within its credit", async () => {
  const world = await World.open();
  const socket = await world.join(2);
  await world.send(1);
  await world.sendLarge('"large"');
  await world.send(1);
  expect(bodies(socket.messages)).toEqual([{ n: 0 }, "large"]);
  expect(await world.figures()).toMatchObject({ inFlight: 2 });
});

test("while the bucket is away others are given, and it comes uncounted when the bucket is back", async () => {
  const world = await World.open();
  const socket = await world.join(5);
  world.bench.bucket.fault = "body_unavailable";
  await world.sendLarge('"large"');
  await world.send(1);
  expect(bodies(socket.messages)).toEqual([{ n: 0 }]);
  world.bench.bucket.fault = undefined;
  await world.bench.pass(3_000);
  await world.settle();
  expect(bodies(socket.messages)).toEqual([{ n: 0 }, "large"]);
  expect(socket.messages.map(({ deliveryAttempt }) => deliveryAttempt)).toEqual([1, 1]);
});

test("one whose body is gone becomes a dead letter, and frees its credit", async () => {
  const world = await World.open();
  const socket = await world.join(1);
  await world.sendLarge('"large"');
  await world.say(socket, { ack: socket.messages.map(({ receipt }) => receipt) });
  await world.say(socket, { credit: 0 });
  world.bench.bucket.fault = "body_missing";
  await world.sendLarge('"lost"');
  await world.say(socket, { credit: 1 });
  await world.send(1);
  expect(bodies(socket.messages)).toEqual(["large", { n: 0 }]);
  await world.say(socket, { ack: socket.messages.map(({ receipt }) => receipt) });
  for (let minutes = 0; minutes < 4; minutes++) await world.bench.pass(60_000);
  expect(await world.figures(), "it may come back").toMatchObject({ deadLetters: 0, lag: 1 });
  await world.bench.pass(2 * 60_000);
  expect(await world.figures()).toMatchObject({ deadLetters: 1, lag: 0 });
});
