/** Sending over queues: who goes where, what is asked of whom, and what a failure leaves. */
import { expect, test } from "vitest";
import { createBroker } from "../../src/broker/durable-broker.ts";
import { queueOfWord } from "../../src/core/route.ts";
import type { Content } from "../../src/core/record.ts";
import { refuse, type Outcome } from "../../src/protocol/errors.ts";
import type { Keyed, Sent } from "../../src/protocol/rpc.ts";
import { World } from "./fakes.node.ts";

const at = { namespace: "default", topic: "t" };
const plain = (more: Partial<Content> = {}): Content => ({ body: { json: "1" }, ...more });
const keyed = (byte: number): Keyed => ({
  key: new Uint8Array(16).fill(byte),
  body: new Uint8Array(8).fill(byte),
});

function sentOf(outcome: Outcome<Sent>): Sent {
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
  return outcome.value;
}

test("a message group, else a producer, else a dedup id, else the request's key names the queue", async () => {
  const world = new World();
  world.topic("t", 64);
  const broker = createBroker(world.ground);
  const word = [...new Uint8Array(16).fill(7)].map((each) => each.toString(16).padStart(2, "0"));
  const messages = [
    plain({ messageGroup: "g", producer: { id: "p", epoch: 1, sequence: 1 }, dedupId: "d" }),
    plain({ producer: { id: "p", epoch: 1, sequence: 1 }, dedupId: "d" }),
    plain({ dedupId: "d" }),
    plain(),
  ];
  const sent = sentOf(await broker.send(at, { messages, keyed: keyed(7) }));
  expect(sent.messages.map((each) => each.queue)).toEqual(
    ["g", "p", "d", word.join("")].map((each) => queueOfWord(each, 64)),
  );
});

test("messages without a word go together, to a queue drawn once per request", async () => {
  const world = new World();
  world.topic("t", 4);
  world.draw = 0.6;
  const broker = createBroker(world.ground);
  const sent = sentOf(await broker.send(at, { messages: [plain(), plain(), plain()] }));
  expect(sent.messages.map((each) => each.queue)).toEqual([2, 2, 2]);
  expect(world.calls).toEqual(["registry topic", "queue t/2 send"]);
});

test("messages without a word go where the isolate sends already, and elsewhere after a second", async () => {
  const world = new World();
  world.topic("t", 8);
  const broker = createBroker(world.ground);
  const queueNow = async (): Promise<number | undefined> =>
    sentOf(await broker.send(at, { messages: [plain()] })).messages[0]?.queue;
  const seen = new Set<number | undefined>();
  for (let second = 0; second < 13; second++) {
    const first = await queueNow();
    for (let more = 0; more < 5; more++) expect(await queueNow()).toBe(first);
    seen.add(first);
    world.nowMs += 1_000;
  }
  expect(seen.size).toBe(8);
});

test("what one queue does not group any better goes to a second one", async () => {
  const world = new World();
  world.topic("t", 8);
  const broker = createBroker(world.ground);
  const sending = Array.from({ length: 64 }, () => broker.send(at, { messages: [plain()] }));
  const sent = (await Promise.all(sending)).map((outcome) => sentOf(outcome).messages[0]?.queue);
  const counts = [...Map.groupBy(sent, (queue) => queue).values()].map(({ length }) => length);
  expect(counts).toEqual([32, 32]);
});

test("each queue is called once and the answers stand in request order", async () => {
  const world = new World();
  world.topic("t", 8);
  const broker = createBroker(world.ground);
  const messages = Array.from({ length: 40 }, (_, index) =>
    plain({ messageGroup: `g${index % 10}` }),
  );
  const sent = sentOf(await broker.send(at, { messages }));
  for (const [index, message] of sent.messages.entries()) {
    expect(message.queue).toBe(queueOfWord(`g${index % 10}`, 8));
  }
  const queues = new Set(sent.messages.map((each) => each.queue));
  expect(world.count(/send/)).toBe(queues.size);
});

test("a known topic costs one call", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  await broker.send(at, { messages: [plain()] });
  world.calls.length = 0;
  await broker.send(at, { messages: [plain()] });
  expect(world.calls).toEqual(["queue t/0 send"]);
});

test("a stale route is read again and only what is not stored is sent again", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  const messages = ["a", "b", "c", "d"].map((messageGroup) => plain({ messageGroup }));
  await broker.send(at, { messages });
  const before = [world.queue("t", 0).log.length, world.queue("t", 1).log.length];
  world.queue("t", 0).refusals.push(refuse("stale_route", "newer"));
  world.calls.length = 0;
  sentOf(await broker.send(at, { messages }));
  const after = [world.queue("t", 0).log.length, world.queue("t", 1).log.length];
  expect(after).toEqual(before.map((count) => count * 2));
  expect(world.count(/registry topic/)).toBe(1);
  expect(world.count(/t\/1 send/)).toBe(1);
});

