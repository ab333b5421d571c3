/** The client over a service binding, which a fake plays: what it hands over, what it makes of answers, when it lets go. */
import { expect, test } from "vitest";
import { HalfMQ } from "../../src/client/index.ts";
import type { BindingAnswer, BindingCall, Hold } from "../../src/protocol/calling.ts";
import { FakeClock } from "./fake-clock.node.ts";

type Answering = (call: BindingCall, hold: Hold | undefined) => Partial<BindingAnswer> | Error;

function bound(...answers: readonly Answering[]) {
  const clock = new FakeClock();
  const calls: BindingCall[] = [];
  const holds: (Hold | undefined)[] = [];
  const call = async (given: BindingCall, hold?: Hold): Promise<BindingAnswer> => {
    const answering = answers[Math.min(calls.length, answers.length - 1)];
    calls.push(given);
    holds.push(hold);
    const answer = answering?.(given, hold) ?? {};
    if (answer instanceof Error) throw answer;
    return { status: 200, headers: {}, body: "{}", ...answer };
  };
  return { clock, calls, holds, mq: new HalfMQ({ binding: { call }, clock }) };
}

const SENT = JSON.stringify({ messages: [{ id: "m", queue: 0, offset: 0, state: "ready" }] });

test("a send is the wire's request without a host and without a key", async () => {
  const { mq, calls, holds } = bound(() => ({ body: SENT }));
  await mq.send("a b", { bodyText: "1.00" }, { idempotencyKey: "once", traceparent: "00-t" });
  expect(calls).toEqual([
    {
      method: "POST",
      path: "/v1/topics/a%20b/messages",
      text: '{"messages":[{"body":1.00}]}',
      headers: { "idempotency-key": "once", traceparent: "00-t" },
    },
  ]);
  expect(holds).toEqual([undefined]);
});

const problem = (status: number, code: string) => () => ({
  status,
  headers: { "x-request-id": "r", "retry-after": "1" },
  body: JSON.stringify({ status, code, detail: "no", retryable: status === 503, field: "f" }),
});

test("a refusal is a HalfmqError, and one that passes is tried again with the same key", async () => {
  const { mq, calls, clock } = bound(
    problem(503, "unavailable"),
    () => new Error("the other Worker is being deployed"),
    problem(409, "producer_fenced"),
  );
  const sent = mq.send("t", { body: 1 }).catch((error: unknown) => error);
  await clock.advance(5_000);
  expect(await sent).toMatchObject({
    code: "producer_fenced",
    status: 409,
    requestId: "r",
    facts: { field: "f" },
    attempts: 3,
    mayBeDone: true,
  });
  expect(new Set(calls.map(({ headers }) => headers?.["idempotency-key"])).size).toBe(1);
});

test("only a wait carries a hold, which ends when the wait is given up", async () => {
  const { mq, holds } = bound(
    () => ({ body: '{"messages":[]}' }),
    () => ({ body: '{"messages":[]}' }),
  );
  const consumer = mq.consumer("t", "g");
  await consumer.receive({});
  const controller = new AbortController();
  await consumer.receive({ waitMs: 1_000, signal: controller.signal });
  expect(holds).toEqual([undefined, expect.any(Function)]);
});

test("a wait that is aborted rejects at once with the reason, and its hold ends", async () => {
  const controller = new AbortController();
  const never = Promise.withResolvers<BindingAnswer>();
  const held = Promise.withResolvers<Hold>();
  const call = (_: BindingCall, hold?: Hold): Promise<BindingAnswer> => {
    if (hold !== undefined) held.resolve(hold);
    return never.promise;
  };
  const mq = new HalfMQ({ binding: { call }, clock: new FakeClock() });
  const wait = mq.consumer("t", "g").receive({ waitMs: 1_000, signal: controller.signal });
  const ended = (await held.promise)();
  controller.abort(new Error("enough"));
  await expect(wait).rejects.toThrow("enough");
  await ended;
  // What comes later is nobody's.
  never.reject(new Error("late"));
});

test("without an answer in time it is a timeout, as over HTTP", async () => {
  const clock = new FakeClock();
  const { promise: never } = Promise.withResolvers<BindingAnswer>();
  const mq = new HalfMQ({
    binding: { call: () => never },
    clock,
    retry: { attempts: 1 },
    timeoutMs: 500,
  });
  const sent = mq.send("t", { body: 1 }).catch((error: unknown) => error);
  await clock.advance(500);
  expect(await sent).toMatchObject({
    code: "timeout",
    mayBeDone: true,
  });
});

test("an answer in pieces is read to its end", async () => {
  const { mq } = bound(() => ({ body: new Response(SENT).body ?? "" }));
  expect(await mq.send("t", { body: 1 })).toMatchObject({ id: "m" });
});
