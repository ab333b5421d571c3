/** Calls that came together: in order, each on its own, and none held up by another. */
import { expect, test } from "vitest";
import { accept } from "../../src/protocol/errors.ts";
import type { QueueRpc } from "../../src/protocol/rpc.ts";
import type { SharedAnswer, SharedCall, SharedVerb } from "../../src/protocol/sharing.ts";
import { Shared } from "../../src/queue/shared.ts";
import { FakeClock, turns } from "../client/fake-clock.node.ts";

const MIB = 1024 * 1024;
const STAMP = { incarnation: 1, version: 1 };

const send = (mark: number): SharedCall => ({
  verb: "send",
  call: { stamp: STAMP, records: Uint8Array.of(mark) },
});

const settle: SharedCall = {
  verb: "settle",
  call: { stamp: STAMP, group: "g", verb: "ack", receipts: [] },
};

const receive: SharedCall = {
  verb: "receive",
  call: { stamp: STAMP, group: "g", maxMessages: 1, invisibleMs: 1, waitMs: 0, bytesMax: MIB },
};

const unused = (): never => {
  throw new Error("not called here");
};

function world(verbs: Partial<Pick<QueueRpc, SharedVerb | "poke">>) {
  const clock = new FakeClock();
  const all = {
    send: unused,
    prepare: unused,
    decide: unused,
    receive: unused,
    settle: unused,
    // A flush that waits for the commit before it, unless a test says otherwise.
    poke: () => new Promise<void>(() => {}),
    ...verbs,
  };
  const life = (random: number): Shared =>
    new Shared(all, { nowMs: clock.now, after: clock.after }, () => random);
  return { clock, life, shared: life(0.5) };
}

const stored = (first: number) => accept({ stored: { first, count: 1 }, replayed: false });

const delivered = (bytes: number) =>
  accept({
    entries: new Uint8Array(bytes),
    offsets: [0],
    storedAts: [0],
    attempts: [1],
    receipts: ["r"],
    invisibleUntils: [1],
    paused: false,
    more: false,
  });

let trips = 0;

/** As of an isolate whose every trip is lost. */
const answer = (shared: Shared, calls: readonly SharedCall[], over: readonly string[] = []) =>
  shared.answer(calls, { id: `t${++trips}`, over });

const ticketOf = (answer: SharedAnswer | undefined): string =>
  answer?.is === "late" ? answer.ticket : "none";

test("the calls are made in order, and answered each by its own", async () => {
  const made: unknown[] = [];
  const { shared, clock } = world({
    send: async ({ records }) => {
      made.push(records[0]);
      return stored(records[0] ?? 0);
    },
    settle: async ({ group }) => {
      made.push(group);
      return accept([]);
    },
  });
  expect(await answer(shared, [send(7), settle, send(8)])).toEqual([
    { is: "answered", outcome: stored(7) },
    { is: "answered", outcome: accept([]) },
    { is: "answered", outcome: stored(8) },
  ]);
  expect(made).toEqual([7, "g", 8]);
  expect(clock.timers).toBe(0);
});

test("a call that throws fails alone, with nothing of it but its message", async () => {
  const { shared } = world({
    send: async () => stored(1),
    settle: () => Promise.reject(new TypeError("a bug")),
  });
  expect(await answer(shared, [settle, send(1)])).toEqual([
    { is: "failed", fault: { message: "a bug" } },
    { is: "answered", outcome: stored(1) },
  ]);
});

test("one that takes long is fetched later, once", async () => {
  const slow = Promise.withResolvers<void>();
  const { shared, clock } = world({
    send: async () => stored(1),
    receive: async () => {
      await slow.promise;
      return delivered(10);
    },
  });
  const answering = answer(shared, [receive, send(1)]);
  await clock.advance(100);
  const [first, second] = await answering;
  expect(second).toEqual({ is: "answered", outcome: stored(1) });
  const fetched = shared.late(ticketOf(first));
  slow.resolve();
  expect(await fetched).toEqual({ is: "answered", outcome: delivered(10) });
  expect(await shared.late(ticketOf(first))).toMatchObject({ is: "failed" });
});

test("who is through with the flush waits ten milliseconds for one that is not", async () => {
  const flush = Promise.withResolvers<void>();
  const { shared, clock } = world({
    poke: () => flush.promise,
    send: async () => {
      await flush.promise;
      return stored(1);
    },
    receive: () => new Promise(() => {}),
  });
  let answers: readonly SharedAnswer[] | undefined;
  void answer(shared, [receive, send(1)]).then((all) => (answers = all));
  await clock.advance(20);
  expect(answers).toBeUndefined();
  flush.resolve();
  await turns();
  await clock.advance(9);
  expect(answers).toBeUndefined();
  await clock.advance(1);
  expect(answers?.map(({ is }) => is)).toEqual(["late", "answered"]);
  expect(clock.timers).toBe(0);
});

