/**
 * `npm run sim -- --seed N --steps M [--seeds K] [--without a,b]`: simulates seeds N, N+1, … on all processors and checks
 * each history. A failing one is made smaller, told, and printed with the command that replays it; then the exit code is 1.
 */
import { fork, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { argumentsOf, whole } from "../kit/arguments.node.ts";
import { check, type Violation } from "./checker/check.ts";
import { commandOf, shrink, tell } from "./shrink.ts";
import { simulate, type Run } from "./simulate.ts";

/** Fewer are played where they are asked for: another process takes its time to begin. */
const SEEDS_FOR_PROCESSES = 4;
const ENOUGH_FAILURES = 5;
const SELF = fileURLToPath(import.meta.url);
/** Set in a process that plays the runs it is sent. */
const IS_PLAYER = "HALFMQ_SIM_PLAYER";
/** Megabytes for what dies young, as nearly everything here does: less is collected all the time. */
const YOUNG_MB = 32;

/** What became of one seed. */
interface Played {
  readonly run: Run;
  readonly events: number;
  readonly cpuMs: number;
  readonly violations: readonly Violation[];
}

async function play(run: Run): Promise<Played> {
  const from = process.cpuUsage();
  const ran = await simulate(run);
  const violations = check(ran);
  const { user, system } = process.cpuUsage(from);
  return { run, events: ran.events.length, cpuMs: (user + system) / 1_000, violations };
}

async function main(): Promise<void> {
  const values = argumentsOf({
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    steps: { type: "string", default: "2000" },
    without: { type: "string", default: "" },
    "no-shrink": { type: "boolean", default: false },
  });
  const seeds = whole("seeds", values.seeds, 1);
  const first: Run = {
    seed: whole("seed", values.seed, 0),
    steps: whole("steps", values.steps, 1),
    without: values.without === "" ? [] : values.without.split(","),
  };
  const started = performance.now();
  const runs = Array.from({ length: seeds }, (_, index) => ({
    ...first,
    seed: first.seed + index,
  }));
  const played = seeds < SEEDS_FOR_PROCESSES ? await inTurn(runs) : await inProcesses(runs);
  const failed = played.filter(({ violations }) => violations.length > 0);
  console.log(summaryOf(played, failed.length, performance.now() - started));
  const failure = failed.toSorted((a, b) => a.run.seed - b.run.seed)[0];
  if (failure === undefined) return;
  process.exitCode = 1;
  for (const { run, violations } of failed)
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

function summaryOf(played: readonly Played[], failed: number, tookMs: number): string {
  const sum = (of: (each: Played) => number): number =>
    played.reduce((total, each) => total + of(each), 0);
  const cpu = (sum(({ cpuMs }) => cpuMs) / 1_000 / Math.max(1, played.length)).toFixed(2);
  const events = sum((each) => each.events);
  return `${played.length} seeds, ${events} events, ${(tookMs / 1_000).toFixed(1)} s (${cpu} s of a processor a seed): ${failed} failed`;
}

async function inTurn(runs: readonly Run[]): Promise<Played[]> {
  const played: Played[] = [];
  for (const run of runs) played.push(await play(run));
  return played;
}

/** As many processes as there are processors, each with one seed at a time; stops early once some have failed. */
async function inProcesses(runs: readonly Run[]): Promise<Played[]> {
  const waiting = [...runs];
  const played: Played[] = [];
  const isEnough = (): boolean =>
    played.filter(({ violations }) => violations.length > 0).length >= ENOUGH_FAILURES;
  const work = async (): Promise<void> => {
    const player = fork(SELF, {
      env: { ...process.env, [IS_PLAYER]: "1" },
      execArgv: [...process.execArgv, `--max-semi-space-size=${YOUNG_MB}`],
    });
    for (let run = waiting.shift(); run !== undefined && !isEnough(); run = waiting.shift())
      played.push(await sent(player, run));
    player.disconnect();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return played;
}

function sent(player: ChildProcess, run: Run): Promise<Played> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null): void =>
      reject(new Error(`the process that played seed ${run.seed} ended with ${code}`));
    player.once("exit", died);
    player.once("message", (message) => {
      player.off("exit", died);
      resolve(message as Played);
    });
    player.send(run);
  });
}

if (process.env[IS_PLAYER] === undefined) await main();
else
  process.on("message", (run: Run) => {
    void play(run).then((played) => process.send?.(played));
  });
