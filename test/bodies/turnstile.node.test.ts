/** What is held at a time is bounded, and nobody waits for ever. */
import { expect, test } from "vitest";
import { Turnstile } from "../../src/bodies/turnstile.ts";
import { FakeClock, turns } from "../client/fake-clock.node.ts";
import { EventClock } from "../kit/event-clock.node.ts";

const BOUNDS = { bytesMax: 10, waitMsMax: 1_000 };

test("whoever does not fit waits its turn, in order; one alone always fits", async () => {
  const clock = new EventClock();
  const turnstile = new Turnstile(clock, BOUNDS);
  const entered: string[] = [];
  const enter = (name: string, bytes: number) =>
    turnstile.enter(bytes).then((leave) => {
      entered.push(`${name} ${leave === undefined ? "away" : "in"}`);
      return leave;
    });
  const leaveLarge = await enter("large", 50);
  const small = enter("small", 4);
  void enter("more", 7);
  void enter("last", 6);
  await clock.runUntil(clock.pause(10));
  expect(entered).toEqual(["large in"]);
  leaveLarge?.();
  await clock.runUntil(clock.pause(10));
  // The last would fit, but comes after one that does not.
  expect(entered).toEqual(["large in", "small in"]);
  (await small)?.();
  await clock.runUntil(clock.pause(10));
  expect(entered.slice(2)).toEqual(["more in"]);
});

test("one that has waited too long is turned away, and those behind it come", async () => {
  const clock = new EventClock();
  const turnstile = new Turnstile(clock, BOUNDS);
  expect(await turnstile.enter(6)).toBeDefined();
  const [tooMuch, fits] = [turnstile.enter(8), turnstile.enter(4)];
  await clock.runUntil(tooMuch);
  expect(await tooMuch).toBeUndefined();
  expect(await fits).toBeDefined();
});

test("what requests held or waited for that are gone is free again after a while", async () => {
  const clock = new FakeClock();
  const gone = { isNext: false };
  const turnstile = new Turnstile(
    {
      nowMs: clock.now,
      after: (delayMs, run) => (gone.isNext ? () => undefined : clock.after(delayMs, run)),
    },
    BOUNDS,
  );
  const leave = await turnstile.enter(10);
  gone.isNext = true;
  void turnstile.enter(10);
  gone.isNext = false;
  await clock.advance(60_001);
  const next = await turnstile.enter(10);
  expect(next).toBeDefined();
  // The first was only slow, and is told off no second time.
  leave?.();
  const other = turnstile.enter(1);
  await clock.advance(1_000);
  expect(await other).toBeUndefined();
  next?.();
  expect(await turnstile.enter(1)).toBeDefined();
  expect(clock.timers).toBe(0);
});

test("who may hold what it has for longer counts for as long", async () => {
  const clock = new FakeClock();
  const ground = { nowMs: clock.now, after: clock.after };
  const turnstile = new Turnstile(ground, { ...BOUNDS, waitMsMax: 100_000 });
  const leave = await turnstile.enter(10, 90_000);
  await clock.advance(60_001);
  let isIn = false;
  void turnstile.enter(10).then(() => (isIn = true));
  await turns();
  expect(isIn).toBe(false);
  leave?.();
  await turns();
  expect(isIn).toBe(true);
});
