/** A rate as one number: what may come at once, what any stretch of time sees, and when it is worth coming again. */
import { expect, it } from "vitest";
import { allowed, paidAfter, worthwhileAt } from "../../src/core/pace.ts";

/** Takes all that is allowed at each step; answers how many came when. */
function play(rate: number, steps: number, stepMs: number): { at: number; count: number }[] {
  let paidUntil = 0;
  return Array.from({ length: steps }, (_, step) => {
    const at = 1_000_000 + step * stepMs;
    const count = allowed(rate, paidUntil, at);
    if (count > 0) paidUntil = paidAfter(rate, paidUntil, count, at);
    return { at, count };
  });
}

it.each([0.125, 1, 3, 40, 1_000, 50_000])("%d a second is kept over any stretch", (rate) => {
  const stepMs = rate < 1 ? 500 : 10;
  const came = play(rate, 2_000, stepMs);
  const burst = Math.max(1, rate * 0.25);
  for (const seconds of [1, 5, 19]) {
    const width = Math.round((seconds * 1_000) / stepMs);
    for (let from = 0; from + width < came.length; from += 7) {
      const sum = came.slice(from, from + width).reduce((total, { count }) => total + count, 0);
      expect(sum).toBeLessThanOrEqual(burst + rate * seconds + 1e-6);
    }
  }
  const whole = came.reduce((total, { count }) => total + count, 0);
  expect(whole).toBeGreaterThanOrEqual(Math.floor((rate * stepMs * (came.length - 1)) / 1_000));
});

it("says when the next is allowed, and at a high rate when some are", () => {
  for (const [rate, atLeast] of [
    [0.5, 1],
    [8, 1],
    [100, 10],
  ] as const) {
    const now = 5_000;
    const paid = paidAfter(rate, 0, allowed(rate, 0, now), now);
    const at = worthwhileAt(rate, paid);
    expect(at).toBeGreaterThan(now);
    expect(allowed(rate, paid, at)).toBeGreaterThanOrEqual(atLeast);
    expect(allowed(rate, paid, at - 2)).toBeLessThan(atLeast);
  }
});
