/** Calls of many requests in one: each is made once and gets its own answer, and none depends on another request's life. */
import { expect, test } from "vitest";
import { SharedCalls } from "../../src/broker/shared-calls.ts";
import type { Fault, SharedAnswer, SharedCall, Trip } from "../../src/protocol/sharing.ts";
import { FakeClock, turns } from "../client/fake-clock.node.ts";
import * as fc from "../kit/properties.node.ts";

const STAMP = { incarnation: 1, version: 1 };

const send = (mark: number, bytes = 1): SharedCall => ({
  verb: "send",
  call: { stamp: STAMP, records: new Uint8Array(bytes).fill(mark) },
});

const markOf = ({ verb, call }: SharedCall): number =>
  verb === "send" ? (call.records[0] ?? -1) : -1;

interface Way {
  readonly marks: readonly number[];
  readonly back: (answers?: readonly SharedAnswer[]) => void;
  readonly fail: (error: unknown) => void;
}

/** A queue whose answers come when the test says so: by default each call's mark. */
function world() {
  const clock = new FakeClock();
  const ways: Way[] = [];
  const late: string[] = [];
  /** Trips in order, and what the queue has kept of those that are asked for again; by default nothing. */
  const trips: Trip[] = [];
  const asked: string[] = [];
  const kept = {
    answer: (): Promise<readonly SharedAnswer[] | undefined> => Promise.resolve(undefined),
  };
  const travel = (calls: readonly SharedCall[]): Promise<readonly SharedAnswer[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly SharedAnswer[]>();
    const marks = calls.map(markOf);
    const own = marks.map((outcome): SharedAnswer => ({ is: "answered", outcome }));
    ways.push({ marks, back: (answers = own) => resolve(answers), fail: reject });
    return promise;
  };
  let count = 0;
  /** Requests that are gone: what they wait for never comes. */
  const gone = { isNext: false };
  const shared = new SharedCalls({
    clock: {
      nowMs: clock.now,
      after: (delayMs, run) => (gone.isNext ? () => undefined : clock.after(delayMs, run)),
    },
    alone: async (_, call) => {
      const [answer] = await travel([call]);
      if (answer?.is !== "answered") throw new Error("a lone call is answered");
      return answer.outcome;
    },
    together: (_, calls, trip) => {
      trips.push(trip);
      return travel(calls);
    },
    missed: (_, trip) => {
      asked.push(trip);
      return kept.answer();
    },
    newId: () => `t${++count}`,
    late: async (_, ticket) => {
      late.push(ticket);
      return { is: "answered", outcome: `late ${ticket}` };
    },
    outlive: () => undefined,
  });
  const ask = (mark: number, bytes?: number) => shared.ask("q", send(mark, bytes));
  const marks = () => ways.map((way) => way.marks);
  return { clock, ways, late, shared, ask, gone, trips, asked, kept, marks };
}

const isLost = { message: "the answer to a shared call was lost" } satisfies Fault;

test("a lone call goes by itself, at once, and leaves no timer", async () => {
  const { ways, ask, clock, marks } = world();
  const answer = ask(1);
  expect(marks()).toEqual([[1]]);
  expect(clock.timers).toBe(0);
  ways[0]?.back();
  expect(await answer).toBe(1);
  const next = ask(2);
  expect(marks()).toEqual([[1], [2]]);
  ways[1]?.back();
  expect(await next).toBe(2);
});

test("calls that come meanwhile go together as soon as the one before is back", async () => {
  const { ways, ask, clock, marks } = world();
  const answers = [1, 2, 3, 4].map((mark) => ask(mark));
  expect(marks()).toEqual([[1]]);
  ways[0]?.back();
  await turns();
  expect(marks()).toEqual([[1], [2, 3, 4]]);
  ways[1]?.back();
  expect(await Promise.all(answers)).toEqual([1, 2, 3, 4]);
  expect(clock.timers).toBe(0);
});

test("and after two milliseconds though it is not", async () => {
  const { ways, ask, clock, marks } = world();
  const answers = [1, 2].map((mark) => ask(mark));
  await clock.advance(1);
  expect(marks()).toEqual([[1]]);
  answers.push(ask(3));
  await clock.advance(1);
  expect(marks()).toEqual([[1], [2, 3]]);
  ways[1]?.back();
  ways[0]?.back();
  expect(await Promise.all(answers)).toEqual([1, 2, 3]);
});

