/**
 * `npm run sim -- --seed N --steps M [--seeds K] [--without a,b]`: simulates seeds N, N+1, … and checks each history. A
 * failing one is made smaller, told, and printed with the command that replays it; then the exit code is 1.
 */
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { check, type Violation } from "./checker/check.ts";
import { commandOf, shrink, tell } from "./shrink.ts";
import { simulate, type Run } from "./simulate.ts";

/** Seeds that one process takes at a time. */
const CHUNK = 16;
const ENOUGH_FAILURES = 5;
const SELF = fileURLToPath(import.meta.url);
/** Names the seeds that a child process is to run. */
const TASK = "HALFMQ_SIM_TASK";

const run = promisify(execFile);

interface Task {
  readonly first: Run;
  readonly seeds: number;
}

interface Failure {
  readonly run: Run;
  readonly violations: readonly Violation[];
}

interface Done {
  readonly seeds: number;
  readonly events: number;
  readonly failures: readonly Failure[];
}

async function runSeeds(first: Run, seeds: number): Promise<Done> {
  const failures: Failure[] = [];
  let events = 0;
  for (let seed = first.seed; seed < first.seed + seeds; seed++) {
    const one = { ...first, seed };
    const ran = await simulate(one);
    events += ran.events.length;
    const violations = check(ran);
    if (violations.length > 0) failures.push({ run: one, violations });
  }
  return { seeds, events, failures };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      seeds: { type: "string", default: "1" },
      steps: { type: "string", default: "2000" },
      without: { type: "string", default: "" },
      "no-shrink": { type: "boolean", default: false },
    },
  });
  const seeds = Number(values.seeds);
  const first: Run = {
    seed: Number(values.seed),
    steps: Number(values.steps),
    without: values.without === "" ? [] : values.without.split(","),
  };
  const started = performance.now();
  const done = seeds <= CHUNK ? await runSeeds(first, seeds) : await inProcesses(first, seeds);
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(
    `${done.seeds} seeds, ${done.events} events, ${seconds} s: ${done.failures.length} failed`,
  );
  const failure = done.failures.toSorted((a, b) => a.run.seed - b.run.seed)[0];
  if (failure === undefined) return;
  process.exitCode = 1;
  for (const { run, violations } of done.failures)
    console.log(
      `seed ${run.seed}: ${[...new Set(violations.map(({ invariant }) => invariant))].join(" ")}`,
    );
  const smallest = values["no-shrink"]
    ? failure.run
    : await shrink(failure.run, failure.violations);
  const ran = await simulate(smallest);
  console.log(tell(ran, check(ran)));
  console.log(commandOf(smallest));
}

/** The seeds in chunks over as many processes as there are processors; stops early once some have failed. */
async function inProcesses(first: Run, seeds: number): Promise<Done> {
  let next = 0;
  const total = { seeds: 0, events: 0, failures: [] as Failure[] };
  const work = async (): Promise<void> => {
    while (next < seeds && total.failures.length < ENOUGH_FAILURES) {
      const count = Math.min(CHUNK, seeds - next);
      const task: Task = { first: { ...first, seed: first.seed + next }, seeds: count };
      next += count;
      const { stdout } = await run(process.execPath, [...process.execArgv, SELF], {
        env: { ...process.env, [TASK]: JSON.stringify(task) },
        maxBuffer: 64 * 1024 * 1024,
      });
      const answer = JSON.parse(stdout) as Done;
      total.seeds += answer.seeds;
      total.events += answer.events;
      total.failures.push(...answer.failures);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return total;
}

const task = process.env[TASK];
if (task === undefined) await main();
else {
  const { first, seeds } = JSON.parse(task) as Task;
  process.stdout.write(JSON.stringify(await runSeeds(first, seeds)));
}
