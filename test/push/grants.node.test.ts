/** An endpoint that is asked first: not called before it agreed, left alone when it does not, and no faster than it says. */
import { expect, test } from "vitest";
import { World } from "./kit.node.ts";

const ORIGIN = "halfmq.example.com";

test("[P4] an endpoint is asked once, when the push is set", async () => {
  const world = await World.open({ handshakeOrigin: ORIGIN, timeoutMs: 5_000, ratePerSecond: 2 });
  await world.pass(60_000);
  expect(world.posts).toEqual([]);
  await world.send();
  await world.pass(0);
  expect(world.questions).toMatchObject([
    { url: "https://example.com/push", origin: ORIGIN, timeoutMs: 5_000, perMinute: 120 },
  ]);
  expect(world.posts).toHaveLength(1);
  world.wake();
  await world.send();
  await world.pass(1_000);
  expect(world.posts).toHaveLength(2);
  expect(world.questions, "the grant outlives the object").toHaveLength(1);
});

test("[P4] while it refuses nothing is leased, and it is asked again after longer and longer pauses", async () => {
  const world = new World({ handshakeOrigin: ORIGIN });
  world.permission = () => ({ is: "refused", reason: "handshake_refused", status: 405 });
  await world.begin();
  await world.send();
  await world.pass(30_000);
  expect(world.posts).toEqual([]);
  expect(await world.figures()).toMatchObject({ inFlight: 0, lag: 1 });
  const gaps = world.questions.map(({ at }, index) => at - (world.questions[index - 1]?.at ?? at));
  expect(gaps.length).toBeGreaterThan(3);
  expect(gaps.slice(1)).toEqual(gaps.slice(1).toSorted((a, b) => a - b));
  expect(await world.pusher.state()).toMatchObject({
    state: "waiting",
    lastFailure: { reason: "handshake_refused", status: 405 },
  });
  world.permission = () => ({ is: "granted" });
  await world.pass(60_000);
  expect(world.posts).toMatchObject([{ headers: { "halfmq-attempt": "1" } }]);
  expect(await world.figures()).toMatchObject({ lag: 0 });
});

test("a grant is for its URL and its origin", async () => {
  const world = await World.open({ handshakeOrigin: ORIGIN });
  await world.send();
  await world.pass(0);
  const { push } = world.group.settings;
  const change = async (more: object): Promise<void> => {
    world.group = {
      ...world.group,
      settings: { ...world.group.settings, push: { ...push, ...more } as never },
    };
    world.version++;
    await world.configure();
    await world.send();
    await world.pass(0);
  };
  await change({ concurrency: 2 });
  expect(world.questions).toHaveLength(1);
  await change({ url: "https://example.com/other" });
  expect(world.questions).toHaveLength(2);
  await change({ url: "https://example.com/other", handshakeOrigin: "other.example.com" });
  expect(world.questions).toHaveLength(3);
});

test("no more calls a minute go out than were granted", async () => {
  const world = new World({
    handshakeOrigin: ORIGIN,
    format: "cloudevents-structured",
    ratePerSecond: 100,
  });
  world.permission = () => ({ is: "granted", perMinute: 30 });
  await world.begin();
  await world.send(100);
  await world.pass(60_000);
  expect(world.posts.length).toBeGreaterThanOrEqual(29);
  expect(world.posts.length).toBeLessThanOrEqual(32);
});

test("an answer that comes when the push is another one counts for nothing", async () => {
  const world = new World({ handshakeOrigin: ORIGIN });
  const { promise, resolve } = Promise.withResolvers<void>();
  world.permission = async () => {
    await promise;
    return { is: "refused", reason: "handshake_refused" };
  };
  await world.begin();
  await world.send();
  await world.pass(0);
  world.permission = () => ({ is: "granted" });
  world.group = {
    ...world.group,
    settings: {
      ...world.group.settings,
      push: { ...world.group.settings.push, url: "https://example.com/new" } as never,
    },
  };
  world.version++;
  await world.configure();
  resolve();
  await world.pass(0);
  expect(world.posts).toMatchObject([{ url: "https://example.com/new" }]);
});
