/** Back-off: a formula with jitter that is never below it, and exact lists. */
import { expect, it } from "vitest";
import { backoffMs } from "../../src/core/retry.ts";
import type { Backoff } from "../../src/protocol/topic.ts";

const FORMULA = { initialMs: 100, factor: 3, maxMs: 1_000 };

const delays = (backoff: Backoff, random: number): number[] =>
  [1, 2, 3, 4, 999].map((failures) => backoffMs(backoff, failures, random));

it("a formula grows by its factor to its maximum, and chance adds at most a fifth", () => {
  expect(delays(FORMULA, 0)).toEqual([100, 300, 900, 1_000, 1_000]);
  expect(delays(FORMULA, 0.5)).toEqual([110, 330, 990, 1_100, 1_100]);
  expect(delays(FORMULA, 1)).toEqual([120, 360, 1_080, 1_200, 1_200]);
});

it("a list is exact, repeats its last entry, and means at once when it is empty", () => {
  expect(delays({ delaysMs: [10, 20] }, 0.99)).toEqual([10, 20, 20, 20, 20]);
  expect(delays({ delaysMs: [] }, 0.99)).toEqual([0, 0, 0, 0, 0]);
});
