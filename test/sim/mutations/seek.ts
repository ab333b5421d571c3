/** With a bug planted by hook.ts: plays seeds until one breaks a promise that the bug is known to break, and prints it. */
import { check } from "../checker/check.ts";
import { simulate } from "../simulate.ts";
import { MUTATIONS } from "./list.ts";

/** Seeds played before the bug counts as not seen. */
const SEEDS_MAX = 80;
const STEPS = 1_500;

const mutation = MUTATIONS.find(({ name }) => name === process.env["MUTATION"]);
if (mutation === undefined) throw new Error("MUTATION names none of the list");
const provoked = mutation.faults === undefined ? {} : { faults: mutation.faults };
let found = "nothing";
for (let seed = mutation.seed; seed < mutation.seed + SEEDS_MAX && found === "nothing"; seed++) {
  const violations = check(await simulate({ seed, steps: mutation.steps ?? STEPS, ...provoked }));
  const seen = violations.find(({ invariant }) => mutation.breaks.includes(invariant));
  if (seen !== undefined) found = `seed ${seed}: ${seen.invariant}`;
}
process.stdout.write(`${found}\n`);
