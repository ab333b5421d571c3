/** Pushes of messages whose bodies are in the bucket: with them, or not at all. */
import { expect, test } from "vitest";
import { World } from "./kit.node.ts";

const bodiesIn = (world: World): unknown[] =>
  world.posts.flatMap(({ body }) =>
    (JSON.parse(body) as { data: { messages: { body: unknown }[] } }).data.messages.map(
      (message) => message.body,
    ),
  );

test("a push carries the body", async () => {
  const world = await World.open();
  await world.sendLarge('"large"');
  await world.pass(0);
  expect(bodiesIn(world)).toEqual(["large"]);
  expect(await world.figures()).toMatchObject({ lag: 0 });
});

test("while the bucket is away its messages wait, uncounted, and are asked for now and then", async () => {
  const world = await World.open({ maxMessages: 10 }, { maxAttempts: 1 });
  world.bench.bucket.fault = "body_unavailable";
  await world.sendLarge('"large"');
  await world.send();
  await world.pass(60_000);
  expect(bodiesIn(world), "the small one does not wait").toEqual([{ n: 0 }]);
  expect(await world.figures()).toMatchObject({ lag: 1, deadLetters: 0 });
  expect(world.calls, "every two seconds, not without end").toBeLessThan(150);
  world.bench.bucket.fault = undefined;
  await world.pass(3_000);
  expect(bodiesIn(world)).toEqual([{ n: 0 }, "large"]);
  expect(await world.figures()).toMatchObject({ lag: 0, deadLetters: 0 });
});

test("one whose body is gone becomes a dead letter, and the endpoint never hears of it", async () => {
  const world = await World.open();
  world.bench.bucket.fault = "body_damaged";
  await world.sendLarge('"large"');
  await world.pass(1_000);
  expect(world.posts).toEqual([]);
  expect(await world.figures()).toMatchObject({ lag: 0, deadLetters: 1 });
});
