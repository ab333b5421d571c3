/** Calls to objects: what is tried again, with which stub, and what the caller is told in the end. */
import { expect, test } from "vitest";
import type { Clock } from "../../src/platform/clock.ts";
import { Outages } from "../../src/platform/outages.ts";
import { callObject } from "../../src/platform/stub.ts";
import { accept, type Outcome, refuse } from "../../src/protocol/errors.ts";

/** Timers go off at once and are written down; `frozen` ones never do. */
function makeGround(frozen = false) {
  const pausesMs: number[] = [];
  const logged: string[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    after: (delayMs, run) => {
      pausesMs.push(delayMs);
      if (!frozen) queueMicrotask(run);
      return () => undefined;
    },
  };
  const log = { info: () => undefined, error: (event: string) => void logged.push(event) };
  const outages = new Outages();
  return { pausesMs, logged, options: { clock, log, outages, random: () => 0.5 } };
}

const fault = (fields: object): Error => Object.assign(new Error("lost"), fields);

/** A call that throws these one after the other, then answers. */
function makeCall(...faults: Error[]) {
  const stubs: number[] = [];
  let made = 0;
  const call = (stub: number): Promise<Outcome<string>> => {
    stubs.push(stub);
    const next = faults.shift();
    return next === undefined ? Promise.resolve(accept("answer")) : Promise.reject(next);
  };
  return { stubs, getStub: () => ++made, call };
}

test("an answer, a refusal too, comes back as it is, after one call", async () => {
  const { options, logged } = makeGround();
  const { getStub, call, stubs } = makeCall();
  expect(await callObject(getStub, call, options)).toEqual(accept("answer"));
  expect(stubs).toEqual([1]);
  const no = refuse("overloaded", "no");
  expect(await callObject(getStub, () => Promise.resolve(no), options)).toEqual(no);
  expect(logged).toEqual([]);
});

test("a retryable failure is tried again with a fresh stub and a growing pause", async () => {
  const { options, pausesMs } = makeGround();
  const lost = fault({ retryable: true });
  const { getStub, call, stubs } = makeCall(lost, lost, lost);
  expect(await callObject(getStub, call, options)).toEqual(accept("answer"));
  expect(stubs).toEqual([1, 2, 3, 4]);
  expect(pausesMs).toEqual([15, 30, 60]);
});

test("at the end of its attempts a call is refused as unavailable, and logged", async () => {
  const { options, logged } = makeGround();
  const lost = fault({ retryable: true });
  const { getStub, call, stubs } = makeCall(lost, lost, lost, lost, lost);
  expect(await callObject(getStub, call, options)).toMatchObject({ code: "unavailable" });
  expect(stubs).toHaveLength(4);
  expect(logged).toEqual(["object.unreachable"]);
});

test("a failing object is logged once, then now and then, and when it answers again", async () => {
  const lines: object[] = [];
  let nowMs = 0;
  const put = (event: string, fields?: object) => void lines.push({ event, ...fields });
  const { options } = makeGround();
  const call = (object: string, isThere: boolean) =>
    callObject(
      () => 0,
      () => (isThere ? Promise.resolve(accept(1)) : Promise.reject(fault({}))),
      {
        ...options,
        object,
        clock: { ...options.clock, nowMs: () => nowMs },
        log: { info: put, error: put },
      },
    );
  const taken = () => lines.splice(0).map((line) => ({ ...line, message: undefined }));
  const failure = { event: "object.unreachable", attempts: 1, overloaded: false };
  for (nowMs = 0; nowMs < 10_000; nowMs += 100) await call("a", false);
  await call("b", false);
  expect(taken()).toEqual([
    { ...failure, object: "a" },
    { ...failure, object: "b" },
  ]);
  await call("a", false);
  await call("a", false);
  expect(taken()).toEqual([{ ...failure, object: "a", heldBack: 99 }]);
  nowMs = 12_000;
  await call("a", true);
  expect(taken()).toEqual([
    { event: "object.reachable", object: "a", unreachableMs: 12_000, heldBack: 1 },
  ]);
  // One that comes and goes is no flood either.
  for (; nowMs < 20_000; nowMs += 100) await call("a", nowMs % 200 === 0);
  expect(taken()).toEqual([]);
  nowMs = 20_100;
  await call("a", false);
  expect(taken()).toEqual([{ ...failure, object: "a", heldBack: 40 }]);
});

test("an outage of more objects than are remembered is no flood either", async () => {
  const lines: object[] = [];
  const { options } = makeGround();
  const log = {
    info: () => undefined,
    error: (_: string, fields?: object) => void lines.push({ ...fields }),
  };
  const failAll = async (nowMs: number) => {
    for (let count = 0; count < 1_100; count++)
      await callObject(
        () => 0,
        () => Promise.reject(fault({})),
        { ...options, log, clock: { ...options.clock, nowMs: () => nowMs }, object: `${count}` },
      );
    return lines.splice(0);
  };
  expect(await failAll(0)).toHaveLength(1_000);
  expect(await failAll(1_000)).toHaveLength(0);
  const later = await failAll(10_000);
  expect(later).toHaveLength(1_000);
  expect(later[0]).toMatchObject({ object: "0", heldBack: 1, ofOthers: 200 });
});

test("what is remembered of failing objects is bounded, and forgotten once they answer", async () => {
  const { options } = makeGround();
  const { outages } = options;
  for (let count = 0; count < 1_100; count++)
    await callObject(
      () => 0,
      () => Promise.reject(fault({})),
      { ...options, object: `${count}` },
    );
  expect(outages.size).toBe(1_000);
  const clock = { ...options.clock, nowMs: () => 20_000 };
  for (let count = 0; count < 1_100; count++)
    await callObject(
      () => 0,
      () => Promise.resolve(accept(1)),
      { ...options, clock, object: `${count}` },
    );
  expect(outages.size).toBe(0);
});

test("an overloaded object, and one that threw, is not asked again", async () => {
  for (const [fields, code] of [
    [{ retryable: true, overloaded: true }, "overloaded"],
    [{ overloaded: true }, "overloaded"],
    [{}, "unavailable"],
    [{ remote: true }, "unavailable"],
  ] as const) {
    const { options } = makeGround();
    const { getStub, call, stubs } = makeCall(fault(fields));
    expect(await callObject(getStub, call, options)).toMatchObject({ code });
    expect(stubs).toEqual([1]);
  }
});

test("a call that must not be carried out twice asks for one attempt", async () => {
  const { options } = makeGround();
  const { getStub, call, stubs } = makeCall(fault({ retryable: true }));
  const once = { ...options, attemptsMax: 1 };
  expect(await callObject(getStub, call, once)).toMatchObject({ code: "unavailable" });
  expect(stubs).toEqual([1]);
});

test("an object that does not answer in time is given up, not asked again", async () => {
  const { options, pausesMs } = makeGround();
  let calls = 0;
  const silent = (): Promise<Outcome<never>> => {
    calls++;
    return new Promise(() => undefined);
  };
  const outcome = await callObject(() => 0, silent, { ...options, timeoutMs: 5_000 });
  expect(outcome).toMatchObject({ code: "unavailable" });
  expect([calls, pausesMs]).toEqual([1, [5_000]]);
});

const noStub = (): never => {
  throw fault({ overloaded: true });
};

test("a stub that cannot even be had is a refusal too", async () => {
  const { options } = makeGround(true);
  const outcome = await callObject(noStub, () => Promise.resolve(accept(1)), options);
  expect(outcome).toMatchObject({ code: "overloaded" });
});
