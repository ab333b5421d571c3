/** Calls to objects: what is tried again, with which stub, and what the caller is told in the end. */
import { expect, test } from "vitest";
import type { Clock } from "../../src/platform/clock.ts";
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
  return { pausesMs, logged, options: { clock, log, random: () => 0.5 } };
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
