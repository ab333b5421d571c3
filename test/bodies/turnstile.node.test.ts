/** What is held at a time is bounded, and nobody waits for ever. */
import { expect, test } from "vitest";
import { Turnstile } from "../../src/bodies/turnstile.ts";
import { EventClock } from "../kit/event-clock.node.ts";

const BOUNDS = { bytesMax: 10, waitMsMax: 1_000 };

test("whoever does not fit waits its turn, in order; one alone always fits", async () => {
  const clock = new EventClock();
  const turnstile = new Turnstile(clock, BOUNDS);
  const entered: string[] = [];
  const enter = (name: string, bytes: number) =>
    turnstile.enter(bytes).then((isIn) => void entered.push(`${name} ${isIn ? "in" : "away"}`));
  await enter("large", 50);
  void enter("small", 4);
  void enter("more", 7);
  void enter("last", 6);
  await clock.runUntil(clock.pause(10));
  expect(entered).toEqual(["large in"]);
  turnstile.leave(50);
  await clock.runUntil(clock.pause(10));
  // The last would fit, but comes after one that does not.
  expect(entered).toEqual(["large in", "small in"]);
  turnstile.leave(4);
  await clock.runUntil(clock.pause(10));
  expect(entered.slice(2)).toEqual(["more in"]);
});

test("one that has waited too long is turned away, and those behind it come", async () => {
  const clock = new EventClock();
  const turnstile = new Turnstile(clock, BOUNDS);
  expect(await turnstile.enter(6)).toBe(true);
  const [tooMuch, fits] = [turnstile.enter(8), turnstile.enter(4)];
  await clock.runUntil(tooMuch);
  expect([await tooMuch, await fits]).toEqual([false, true]);
});
