/** The pure parts of a push: what an answer means, when an endpoint is left alone, and how fast messages go out. */
import { describe, expect, test } from "vitest";
import {
  afterFailure,
  afterPlea,
  type BreakerState,
  CLOSED,
  gateOf,
} from "../../src/push/breaker.ts";
import { classify, retryAfterMs } from "../../src/push/classify.ts";
import { Pace } from "../../src/push/pace.ts";
import { Hints } from "../../src/leasing/hints.ts";

const NOW = Date.parse("2026-11-01T12:00:00Z");

describe("Retry-After", () => {
  test.each([
    ["0", 0],
    [" 120 ", 120_000],
    ["Sun, 01 Nov 2026 12:00:30 GMT", 30_000],
    ["Sunday, 01-Nov-26 12:00:30 GMT", 30_000],
    ["Sun, 01 Nov 2026 11:00:00 GMT", 0],
    ["315360000", 3_600_000],
    ["Sun, 01 Nov 2099 12:00:00 GMT", 3_600_000],
    ["99999999999999999999", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["2026", 2_026_000],
    ["Nov 1", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("%j means %j ms", (text, expected) => {
    expect(retryAfterMs(text, NOW)).toBe(expected);
  });
});

const of = (status: number, bodyText = "", retryAfter?: string) =>
  classify(
    { status, bodyText, ...(retryAfter === undefined ? {} : { retryAfter }) },
    ["a", "b"],
    NOW,
  );

const failed = (failure: "network" | "timeout" | "target_not_allowed" | "no_secret") =>
  classify({ status: 0, failure }, ["a"], NOW);

describe("an endpoint's answer", () => {
  const ACKED = { is: "acked" };

  test("a 2xx acks all, whatever its body, as long as it has no results", () => {
    for (const body of ["", "ok", "<html>", "null", "[]", "{}", '{"result":1}', '"results"'])
      expect(of(200, body)).toEqual({ is: "taken", fates: [ACKED, ACKED] });
    expect(of(299)).toMatchObject({ is: "taken" });
  });

  test("results speak of the messages that they name, and not ok wins", () => {
    const body = JSON.stringify({
      results: [
        { receipt: "b", ok: false, delayMs: 5, reason: "r", retry: false },
        { receipt: "b", ok: true },
        { receipt: "unknown", ok: false },
      ],
    });
    expect(of(200, body)).toEqual({
      is: "taken",
      fates: [ACKED, { is: "nacked", delayMs: 5, reason: "r", retry: false }],
    });
  });

  test("what was not handled is given back, unless another result says that it failed", () => {
    const released = { receipt: "a", ok: false, handled: false };
    const failed = { receipt: "b", ok: false, reason: "r" };
    const body = JSON.stringify({
      results: [released, { receipt: "a", ok: true }, { ...released, receipt: "b" }, failed],
    });
    expect(of(200, body)).toMatchObject({
      fates: [{ is: "released" }, { is: "nacked", reason: "r" }],
    });
  });

  test.each([
    "{}",
    "null",
    '"all"',
    '[{"receipt":"a","ok":false,"handled":"no"}]',
    "[1]",
    "[null]",
    '[{"ok":true}]',
    '[{"receipt":"a"}]',
    '[{"receipt":"a","ok":"no"}]',
    '[{"receipt":"a","ok":false,"delayMs":-1}]',
    '[{"receipt":"a","ok":false,"delayMs":"1"}]',
    '[{"receipt":"a","ok":false,"delayMs":1e300}]',
    '[{"receipt":"a","ok":false,"reason":{}}]',
    '[{"receipt":"a","ok":false,"retry":"no"}]',
  ])("results that cannot be understood fail the call: %s", (results) => {
    expect(of(200, `{"results":${results}}`)).toMatchObject({
      is: "failed",
      reason: "bad_results",
    });
  });

  test("a reason is cut, and stays well-formed text", () => {
    const reason = `${"x".repeat(1_023)}😀`;
    const verdict = of(200, JSON.stringify({ results: [{ receipt: "a", ok: false, reason }] }));
    expect(verdict).toMatchObject({ fates: [{ reason: `${"x".repeat(1_023)}\uFFFD` }, ACKED] });
  });

  test("names of Object.prototype are no results", () => {
    expect(of(200, '{"__proto__":{"results":[{"receipt":"a","ok":false}]}}')).toEqual({
      is: "taken",
      fates: [ACKED, ACKED],
    });
  });

  test("410 is the end, 429 and a 503 with Retry-After ask for peace, the rest fails", () => {
    expect(of(410)).toEqual({ is: "gone", reason: "http_410" });
    expect(of(429)).toEqual({ is: "busy", reason: "http_429" });
    expect(of(429, "", "3")).toEqual({ is: "busy", reason: "http_429", delayMs: 3_000 });
    expect(of(503, "", "3")).toMatchObject({ is: "busy", delayMs: 3_000 });
    expect(of(503, "", "nonsense")).toMatchObject({ is: "failed", reason: "http_503" });
    expect(of(500, "", "3")).toMatchObject({ is: "failed", delayMs: 3_000, unreachable: false });
    for (const status of [0, 100, 199, 300, 404, 599])
      expect(of(status)).toMatchObject({ is: "failed" });
  });

  test("what never reached the endpoint says nothing of the messages", () => {
    expect(failed("network")).toMatchObject({ is: "failed", unreachable: true });
    expect(failed("timeout")).toMatchObject({ is: "failed", unreachable: false });
    expect(failed("target_not_allowed")).toMatchObject({ is: "busy" });
    expect(failed("no_secret")).toMatchObject({ is: "busy" });
  });
});

const failing = (state: BreakerState, times: number, nowMs = NOW): BreakerState =>
  Array.from({ length: times }).reduce<BreakerState>(
    (before) => afterFailure(before, nowMs, 0.5),
    state,
  );

const wait = (random: number): number =>
  afterFailure(failing(CLOSED, 4), NOW, random).openUntil - NOW;

describe("the breaker", () => {
  test("opens with the fifth failure in a row, not before", () => {
    expect(gateOf(failing(CLOSED, 4), NOW)).toEqual({ is: "closed" });
    expect(gateOf(failing(CLOSED, 5), NOW)).toMatchObject({ is: "open" });
  });

  test("waits twice as long each time, up to a minute, and lets one call through after it", () => {
    let state = failing(CLOSED, 5);
    let nowMs = NOW;
    const waits: number[] = [];
    for (let tries = 0; tries < 12; tries++) {
      waits.push(state.openUntil - nowMs);
      expect(gateOf(state, state.openUntil - 1)).toEqual({ is: "open", until: state.openUntil });
      nowMs = state.openUntil;
      expect(gateOf(state, nowMs)).toEqual({ is: "probing" });
      state = afterFailure(state, nowMs, 0.5);
    }
    expect(waits.slice(0, 7)).toEqual([750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000]);
    expect(Math.max(...waits)).toBe(45_000);
  });

  test("randomness spreads a wait between half of it and all of it", () => {
    expect(wait(0)).toBe(500);
    expect(wait(0.999_999)).toBe(1_000);
  });

  test("failures of calls that were under way when it opened do not make it wait longer", () => {
    const open = failing(CLOSED, 5);
    expect(failing(open, 90)).toMatchObject({ openings: 1, openUntil: open.openUntil });
  });

  test("a plea opens it at once, for as long as it says", () => {
    const state = afterPlea(CLOSED, NOW, 0.5, 7_000);
    expect(gateOf(state, NOW)).toEqual({ is: "open", until: NOW + 7_000 });
    expect(afterPlea(state, NOW, 0.5, 1_000).openUntil, "a shorter one beside it").toBe(
      NOW + 7_000,
    );
  });
});

describe("the pace", () => {
  test.each([0.1, 1, 3, 20, 1_000])("%d a second is kept over any second", (rate) => {
    const pace = new Pace(Infinity, NOW);
    pace.change(rate, NOW);
    const sent: number[] = [];
    const seconds = Math.max(10, 30 / rate);
    for (let nowMs = NOW; nowMs <= NOW + seconds * 1_000;) {
      const taken = pace.take(16, nowMs);
      for (let count = 0; count < taken; count++) sent.push(nowMs);
      nowMs += Math.max(1, pace.waitMs(nowMs));
    }
    let most = 0;
    for (const [first, at] of sent.entries()) {
      let last = first;
      while ((sent[last] ?? Infinity) < at + 1_000) last++;
      most = Math.max(most, last - first);
    }
    expect(most).toBeLessThanOrEqual(Math.ceil(rate * 1.1) + 1);
    expect(sent.length / seconds).toBeGreaterThan(rate * 0.95);
  });

  test("what was taken and not sent may go later", () => {
    const pace = new Pace(Infinity, NOW);
    pace.change(1, NOW);
    expect(pace.take(5, NOW)).toBe(1);
    expect(pace.take(5, NOW)).toBe(0);
    pace.giveBack(1);
    expect(pace.take(5, NOW)).toBe(1);
    expect(pace.waitMs(NOW)).toBe(1_000);
  });

  test("nothing is saved up over a pause", () => {
    const pace = new Pace(Infinity, NOW);
    pace.change(2, NOW);
    expect(pace.take(100, NOW + 3_600_000)).toBe(1);
  });

  test("a clock that goes back gives nothing", () => {
    const pace = new Pace(Infinity, NOW);
    pace.change(1, NOW);
    pace.take(1, NOW);
    expect(pace.take(1, NOW - 60_000)).toBe(0);
  });
});

describe("hints of queues", () => {
  test("a queue is asked by one call at a time, and rings while it is asked are kept", () => {
    const hints = new Hints(3);
    hints.ringAll();
    expect([hints.next(0), hints.next(0), hints.next(0), hints.next(0)]).toEqual([
      0,
      1,
      2,
      undefined,
    ]);
    hints.ring(1);
    hints.ring(1);
    hints.answered(0, false);
    hints.answered(1, false);
    hints.answered(2, true);
    expect([hints.next(0), hints.next(0), hints.next(0)]).toEqual([1, 2, undefined]);
    hints.answered(1, false);
    hints.answered(2, false);
    expect(hints.isQuiet).toBe(true);
  });

  test("one that has more goes behind the others", () => {
    const hints = new Hints(2);
    hints.ringAll();
    hints.answered(hints.next(0) ?? -1, true);
    expect(hints.next(0)).toBe(1);
  });

  test("one that could not answer rests, however often it rings, and the others do not", () => {
    const hints = new Hints(2);
    hints.ringAll();
    hints.answered(hints.next(0) ?? -1, true);
    hints.rest(0, 1_000);
    hints.ring(0);
    expect([hints.next(10), hints.next(10), hints.restMs(10)]).toEqual([1, undefined, 990]);
    expect([hints.next(1_000), hints.restMs(1_000)]).toEqual([0, undefined]);
    // Asked again while the answer was on its way: nobody waits for the end of a rest.
    hints.rest(0, 2_000);
    expect(hints.restMs(3_000)).toBe(undefined);
    hints.answered(0, false);
    expect(hints.next(3_000)).toBe(0);
  });

  test("new queues may have something", () => {
    const hints = new Hints(1);
    hints.grow(3);
    expect([hints.next(0), hints.next(0), hints.next(0)]).toEqual([1, 2, undefined]);
  });
});
