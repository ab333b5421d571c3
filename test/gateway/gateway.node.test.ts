/** A gateway over a real queue: credit, fairness, and that nothing is lost or stuck whatever is lost with it. */
import { expect, test } from "vitest";
import { accept, refuse } from "../../src/protocol/errors.ts";
import { dealt, Session } from "../../src/gateway/session.ts";
import { FakeSocket, STAMP, World } from "./kit.node.ts";

const receipts = (messages: readonly { readonly receipt: string }[]): string[] =>
  messages.map(({ receipt }) => receipt);

test("[S1] a socket holds at most its credit, and gets more for what it acks", async () => {
  const world = await World.open();
  const socket = await world.join(3);
  await world.send(10);
  expect(socket.messages).toHaveLength(3);
  await world.say(socket, { ack: receipts(socket.messages).slice(0, 2) });
  expect(socket.messages).toHaveLength(5);
  await world.say(socket, { credit: 1 });
  await world.say(socket, { ack: receipts(socket.messages).slice(2, 4) });
  expect(socket.messages, "one is held, one may be").toHaveLength(5);
  expect(await world.figures()).toMatchObject({ inFlight: 1 });
});

test("[S3] a gateway that lost its memory gives no more than the credit, and takes acks as before", async () => {
  const world = await World.open({ invisibleMs: 30_000 });
  const socket = await world.join(4);
  await world.send(10);
  world.wake();
  await world.say(socket, { credit: 4 });
  expect(socket.messages, "its four are still out").toHaveLength(4);
  await world.say(socket, { ack: receipts(socket.messages).slice(0, 1) });
  expect(socket.messages).toHaveLength(5);
  await world.say(socket, { ack: receipts(socket.messages).slice(1) });
  expect(await world.figures()).toMatchObject({ lag: 10 - 5 });
});

test("[S3] what was held by a lost memory comes again when its lease has run out", async () => {
  const world = await World.open({ invisibleMs: 1_000 });
  const socket = await world.join(2);
  await world.send(2);
  world.wake();
  await world.bench.pass(2_000);
  await world.settle();
  const attempts = socket.messages.map(({ deliveryAttempt }) => deliveryAttempt);
  expect(attempts.slice(0, 4)).toEqual([1, 1, 2, 2]);
});

test("[S1] [S3] what a lost memory held and its socket prolonged counts as held until that ends", () => {
  const kept = { version: 1, credit: 2, held: 2, heldUntil: 1_000 } as const;
  const session = new Session(kept, 0);
  session.extend("prolonged", 5_000);
  expect([session.free(0), session.free(2_000)]).toEqual([0, 1]);
  expect(session.expire(2_000)).toBe(5_000);
  session.settle("prolonged");
  expect(session.free(2_000)).toBe(2);
});

test("[S3] a ring that comes to a gateway asleep is served by the credit that the sockets kept", async () => {
  const world = await World.open();
  const socket = await world.join(5);
  world.wake();
  await world.send(1);
  expect(socket.messages).toHaveLength(1);
});

test("[S3] what nobody rang for is found by looking around", async () => {
  const world = await World.open();
  const socket = await world.join(5);
  const { isHeard } = world.bench;
  world.bench.isHeard = () => true;
  await world.send(1);
  expect(socket.messages).toEqual([]);
  world.bench.isHeard = isHeard;
  await world.bench.pass(5 * 60_000);
  await world.gateway.alarm();
  await world.settle();
  expect(socket.messages).toHaveLength(1);
});

test("[A2] a ring that overtakes the answer to a socket's opening finds somebody who listens", async () => {
  const world = await World.open();
  const answers = Promise.withResolvers<void>();
  world.gate = answers.promise;
  const joined = world.join(1);
  await world.settle();
  const ring = (): Promise<boolean> => world.gateway.ring(STAMP.incarnation, world.group.number, 0);
  expect(await ring()).toBe(true);
  answers.resolve();
  await world.leave(await joined, 1000);
  expect(await ring()).toBe(false);
});

test("[S3] who is let in while the last one leaves is known to a gateway that lost its memory", async () => {
  const world = await World.open();
  const last = await world.join();
  const answers = Promise.withResolvers<void>();
  world.gate = answers.promise;
  const joined = world.join(1);
  await world.settle();
  await world.leave(last, 1000);
  answers.resolve();
  const socket = await joined;
  world.wake();
  await world.send(1);
  expect(socket.messages).toHaveLength(1);
  expect(socket.closedWith).toBeUndefined();
});

test("who is let in while the group goes is told so", async () => {
  const world = await World.open();
  const answers = Promise.withResolvers<void>();
  world.gate = answers.promise;
  const joined = world.join();
  await world.settle();
  await world.gateway.ended(STAMP.incarnation, world.group.number);
  answers.resolve();
  const { closedWith, frames } = await joined;
  expect(closedWith).toBe(1001);
  expect(frames).toMatchObject([{ error: { code: "group_not_found" } }]);
});

