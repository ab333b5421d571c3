/** Long polls at one queue and at the bell: what ends them besides a message. */
import { expect, test } from "vitest";
import type { Outcome } from "../../src/protocol/errors.ts";
import type { Delivered, ReceiveCall } from "../../src/protocol/rpc.ts";
import { send } from "../../src/queue/sending.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const STAMP = { incarnation: 7, version: 1 };

const poll = (more: Partial<ReceiveCall> = {}): ReceiveCall => ({
  stamp: STAMP,
  group: "g",
  maxMessages: 16,
  invisibleMs: 30_000,
  waitMs: 20_000,
  bytesMax: 8 * 1024 * 1024,
  ...more,
});

async function bench(): Promise<Bench> {
  const made = new Bench();
  await made.run(made.queue.configure(route(), 0));
  return made;
}

/** Begins a wait and answers how it ended, if it did. */
async function waiting<T>(made: Bench, answer: Promise<Outcome<T>>): Promise<() => unknown> {
  let ended: Outcome<T> | undefined;
  void answer.then((outcome) => (ended = outcome));
  await made.clock.advance(10);
  expect(ended).toBeUndefined();
  return () => ended;
}

const put = (made: Bench): Promise<unknown> =>
  made.run(
    made.queue.stamped(STAMP, (nowMs) =>
      send(made.queue.store, { stamp: STAMP, records: records({}) }, nowMs),
    ),
  );

const settled = (made: Bench, verb: "release" | "nack", receipts: readonly string[]) =>
  made.run(
    new QueueVerbs(made.queue).settle({ stamp: STAMP, group: "g", verb, receipts, delayMs: 0 }),
  );

const receive = (made: Bench, more: Partial<ReceiveCall> = {}): Promise<Delivered> =>
  made.run(made.queue.waits.receive(poll({ waitMs: 0, ...more })));

test("a group's delete ends its long polls here and at the bell, and says why", async () => {
  const made = await bench();
  const one = await waiting(made, made.queue.waits.receive(poll()));
  const bell = { stamp: STAMP, group: "g", waitMs: 20_000, askedAt: 0 };
  const many = await waiting(made, made.queue.waits.waitAtBell(bell));
  await made.run(made.queue.configure(route([], {}, { version: 2 }), 0));
  expect(one()).toMatchObject({ code: "group_not_found", facts: { group: "g" } });
  expect(many()).toMatchObject({ code: "group_not_found", facts: { group: "g" } });
});

test("a topic's delete ends its long polls here and at the bell, and says why", async () => {
  const made = await bench();
  const one = await waiting(made, made.queue.waits.receive(poll()));
  const bell = { stamp: STAMP, group: "g", waitMs: 20_000, askedAt: 0 };
  const many = await waiting(made, made.queue.waits.waitAtBell(bell));
  await made.run(made.queue.drop(7));
  expect(one()).toMatchObject({ code: "topic_not_found" });
  expect(many()).toMatchObject({ code: "topic_not_found" });
});

test("a poll that found nothing before a delete, and begins to wait after it, ends too", async () => {
  const made = await bench();
  const polled = made.queue.waits.receive(poll());
  const deleted = made.queue.configure(route([], {}, { version: 2 }), 0);
  const outcomes: unknown[] = [];
  void polled.then((outcome) => outcomes.push(outcome));
  await made.run(deleted);
  await made.clock.advance(10);
  expect(outcomes).toMatchObject([{ code: "group_not_found" }]);
});

test("another group's long poll goes on when a group is deleted", async () => {
  const made = new Bench();
  const other = group("other", {}, 2);
  await made.run(made.queue.configure(route([group("g"), other]), 0));
  const waits = await waiting(made, made.queue.waits.receive(poll({ group: "other" })));
  await made.run(made.queue.configure(route([other], {}, { version: 2 }), 0));
  expect(waits()).toBeUndefined();
});