test("a route that stays stale ends in 503 after three repeats", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  for (let round = 0; round < 9; round++)
    world.queue("t", 0).refusals.push(refuse("stale_route", ""));
  expect(await broker.send(at, { messages: [plain()] })).toMatchObject({ code: "unavailable" });
  expect(world.count(/send/)).toBe(4);
});

test("when some queues fail, the answer says what is stored, and the key completes it", async () => {
  const world = new World();
  world.topic("t", 8);
  const broker = createBroker(world.ground);
  const messages = Array.from({ length: 16 }, (_, index) => plain({ messageGroup: `g${index}` }));
  const broken = queueOfWord("g0", 8);
  world.queue("t", broken).refusals.push({ ...refuse("overloaded", "busy"), retryAfterMs: 3_000 });
  const outcome = await broker.send(at, { messages, keyed: keyed(1) });
  expect(outcome).toMatchObject({ ok: false, code: "unavailable", retryAfterMs: 3_000 });
  const facts = outcome.ok ? undefined : outcome.facts;
  const partial = facts?.["messages"] as { id?: string; error?: string }[];
  expect(partial).toHaveLength(16);
  for (const [index, each] of partial.entries()) {
    const failed = queueOfWord(`g${index}`, 8) === broken;
    expect(each.error).toBe(failed ? "overloaded" : undefined);
    expect(typeof each.id).toBe(failed ? "undefined" : "string");
  }
  const done = sentOf(await broker.send(at, { messages, keyed: keyed(1) }));
  expect(done.replayed).toBe(false);
  expect([...world.queues.values()].reduce((sum, queue) => sum + queue.log.length, 0)).toBe(16);
  expect(sentOf(await broker.send(at, { messages, keyed: keyed(1) })).replayed).toBe(true);
});

test("a refusal of the only queue comes through as it is", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  world.queue("t", 0).refusals.push(refuse("idempotency_key_reused", "another body"));
  expect(await broker.send(at, { messages: [plain()] })).toMatchObject({
    code: "idempotency_key_reused",
  });
});

test("a keyed request that comes again after a growth is found in its former queues", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  const messages = Array.from({ length: 24 }, (_, index) =>
    index % 3 === 0 ? plain() : plain({ messageGroup: `g${index}` }),
  );
  const first = sentOf(await broker.send(at, { messages, keyed: keyed(3) }));
  world.nowMs += 1_000;
  world.topic("t", 16);
  world.nowMs += 1_000;
  world.topic("t", 64);
  const again = sentOf(await broker.send(at, { messages, keyed: keyed(3) }));
  expect(again.messages).toEqual(first.messages);
  expect(again.replayed).toBe(true);
  world.calls.length = 0;
  await broker.send(at, { messages: [plain({ messageGroup: "x" })] });
  expect(world.count(/replay/), "only keyed requests ask").toBe(0);
});

/** Keyed by the same key as `keyed(byte)`, with another body. */
const otherBody = (byte: number): Keyed => ({ ...keyed(byte), body: new Uint8Array(8).fill(99) });
const stored = (world: World): number =>
  [...world.queues.values()].reduce((sum, queue) => sum + queue.log.length, 0);

test("a key comes with one body only, whatever queues the bodies lead to", async () => {
  for (const [one, other] of [
    [plain({ messageGroup: "a" }), plain({ messageGroup: "c" })],
    [plain({ messageGroup: "a" }), plain()],
    [plain(), plain({ messageGroup: "a" })],
    [plain({ dedupId: "a" }), plain({ messageGroup: "c" })],
  ] as const) {
    const world = new World();
    world.topic("t", 64);
    const broker = createBroker(world.ground);
    sentOf(await broker.send(at, { messages: [one], keyed: keyed(5) }));
    expect(await broker.send(at, { messages: [other], keyed: otherBody(5) })).toMatchObject({
      code: "idempotency_key_reused",
    });
    expect(stored(world), "nothing of the refused one is stored").toBe(1);
    const again = sentOf(await broker.send(at, { messages: [one], keyed: keyed(5) }));
    expect(again.replayed).toBe(true);
  }
});

test("a key that was taken before a growth is known after it", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  for (let byte = 0; byte < 16; byte++) {
    const messages = [plain({ messageGroup: "a" })];
    sentOf(await broker.send(at, { messages, keyed: keyed(byte) }));
  }
  world.nowMs += 1_000;
  world.topic("t", 64);
  for (let byte = 0; byte < 16; byte++) {
    const messages = [plain({ messageGroup: "c" })];
    expect(await broker.send(at, { messages, keyed: otherBody(byte) })).toMatchObject({
      code: "idempotency_key_reused",
    });
  }
  expect(stored(world)).toBe(16);
});

