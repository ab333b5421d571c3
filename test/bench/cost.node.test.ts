/** docs/cost.md says what `npm run cost` prints, and keeps its promise against Cloudflare Queues. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { elsewhere } from "../../bench/cost/bill.ts";
import { costTables, measureAll, type AllMeasured } from "../../bench/cost/tables.ts";

const page = readFileSync(new URL("../../docs/cost.md", import.meta.url), "utf8");

let all: AllMeasured;
beforeAll(async () => {
  all = await measureAll();
}, 120_000);

test("the page's tables are what the command prints; npm run cost -- --write renews them", () => {
  expect(page).toContain(costTables(all));
});

test("busy and batched cost less than Cloudflare Queues, and a lone message more", () => {
  const cheaper = all.messages
    .map(({ shape, bill, count }) => ({
      name: shape.name,
      isCheaper: bill.total < (elsewhere(shape, count).queues ?? 0),
    }))
    .filter(({ name }) => name !== "transactional");
  expect(cheaper).toEqual([
    { name: "lone", isCheaper: false },
    { name: "busy", isCheaper: true },
    { name: "batched", isCheaper: true },
    { name: "pushed", isCheaper: true },
    { name: "pushed, lone", isCheaper: false },
  ]);
});