test("[S3] a socket whose group the gateway does not know is closed, so that its client comes again", async () => {
  const world = await World.open();
  const socket = await world.join(1);
  world.kept = undefined;
  world.wake();
  expect(socket.closedWith).toBe(1001);
});

test("[A2] the queue rings as long as somebody listens, also after it woke anew, and not longer", async () => {
  const world = await World.open();
  const socket = await world.join(5);
  await world.send(1);
  await world.say(socket, { ack: receipts(socket.messages) });
  world.bench.wake();
  await world.settle();
  await world.send(1);
  expect(socket.messages).toHaveLength(2);
  await world.leave(socket, 1000);
  // What it gave back rang once more, and was answered that nobody listens.
  const before = world.bench.streams.length;
  const ask = { stamp: STAMP, group: "g", maxMessages: 9, invisibleMs: 1_000, bytesMax: 1e6 };
  await world.bench.run(world.verbs.receive({ ...ask, waitMs: 0 }));
  await world.send(1);
  expect(world.bench.streams).toHaveLength(before);
  expect(world.erased).toBe(1);
});

test("[S2] a goodbye gives back uncounted, a broken line counts, and both at once", async () => {
  for (const [code, deadLetters] of [
    [1000, 0],
    [1001, 0],
    [1006, 2],
    [1011, 2],
  ] as const) {
    const world = await World.open({ maxAttempts: 1 });
    const socket = await world.join(5);
    await world.send(2);
    expect(socket.messages).toHaveLength(2);
    await world.leave(socket, code);
    expect(await world.figures()).toMatchObject({ inFlight: 0, deadLetters });
  }
});

test("a lease that comes back to a socket that left is released, or given to another", async () => {
  const world = await World.open({ maxAttempts: 1 });
  const socket = await world.join();
  const heard = world.gateway.hear(socket, '{"credit":5}');
  const sent = world.send(3);
  const left = world.leave(socket, 1006);
  await Promise.all([heard, sent, left]);
  await world.settle();
  expect(await world.figures()).toMatchObject({ lag: 3, inFlight: 0, deadLetters: 0 });
});

test("a socket that comes while a lease is on its way gets its share of it", async () => {
  const world = await World.open();
  const early = await world.join(30);
  const { promise, resolve } = Promise.withResolvers<void>();
  world.gate = promise;
  await world.send(20);
  const late = new FakeSocket();
  world.sockets.add(late);
  world.gateway.join(late, {});
  await world.say(late, { credit: 30 });
  resolve();
  await world.settle();
  expect([early.messages.length, late.messages.length]).toEqual([10, 10]);
  expect(await world.figures()).toMatchObject({ inFlight: 20 });
});

test("what is leased while its socket wants less is given back, and nobody holds more than his credit", async () => {
  const world = await World.open();
  const socket = await world.join(10);
  const { promise, resolve } = Promise.withResolvers<void>();
  world.gate = promise;
  await world.send(10);
  await world.say(socket, { credit: 4 });
  resolve();
  await world.settle();
  expect(socket.messages).toHaveLength(4);
  expect(await world.figures()).toMatchObject({ inFlight: 4, lag: 10 });
  await world.say(socket, { credit: 10 });
  expect(socket.messages.map(({ deliveryAttempt }) => deliveryAttempt)).toEqual(
    Array.from({ length: 10 }, () => 1),
  );
});

test("in an ordered group each lease goes to one socket", async () => {
  const world = await World.open({ ordered: true });
  const sockets = [await world.join(10), await world.join(10)];
  await world.send(4);
  // Without message groups there is nothing to keep in order, but the turn is one socket's.
  const counts = sockets.map(({ messages }) => messages.length).toSorted((a, b) => a - b);
  expect(counts).toEqual([0, 4]);
});

test("[D3] a socket that asks for it has one message of a message group, so that one which fails holds the next", async () => {
  const world = await World.open({ ordered: true });
  const socket = await world.join();
  await world.say(socket, { credit: 10, onePerMessageGroup: true });
  const [a, b] = [{ messageGroup: "a" }, { messageGroup: "b" }];
  await world.sendThese(a, a, b, a, b, {}, {});
  const offsets = (): number[] => socket.messages.map(({ offset }) => offset);
  expect(offsets()).toEqual([0, 2, 5, 6]);
  const [first, second] = receipts(socket.messages);
  await world.say(socket, { nack: [first], delayMs: 0 });
  expect(offsets(), "the same again, and alone").toEqual([0, 2, 5, 6, 0]);
  await world.say(socket, { ack: [second] });
  expect(offsets()).toEqual([0, 2, 5, 6, 0, 4]);
  world.wake();
  await world.say(socket, { ack: receipts(socket.messages).slice(-2) });
  expect(offsets(), "the socket's wish outlives the memory").toEqual([0, 2, 5, 6, 0, 4, 1]);
  await world.say(socket, { ack: receipts(socket.messages).slice(-1) });
  expect(offsets()).toEqual([0, 2, 5, 6, 0, 4, 1, 3]);
});