test("what is long is fetched by itself, so that an answer stays within what a call carries", async () => {
  const { shared } = world({ receive: async () => delivered(3 * MIB) });
  const answers = await answer(shared, [receive, receive, receive]);
  expect(answers.map(({ is }) => is)).toEqual(["answered", "answered", "late"]);
  expect(await shared.late(ticketOf(answers[2]))).toMatchObject({ is: "answered" });
});

test("an answer that nobody fetches goes after a minute, and with its object", async () => {
  const { shared, clock, life } = world({ receive: async () => delivered(9 * MIB) });
  const [first] = await answer(shared, [receive]);
  expect(await life(0.25).late(ticketOf(first))).toMatchObject({ is: "failed" });
  await clock.advance(60_001);
  const [second] = await answer(shared, [receive]);
  await turns();
  expect(await shared.late(ticketOf(first))).toMatchObject({ is: "failed" });
  expect(await shared.late(ticketOf(second))).toMatchObject({ is: "answered" });
});

test("nor does it stay until another is late", async () => {
  const { shared, clock } = world({
    receive: async () => delivered(9 * MIB),
    send: async () => stored(1),
  });
  await answer(shared, [receive]);
  expect(shared.kept).toBe(1);
  await clock.advance(60_001);
  await answer(shared, [send(1)]);
  expect(shared.kept).toBe(0);
});

test("calls that wait for no flush cause none", async () => {
  let pokes = 0;
  const { shared, clock } = world({
    send: async () => stored(1),
    poke: async () => void pokes++,
  });
  expect(await answer(shared, [send(1), send(2)])).toHaveLength(2);
  await clock.advance(1_000);
  expect([pokes, clock.timers]).toEqual([0, 0]);
});

const many = (count: number): SharedCall[] => Array.from({ length: count }, () => send(1));

test("answers are told again until they have arrived, and nothing is made again", async () => {
  let made = 0;
  const flush = Promise.withResolvers<void>();
  const { shared } = world({
    send: async () => {
      made++;
      await flush.promise;
      return stored(1);
    },
  });
  const trip = { id: "a", over: [] };
  const first = shared.answer([send(1), send(2)], trip);
  const again = shared.missed("a");
  flush.resolve();
  expect(await again).toEqual(await first);
  expect(await shared.missed("a")).toEqual(await first);
  expect(made).toBe(2);
  await shared.answer([send(3), send(4)], { id: "b", over: ["a"] });
  expect(await shared.missed("a")).toBeUndefined();
  expect(await shared.missed("b")).toHaveLength(2);
  expect(await shared.missed("never came")).toBeUndefined();
});

test("answers that nobody asks for again go with time, and are bounded in bytes", async () => {
  const { shared, clock } = world({
    send: async () => stored(1),
    receive: async () => delivered(MIB),
  });
  await shared.answer(many(2), { id: "old", over: [] });
  await clock.advance(10_001);
  await shared.answer(many(2), { id: "young", over: [] });
  expect(await shared.missed("old")).toBeUndefined();
  expect(await shared.missed("young")).toHaveLength(2);
  await shared.answer([receive, send(1)], { id: "long", over: [] });
  expect(await shared.missed("long")).toBeUndefined();
  // What is too long by itself takes nobody else's with it.
  expect(await shared.missed("young")).toHaveLength(2);
  for (let count = 0; count < 100; count++)
    await shared.answer(many(256), { id: `t${count}`, over: [] });
  const found = await Promise.all(Array.from({ length: 100 }, (_, at) => shared.missed(`t${at}`)));
  expect(found.filter((answers) => answers !== undefined)).toHaveLength(8 + 1);
  expect(await shared.missed("t99")).toHaveLength(256);
});

test("answers with many receipts count for what they hold", async () => {
  const receipts = Array.from({ length: 1_000 }, (_, at) => ({
    receipt: `r_${at}`,
    ok: true as const,
  }));
  const { shared } = world({ settle: async () => accept(receipts) });
  for (let count = 0; count < 100; count++)
    await shared.answer([settle, settle], { id: `t${count}`, over: [] });
  const found = await Promise.all(Array.from({ length: 100 }, (_, at) => shared.missed(`t${at}`)));
  expect(found.filter((answers) => answers !== undefined)).toHaveLength(4 + 1);
});