test("calls to another queue go their own way", async () => {
  const { shared, marks } = world();
  void shared.ask("q", send(1));
  void shared.ask("r", send(2));
  expect(marks()).toEqual([[1], [2]]);
});

test("a large call goes by itself, and so many bytes go together at most", async () => {
  const { ask, clock, marks } = world();
  const KIB = 1024;
  void ask(1);
  void ask(2, 257 * KIB);
  expect(marks()).toEqual([[1], [2]]);
  for (const mark of [3, 4, 5, 6, 7]) void ask(mark, 256 * KIB);
  await clock.advance(2);
  expect(marks()).toEqual([[1], [2], [3, 4, 5, 6], [7]]);
});

test("no more than 256 calls go together", async () => {
  const { ask, clock, ways } = world();
  for (let count = 0; count < 300; count++) void ask(1);
  await clock.advance(2);
  expect(ways.map(({ marks }) => marks.length)).toEqual([1, 256, 43]);
});

test("an answer that is late is fetched by whoever asked", async () => {
  const { ways, ask, late } = world();
  const answers = [1, 2, 3].map((mark) => ask(mark));
  ways[0]?.back();
  await turns();
  ways[1]?.back([
    { is: "late", ticket: "t1" },
    { is: "answered", outcome: 3 },
  ]);
  expect(await Promise.all(answers)).toEqual([1, "late t1", 3]);
  expect(late).toEqual(["t1"]);
});

test("one call that fails takes no other with it", async () => {
  const { ways, ask } = world();
  const answers = [1, 2, 3].map((mark) => ask(mark));
  ways[0]?.back();
  await turns();
  ways[1]?.back([
    { is: "failed", fault: { message: "a bug" } },
    { is: "answered", outcome: 3 },
  ]);
  expect(await Promise.allSettled(answers)).toEqual([
    { status: "fulfilled", value: 1 },
    { status: "rejected", reason: { message: "a bug" } },
    { status: "fulfilled", value: 3 },
  ]);
});

test("who goes together is told alike when the object cannot be reached", async () => {
  const { ways, ask, clock } = world();
  const answers = [1, 2, 3].map((mark) => ask(mark));
  ways[0]?.back();
  await turns();
  ways[1]?.fail(Object.assign(new Error("moved"), { retryable: true, overloaded: false }));
  const reason = { message: "moved", retryable: true, overloaded: false };
  expect(await Promise.allSettled(answers)).toEqual([
    { status: "fulfilled", value: 1 },
    { status: "rejected", reason },
    { status: "rejected", reason },
  ]);
  expect(clock.timers).toBe(0);
});

test("an answer that is missing is nobody's guess", async () => {
  const { ways, ask } = world();
  const answers = [1, 2, 3].map((mark) => ask(mark));
  ways[0]?.back();
  await turns();
  ways[1]?.back([{ is: "answered", outcome: 2 }]);
  expect((await Promise.allSettled(answers))[2]).toEqual({ status: "rejected", reason: isLost });
});

test("when the request that leads is gone another leads, and nobody joins it for long", async () => {
  const { ways, ask, clock, gone, marks } = world();
  void ask(1);
  gone.isNext = true;
  void ask(2);
  gone.isNext = false;
  const third = ask(3);
  await clock.advance(51);
  const fourth = ask(4);
  await clock.advance(2);
  expect(marks()).toEqual([[1], [4]]);
  await clock.advance(1_000);
  expect(marks()).toEqual([[1], [4], [2, 3]]);
  ways[1]?.back();
  ways[2]?.back();
  expect(await Promise.all([third, fourth])).toEqual([3, 4]);
});

test("when it is gone after it has sent, the others are told what the queue has kept, and nothing is done twice", async () => {
  const { ask, clock, kept, asked, marks } = world();
  const answers = [1, 2, 3, 4].map((mark) => ask(mark));
  await clock.advance(2);
  kept.answer = () =>
    Promise.resolve(
      [2, 3, 4].map((mark): SharedAnswer => ({ is: "answered", outcome: mark * 10 })),
    );
  await clock.advance(997);
  expect(asked).toEqual([]);
  await clock.advance(1);
  expect(await Promise.all(answers.slice(1))).toEqual([20, 30, 40]);
  expect(asked).toEqual(["t1"]);
  expect(marks()).toEqual([[1], [2, 3, 4]]);
  expect(clock.timers).toBe(0);
});

