/** docs/scale.md says what `npm run scale` prints, and growth does what it must. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checksPerSecond, OBJECT_OPS_PER_SECOND, queuesFor } from "../../bench/scale/plan.ts";
import { moved } from "../../bench/scale/spread.ts";
import { scaleTables } from "../../bench/scale/tables.ts";
import { CACHE_MS } from "../../src/auth/authenticate.ts";

const page = readFileSync(new URL("../../docs/scale.md", import.meta.url), "utf8");

test("the page's tables are what the command prints; npm run scale -- --write renews them", () => {
  expect(page).toContain(scaleTables());
});

test("the figures in the page's sentences are those of the plan", () => {
  const isolates = (OBJECT_OPS_PER_SECOND * CACHE_MS) / 1_000;
  expect(Math.round(isolates / 100) * 100).toBe(2_500);
  expect(Math.round(60_000 / checksPerSecond(50) / 60)).toBe(13);
  expect(60_000 / checksPerSecond(1_000) / 3_600).toBeGreaterThan(4);
});

test("a load takes the queues of its larger need", () => {
  const load = { perSecond: 1_000, groups: 1, bodyBytes: 256, retentionMs: 3_600_000 };
  expect(queuesFor({ ...load, sentTogether: 1 })).toEqual({ byCalls: 4, byBytes: 1, queues: 4 });
  expect(queuesFor({ ...load, sentTogether: 100, bodyBytes: 100_000 }).queues).toBeGreaterThan(50);
});

test("growing moves about as many slots as it must, and none to an old queue", () => {
  for (let queues = 1; queues < 128; queues *= 2) {
    const { share, toOld } = moved(queues, queues * 2);
    expect(toOld).toBe(0);
    expect(Math.abs(share - 0.5)).toBeLessThan(0.03);
  }
});
