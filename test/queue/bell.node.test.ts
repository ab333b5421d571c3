/** The bell by itself: who is woken, and what becomes of a ring that nobody hears. */
import { expect, test } from "vitest";
import { refuse, type Outcome } from "../../src/protocol/errors.ts";
import type { Rung } from "../../src/protocol/rpc.ts";
import { Bell } from "../../src/queue/waiting/bell.ts";
import { EventClock } from "../kit/event-clock.node.ts";

const ring = { group: 1, queue: 5, count: 1 };

function bell(): { readonly clock: EventClock; readonly bell: Bell } {
  const clock = new EventClock();
  return { clock, bell: new Bell(clock, 7) };
}

const later = (clock: EventClock, ms: number): Promise<void> => clock.runUntil(clock.pause(ms));

const valueOf = (outcome: Outcome<Rung> | undefined): Rung => {
  if (outcome?.ok !== true) throw new Error("no answer");
  return outcome.value;
};

const queuesOf = (outcome: Outcome<Rung> | undefined): number[] =>
  valueOf(outcome).rings.map(({ queue }) => queue);

test("who began to ask before the rings hears them when it comes to wait, the last first", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  made.bell.ring(ring);
  made.bell.ring({ ...ring, queue: 2 });
  await later(made.clock, 9_000);
  const rung = await made.bell.wait(1, 20_000, { askedAt });
  expect(queuesOf(rung)).toEqual([2, 5]);
  const { mark } = valueOf(rung);
  const next = made.bell.wait(1, 100, { askedAt, after: mark });
  await later(made.clock, 100);
  expect(queuesOf(await next)).toEqual([]);
});

test("they are no news to who asks the queues after them, nor to another group", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  made.bell.ring(ring);
  const other = made.bell.wait(2, 100, { askedAt });
  await later(made.clock, 1_000);
  const late = made.bell.wait(1, 100, { askedAt: made.clock.nowMs() });
  await later(made.clock, 100);
  expect(queuesOf(await other)).toEqual([]);
  expect(queuesOf(await late)).toEqual([]);
});

test("who has heard up to a mark is told of all that rang since, though others have heard it", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  const { mark } = made.bell.nothing;
  const first = made.bell.wait(1, 20_000, { askedAt, after: mark });
  expect(made.bell.ring(ring)).toBe(0);
  expect(queuesOf(await first)).toEqual([5]);
  made.bell.ring({ ...ring, queue: 3 });
  made.bell.ring(ring);
  await later(made.clock, 9_000);
  const second = await made.bell.wait(1, 100, { askedAt: made.clock.nowMs(), after: mark });
  expect(valueOf(second)).toMatchObject({
    rings: [
      { queue: 5, number: 3 },
      { queue: 3, number: 2 },
    ],
    since: mark.number,
    mark: { life: 7, number: 3 },
  });
});

test("a wait whose time is over is told what rang without waking it", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  const first = made.bell.wait(1, 20_000, { askedAt });
  const second = made.bell.wait(1, 100, { askedAt });
  expect(made.bell.ring(ring)).toBe(1);
  await later(made.clock, 100);
  expect(queuesOf(await first)).toEqual([5]);
  expect(queuesOf(await second)).toEqual([5]);
});

test("a mark of another life is lost, as is one from before what is forgotten", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  const { mark } = made.bell.nothing;
  const other = { askedAt, after: { ...mark, life: 8 } };
  expect(valueOf(await made.bell.wait(1, 100, other)).isLost).toBe(true);
  for (let group = 1; group <= 4_097; group++) made.bell.ring({ ...ring, group });
  expect(valueOf(await made.bell.wait(1, 100, { askedAt, after: mark })).isLost).toBe(true);
  const young = { askedAt, after: { ...mark, number: 1 } };
  expect(valueOf(await made.bell.wait(2, 100, young))).not.toHaveProperty("isLost");
});

test("a cancelled wait has heard nothing, and a closed group is told why", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  const cancelled = made.bell.wait(1, 20_000, { askedAt, waitId: "a" });
  expect(made.bell.cancel("a")).toBe(true);
  expect(made.bell.cancel("a")).toBe(false);
  expect(queuesOf(await cancelled)).toEqual([]);
  const closed = made.bell.wait(1, 20_000, { askedAt });
  const why = refuse("group_not_found", "gone");
  made.bell.close(1, why);
  expect(await closed).toBe(why);
});

test("a consumer of a broadcast group hears what rang for it, not what rang for others", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  made.bell.ring({ ...ring, consumerIds: ["a", "b"] });
  expect(queuesOf(await made.bell.wait(1, 100, { consumerId: "b", askedAt }))).toEqual([5]);
  const other = made.bell.wait(1, 100, { consumerId: "c", askedAt });
  await later(made.clock, 100);
  expect(queuesOf(await other)).toEqual([]);
  expect(queuesOf(await made.bell.wait(1, 100, { consumerId: "a", askedAt }))).toEqual([5]);
});

const named = (group: number): string[] =>
  Array.from({ length: 1_000 }, (_, index) => `${group}-${index}`);

test("rings that are forgotten are lost to nobody whose own are remembered", async () => {
  const made = bell();
  const ringAll = (group: number, queue: number): number =>
    made.bell.ring({ group, queue, count: 0, consumerIds: named(group) });
  for (let group = 1; group <= 5; group++) ringAll(group, 3);
  const askedAt = made.clock.nowMs();
  const after = made.bell.nothing.mark;
  const heard = made.bell.wait(1, 20_000, { askedAt, after, consumerId: "1-0" });
  for (const group of [2, 3, 4, 5, 1]) ringAll(group, 9);
  // One that asked before its ring, and comes to wait after others' were forgotten.
  for (const group of [2, 3]) ringAll(group, 9);
  const late = await made.bell.wait(1, 20_000, { askedAt, consumerId: "1-0" });
  expect(valueOf(await heard).isLost).toBeUndefined();
  expect(queuesOf(await heard)).toEqual([9]);
  expect(queuesOf(late)).toContain(9);
});