test("when the queue has nothing of it they hear so within three seconds", async () => {
  const { ask, clock, asked } = world();
  void ask(1);
  const others = [2, 3].map((mark) => ask(mark).catch((fault: unknown) => fault));
  await clock.advance(3_000);
  expect(await Promise.all(others)).toEqual([isLost, isLost]);
  expect(asked).toEqual(["t1", "t1"]);
  expect(clock.timers).toBe(0);
});

test("who asked and is gone, too, is followed by another", async () => {
  const { ask, clock, kept, asked } = world();
  void ask(1);
  void ask(2);
  const third = ask(3);
  kept.answer = () => new Promise(() => {});
  await clock.advance(1_000);
  kept.answer = () => Promise.resolve([2, 3].map((outcome) => ({ is: "answered", outcome })));
  await clock.advance(2_000);
  expect([await third, asked]).toEqual([3, ["t1", "t1"]]);
});

test("a call that is slow is not given up by the request that makes it, nor while the queue is out of reach", async () => {
  const { ask, clock, ways, kept } = world();
  void ask(1);
  const answers = [ask(2), ask(3)];
  kept.answer = () => Promise.reject(new Error("moved"));
  await clock.advance(10_000);
  ways[1]?.back();
  expect(await Promise.all(answers)).toEqual([2, 3]);
  const lone = ask(4);
  await clock.advance(10_000);
  ways[2]?.back();
  ways[0]?.back();
  expect(await lone).toBe(4);
});

test("the queue is told whose answers have arrived, so that it keeps them no longer", async () => {
  const { ask, ways, trips } = world();
  const answers = [1, 2, 3].map((mark) => ask(mark));
  for (const at of [0, 1, 2]) {
    if (at === 1) answers.push(ask(4), ask(5));
    ways[at]?.back();
    await turns();
  }
  expect(await Promise.all(answers)).toEqual([1, 2, 3, 4, 5]);
  expect(trips).toEqual([
    { id: "t1", over: [] },
    { id: "t2", over: ["t1"] },
  ]);
});

test("the way to a queue is forgotten though its last request ended without a word", async () => {
  const { shared, clock } = world();
  for (let queue = 0; queue < 100; queue++) void shared.ask(`q${queue}`, send(1));
  expect(shared.ways).toBe(100);
  await clock.advance(60_001);
  for (let queue = 0; queue < 60; queue++) void shared.ask(`r${queue}`, send(1));
  expect(shared.ways).toBe(60);
});

test("a call that never comes back is given up, and keeps nobody waiting", async () => {
  const { ways, ask, clock, kept } = world();
  kept.answer = () => new Promise(() => {});
  void ask(1);
  const second = ask(2).catch((fault: unknown) => fault);
  await clock.advance(40_000);
  expect(await second).toEqual(isLost);
  expect(clock.timers).toBe(0);
  const third = ask(3);
  await clock.advance(2);
  ways[2]?.back();
  expect(await third).toBe(3);
  void ask(4);
  expect(ways[3]?.marks).toEqual([4]);
});

test("whatever the order, each call is made once and gets its own answer", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.constant("ask"), fc.constant("wait"), fc.nat(20)), { maxLength: 60 }),
      async (steps) => {
        const { ways, ask, clock } = world();
        const answers: Promise<unknown>[] = [];
        for (const step of steps) {
          if (step === "ask") answers.push(ask(answers.length + 1));
          else if (step === "wait") await clock.advance(1);
          else ways[step]?.back();
        }
        await clock.advance(2);
        for (let at = 0; at < ways.length; at++) {
          ways[at]?.back();
          await clock.advance(2);
        }
        expect(await Promise.all(answers)).toEqual(answers.map((_, index) => index + 1));
        const made = ways.flatMap(({ marks }) => marks);
        expect(made.toSorted((a, b) => a - b)).toEqual(answers.map((_, index) => index + 1));
        expect(clock.timers).toBe(0);
      },
    ),
  ));
