/** The bell by itself: who is woken, and what becomes of a ring that nobody hears. */
import { expect, test } from "vitest";
import { accept } from "../../src/protocol/errors.ts";
import { Bell } from "../../src/queue/waiting/bell.ts";
import { EventClock } from "../kit/event-clock.node.ts";

const ring = { group: 1, queue: 5, count: 1 };

function bell(): { readonly clock: EventClock; readonly bell: Bell } {
  const clock = new EventClock();
  return { clock, bell: new Bell(clock) };
}

const later = (clock: EventClock, ms: number): Promise<void> => clock.runUntil(clock.pause(ms));

test("a ring that comes before the wait is heard by who began to ask before it, once", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  made.bell.ring(ring);
  made.bell.ring({ ...ring, queue: 2 });
  await later(made.clock, 9_000);
  expect(await made.bell.wait(1, 20_000, { askedAt })).toEqual(accept({ queues: [5, 2] }));
  const next = made.bell.wait(1, 100, { askedAt });
  await later(made.clock, 100);
  expect(await next).toEqual(accept({ queues: [] }));
});

test("it is no news to who asks the queues after it, nor to another group", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  made.bell.ring(ring);
  const other = made.bell.wait(2, 100, { askedAt });
  await later(made.clock, 1_000);
  const late = made.bell.wait(1, 100, { askedAt: made.clock.nowMs() });
  await later(made.clock, 100);
  expect(await other).toEqual(accept({ queues: [] }));
  expect(await late).toEqual(accept({ queues: [] }));
});

test("a ring that somebody hears is not kept", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  const first = made.bell.wait(1, 20_000, { askedAt });
  expect(made.bell.ring(ring)).toBe(0);
  expect(await first).toEqual(accept({ queues: [5] }));
  const second = made.bell.wait(1, 100, { askedAt });
  await later(made.clock, 100);
  expect(await second).toEqual(accept({ queues: [] }));
});

test("a consumer of a broadcast group hears what rang for it, not what rang for others", async () => {
  const made = bell();
  const askedAt = made.clock.nowMs();
  made.bell.ring({ ...ring, consumerIds: ["a", "b"] });
  const heard = accept({ queues: [5] });
  expect(await made.bell.wait(1, 100, { consumerId: "b", askedAt })).toEqual(heard);
  const other = made.bell.wait(1, 100, { consumerId: "c", askedAt });
  await later(made.clock, 100);
  expect(await other).toEqual(accept({ queues: [] }));
  expect(await made.bell.wait(1, 100, { consumerId: "a", askedAt })).toEqual(heard);
});