test("a key whose request was refused for good is free for another body", async () => {
  const world = new World();
  world.topic("t", 64);
  const broker = createBroker(world.ground);
  const messages = [plain({ messageGroup: "a" })];
  const queue = queueOfWord("a", 64);
  world.queue("t", queue).refusals.push(refuse("backlog_full", "full"));
  expect((await broker.send(at, { messages, keyed: keyed(6) })).ok).toBe(false);
  sentOf(await broker.send(at, { messages, keyed: otherBody(6) }));
  world.queue("t", queue).refusals.push(refuse("unavailable", "perhaps stored"));
  expect((await broker.send(at, { messages, keyed: keyed(7) })).ok).toBe(false);
  expect(await broker.send(at, { messages, keyed: otherBody(7) })).toMatchObject({
    code: "idempotency_key_reused",
  });
});

test("a key costs no call where its own queue is asked anyway", async () => {
  const world = new World();
  world.topic("t", 64);
  const broker = createBroker(world.ground);
  await broker.send(at, { messages: [plain()], keyed: keyed(8) });
  expect(world.count(/^queue/)).toBe(1);
  await broker.send(at, { messages: [plain({ messageGroup: "a" })], keyed: keyed(9) });
  expect(world.count(/^queue/)).toBe(3);
});

test("a request that failed half-way before a growth is completed after it, never doubled", async () => {
  const world = new World();
  world.topic("t", 2);
  const broker = createBroker(world.ground);
  const messages = Array.from({ length: 24 }, (_, index) => plain({ messageGroup: `g${index}` }));
  world.queue("t", 1).refusals.push(refuse("unavailable", "down"));
  expect((await broker.send(at, { messages, keyed: keyed(4) })).ok).toBe(false);
  world.nowMs += 1_000;
  world.topic("t", 8);
  sentOf(await broker.send(at, { messages, keyed: keyed(4) }));
  sentOf(await broker.send(at, { messages, keyed: keyed(4) }));
  expect([...world.queues.values()].reduce((sum, queue) => sum + queue.log.length, 0)).toBe(24);
});

/** A message group that eight queues keep at this one. */
function groupAt(queue: number): string {
  const names = Array.from({ length: 100 }, (_, index) => `g${index}`);
  return names.find((name) => queueOfWord(name, 8) === queue) ?? "none";
}

test("what is left of a request is not taken for an equally long part that was stored before", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  world.nowMs += 1_000;
  world.topic("t", 8);
  const messages = [5, 0, 0, 5].map((queue) => plain({ messageGroup: groupAt(queue) }));
  world.queue("t", 5).refusals.push(refuse("stale_route", "newer"));
  const sent = sentOf(await broker.send(at, { messages, keyed: keyed(4) }));
  expect(sent.messages.map((each) => each.queue)).toEqual([5, 0, 0, 5]);
  expect(stored(world)).toBe(4);
});

test("an unknown topic is made, unless auto-creation is off", async () => {
  const world = new World();
  await createBroker(world.ground).send(at, { messages: [plain()] });
  expect(world.routes.has("t")).toBe(true);
  const closed = createBroker({ ...world.ground, autoCreate: false });
  const other = { namespace: "default", topic: "other" };
  expect(await closed.send(other, { messages: [plain()] })).toMatchObject({
    code: "topic_not_found",
  });
});

test("a hole anywhere in a request over several queues is found before anything is sent", async () => {
  const world = new World();
  world.topic("t", 8);
  const broker = createBroker(world.ground);
  const messages = Array.from({ length: 8 }, (_, index) =>
    plain({ producer: { id: `p${index}`, epoch: 1, sequence: index === 5 ? 2 : 1 } }),
  );
  const outcome = await broker.send(at, { messages });
  expect(outcome).toMatchObject({ code: "sequence_gap", facts: { expected: 1, index: 5 } });
  expect(world.count(/send/)).toBe(0);
});

test("a producer that is new to its queue is looked up in the former ones of the window", async () => {
  const world = new World();
  world.topic("t", 1);
  const broker = createBroker(world.ground);
  world.nowMs += 1_000;
  world.topic("t", 8);
  const queue = queueOfWord("p", 8);
  world.queue("t", 0).seats.set("p", { epoch: 3, sequence: 7 });
  world.queue("t", queue).asksFormer = true;
  const messages = [plain({ producer: { id: "p", epoch: 3, sequence: 8 } })];
  sentOf(await broker.send(at, { messages }));
  const [first, second] = world.queue("t", queue).sends;
  expect(first?.former).toBeUndefined();
  expect(second?.former).toEqual([{ epoch: 3, sequence: 7 }]);
});