test("[D3] failed messages of one message group come again one by one to who asks for it", async () => {
  const world = await World.open({ ordered: true, backoff: { delaysMs: [0] } });
  const batch = await world.join(10);
  const a = { messageGroup: "a" };
  await world.sendThese(a, a);
  expect(batch.messages, "a contiguous batch").toHaveLength(2);
  const single = await world.join();
  await world.leave(batch, 1006);
  await world.say(single, { credit: 10, onePerMessageGroup: true });
  const offsets = (): number[] => single.messages.map(({ offset }) => offset);
  expect(offsets()).toEqual([0]);
  await world.say(single, { ack: receipts(single.messages) });
  expect(offsets()).toEqual([0, 1]);
});

test("a group that is gone ends its sockets with the reason", async () => {
  const world = await World.open();
  const socket = await world.join(5);
  await world.gateway.ended(STAMP.incarnation, world.group.number);
  expect(socket.closedWith).toBe(1001);
  expect(socket.frames.at(-1)?.error?.code).toBe("group_not_found");
  expect(await world.gateway.ring(STAMP.incarnation, world.group.number, 0)).toBe(false);
});

test("a queue that cannot be reached is asked once a second", async () => {
  const world = await World.open();
  const socket = await world.join(5);
  await world.send(1);
  await world.say(socket, { ack: receipts(socket.messages) });
  world.queueDown = true;
  await world.send(1);
  const before = world.calls;
  await world.bench.pass(3_000);
  expect(world.calls - before).toBeLessThanOrEqual(4);
  world.queueDown = false;
  await world.bench.pass(1_000);
  await world.settle();
  expect(socket.messages).toHaveLength(2);
});

test("a flood of frames ends the socket; five hundred a second are fine", async () => {
  const world = await World.open();
  const calm = await world.join();
  for (let second = 0; second < 5; second++) {
    for (let n = 0; n < 500; n++) await world.gateway.hear(calm, '{"credit":0}');
    await world.bench.pass(1_000);
  }
  expect(calm.closedWith).toBeUndefined();
  const flood = await world.join();
  for (let n = 0; n < 1_002; n++) await world.gateway.hear(flood, '{"credit":0}');
  expect(flood.closedWith).toBe(1008);
  expect(flood.frames.at(-1)?.error?.code).toBe("rate_limited");
});

const KEY = { name: "k", hash: "h" } as const;

test("a key is looked at again before anything is done for it, at most every five seconds", async () => {
  const world = await World.open();
  const socket = await world.join(5, undefined, KEY);
  await world.send(2);
  expect(socket.messages).toHaveLength(2);
  expect(world.keyChecks).toBe(1);
  await world.bench.pass(6_000);
  await world.say(socket, { ack: receipts(socket.messages).slice(0, 1) });
  expect(world.keyChecks).toBe(2);
});

test("a key that was deleted gets nothing more, and what it held comes back uncounted", async () => {
  const world = await World.open({ maxAttempts: 1 });
  const socket = await world.join(5, undefined, KEY);
  await world.send(1);
  world.isGood = () => accept(false);
  await world.bench.pass(5_000);
  await world.send(1);
  expect(socket.messages).toHaveLength(1);
  expect(socket.closedWith).toBe(1008);
  expect(socket.frames.at(-1)?.error?.code).toBe("unauthenticated");
  expect(await world.figures()).toMatchObject({ lag: 2, inFlight: 0, deadLetters: 0 });
});

test("a key that cannot be looked at gets nothing until it can be", async () => {
  const world = await World.open();
  world.isGood = () => refuse("unavailable", "down");
  const socket = await world.join(5, undefined, KEY);
  await world.send(1);
  expect(socket.messages).toEqual([]);
  expect(socket.closedWith).toBeUndefined();
  world.isGood = () => accept(true);
  await world.say(socket, { credit: 5 });
  expect(socket.messages).toHaveLength(1);
});

test("a key's end ends its socket", async () => {
  const world = await World.open();
  const key = { ...KEY, expiresAt: world.bench.clock.nowMs() + 2_000 };
  const socket = await world.join(5, undefined, key);
  await world.send(1);
  expect(socket.messages).toHaveLength(1);
  await world.bench.pass(2_000);
  await world.send(1);
  expect(socket.messages).toHaveLength(1);
  expect(socket.closedWith).toBe(1008);
});

test("what a socket keeps stays small, however much it holds", async () => {
  const world = await World.open();
  const socket = await world.join(1_000, undefined);
  await world.send(1_000);
  expect(socket.messages).toHaveLength(1_000);
  expect(socket.attachedBytes).toBeLessThan(500);
});

test("places are dealt in turn, and nobody gets more than is free", () => {
  const at = { version: 1, credit: 0, held: 0, heldUntil: 0 } as const;
  const [a, b, c] = [new Session(at, 0), new Session(at, 0), new Session(at, 0)];
  expect(
    dealt(
      new Map([
        [a, 1],
        [b, 5],
        [c, 2],
      ]),
      6,
    ),
  ).toEqual([a, b, c, b, c, b]);
  expect(dealt(new Map([[a, 1]]), 5)).toEqual([a]);
  expect(dealt(new Map(), 5)).toEqual([]);
});