test("a cancelled wait ends at once, and what comes then is leased to nobody", async () => {
  const made = await bench();
  const one = await waiting(made, made.queue.waits.receive(poll({ waitId: "a" })));
  const bell = { stamp: STAMP, group: "g", waitMs: 20_000, askedAt: 0, waitId: "b" };
  const many = await waiting(made, made.queue.waits.waitAtBell(bell));
  expect(made.queue.waits.cancelWait("a")).toBe(true);
  expect(made.queue.waits.cancelWait("b")).toBe(true);
  await made.clock.advance(0);
  expect(one()).toMatchObject({ ok: true, value: { offsets: [] } });
  expect(many()).toMatchObject({ ok: true, value: { rings: [] } });
  await put(made);
  expect((await receive(made)).attempts).toEqual([1]);
});

test("a cancel that overtakes its wait leases nothing either", async () => {
  const made = await bench();
  expect(made.queue.waits.cancelWait("a")).toBe(false);
  await put(made);
  expect((await receive(made, { waitMs: 20_000, waitId: "a" })).offsets).toEqual([]);
  expect((await receive(made)).attempts).toEqual([1]);
});

test("a released message is visible at once, counts no attempt, and its old receipt dies with the next delivery", async () => {
  const made = await bench();
  await put(made);
  const first = await receive(made);
  await settled(made, "release", first.receipts);
  const second = await receive(made);
  expect(second.attempts).toEqual([1]);
  expect(second.receipts).not.toEqual(first.receipts);
  await expect(settled(made, "nack", first.receipts)).resolves.toMatchObject([
    { ok: false, code: "receipt_expired" },
  ]);
});

test("a release keeps the attempts that counted, also across a restart", async () => {
  const made = await bench();
  await put(made);
  await settled(made, "nack", (await receive(made)).receipts);
  await settled(made, "release", (await receive(made)).receipts);
  made.wake();
  expect((await receive(made)).attempts).toEqual([2]);
});

test("who gives up gives back nothing that was asked for again with its attempt", async () => {
  const made = await bench();
  await put(made);
  const giveUp = { stamp: STAMP, group: "g", verb: "release", attempt: "a" } as const;
  const verbs = new QueueVerbs(made.queue);
  const first = await receive(made, { attempt: "a" });
  const again = await receive(made, { attempt: "a" });
  expect(again.receipts).toEqual(first.receipts);
  const { receipts } = first;
  await expect(made.run(verbs.settle({ ...giveUp, receipts }))).resolves.toMatchObject([
    { ok: false, code: "receipt_expired" },
  ]);
  expect((await receive(made)).offsets).toEqual([]);
  await expect(
    made.run(verbs.settle({ stamp: STAMP, group: "g", verb: "ack", receipts })),
  ).resolves.toMatchObject([{ ok: true }]);
});

test("who gives up before it asks again gives back what its attempt had", async () => {
  const made = await bench();
  await put(made);
  const { receipts } = await receive(made, { attempt: "a" });
  const giveUp = { stamp: STAMP, group: "g", verb: "release", attempt: "a", receipts } as const;
  await made.run(new QueueVerbs(made.queue).settle(giveUp));
  expect(await receive(made)).toMatchObject({ offsets: [0], attempts: [1] });
});

test("a released message goes to who waits", async () => {
  const made = await bench();
  await put(made);
  const { receipts } = await receive(made);
  const next = await waiting(made, made.queue.waits.receive(poll()));
  await settled(made, "release", receipts);
  expect(next()).toMatchObject({ ok: true, value: { attempts: [1] } });
});

test("who is told that there is nothing hears of what came in the same flush", async () => {
  const made = new Bench();
  await made.run(made.queue.configure(route([group("g")], { queues: 2 }), 0));
  const askedAt = made.clock.nowMs();
  const call = { stamp: STAMP, group: "g", waitMs: 20_000, askedAt };
  await put(made);
  const first = await made.queue.waits.waitAtBell(call);
  expect(first).toMatchObject({ ok: true, value: { rings: [{ queue: 0 }] } });
  const after = first.ok ? first.value.mark : undefined;
  const rung = await waiting(
    made,
    made.queue.waits.waitAtBell({ ...call, ...(after === undefined ? {} : { after }) }),
  );
  const taken = receive(made, { maxMessages: 1 });
  const nothing = receive(made, { maxMessages: 1 });
  const later = put(made);
  expect((await taken).offsets).toEqual([0]);
  expect((await nothing).offsets).toEqual([]);
  await later;
  await made.clock.advance(1);
  expect(rung()).toMatchObject({ ok: true, value: { rings: [{ queue: 0 }] } });
});
