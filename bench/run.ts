/**
 * `npm run bench -- --quick`: what is the same on every machine: rows, flushes, bytes and object calls, counted. Ends with 1
 * when a budget is not held.
 */
import { parseArgs } from "node:util";
import { isHeld, isMet, QUESTIONS, type Budget } from "./counted/budgets.ts";
import { table } from "./kit/table.ts";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false } },
});

if (values.quick) await quick();

async function quick(): Promise<void> {
  const budgets: Budget[] = [];
  for (const question of Object.values(QUESTIONS)) budgets.push(...(await question()));
  console.log(
    table(
      ["counted", "figure", "budget", ""],
      budgets.map((budget) => [
        budget.what,
        budget.figure.toFixed(3),
        `≤ ${budget.atMost}`,
        verdict(budget),
      ]),
    ),
  );
  if (!budgets.every(isHeld)) process.exitCode = 1;
}

function verdict(budget: Budget): string {
  if (isMet(budget)) return "met";
  return isHeld(budget) ? `missed, held at ${budget.heldAt}` : "MISSED";
}
