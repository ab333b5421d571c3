/** Each counted budget of the benches, one test per question; `npm run bench -- --quick` prints the same figures. */
import { expect, test } from "vitest";
import { isHeld, QUESTIONS } from "../../bench/counted/budgets.ts";

for (const [name, question] of Object.entries(QUESTIONS)) {
  test(`the counted budgets hold: ${name}`, { timeout: 300_000 }, async () => {
    expect((await question()).filter((budget) => !isHeld(budget))).toEqual([]);
  });
}
