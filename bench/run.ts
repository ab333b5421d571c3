/**
 * `npm run bench`: all timed questions, or those that are named: `npm run bench -- single-sends wake-up`. Prints a table for
 * each and keeps its figures in bench/results. `--quick`: only what is the same on every machine: rows, flushes, bytes and
 * object calls, counted. Ends with 1 when a budget is not kept.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { isHeld, isMet, QUESTIONS as COUNTED, type Budget } from "./counted/budgets.ts";
import { inWords, machine } from "./kit/machine.ts";
import { isKept, type Checked, type Question } from "./kit/question.ts";
import { table } from "./kit/table.ts";
import { QUESTIONS } from "./questions.ts";

const RESULTS = new URL("results/", import.meta.url);

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false } },
  allowPositionals: true,
});

if (values.quick) await quick();
else await timed(chosen(positionals));

function chosen(names: readonly string[]): readonly Question[] {
  const strangers = names.filter((word) => !QUESTIONS.some(({ name }) => isNamed(name, word)));
  if (strangers.length === 0) {
    return QUESTIONS.filter(
      ({ name }) => names.length === 0 || names.some((word) => isNamed(name, word)),
    );
  }
  console.error(`no question ${strangers.join(", ")}; there are:`);
  for (const { name, asks } of QUESTIONS) console.error(`  ${name.padEnd(20)} ${asks}`);
  process.exit(1);
}

/** `peers` names all of `peers-…`. */
function isNamed(name: string, word: string): boolean {
  return name === word || name.startsWith(`${word}-`);
}

async function timed(questions: readonly Question[]): Promise<void> {
  const where = machine();
  console.log(inWords(where));
  await mkdir(RESULTS, { recursive: true });
  for (const { name, asks, run } of questions) {
    console.log(`\n## ${asks}\n\`npm run bench -- ${name}\`\n`);
    const { tables, budgets, figures } = await run();
    for (const { head, rows } of tables) console.log(`${table(head, rows)}\n`);
    for (const budget of budgets) console.log(checked(budget));
    if (!budgets.every(isKept)) process.exitCode = 1;
    const result = { name, asks, at: new Date().toISOString(), machine: where, budgets, figures };
    await writeFile(new URL(`${name}.json`, RESULTS), `${JSON.stringify(result, null, 2)}\n`);
  }
}

function checked(budget: Checked): string {
  const { what, figure, atLeast, atMost } = budget;
  const bound = atLeast === undefined ? `≤ ${String(atMost)}` : `≥ ${atLeast}`;
  return `- ${what}: ${figure.toFixed(2)}, ${bound}: ${isKept(budget) ? "kept" : "MISSED"}`;
}

async function quick(): Promise<void> {
  const budgets: Budget[] = [];
  for (const question of Object.values(COUNTED)) budgets.push(...(await question()));
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
