/** The simulator itself: a seed is a history, and a share of the seeds that `npm run sim` plays holds here as well. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { check } from "./checker/check.ts";
import { type Ran, simulate } from "./simulate.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 300_000;

test("the same seed twice gives the same history", { timeout: TIMEOUT_MS }, async () => {
  // The last one has streams and schedules.
  for (const seed of [3, 7, 9]) {
    const [once, again] = [
      await simulate({ seed, steps: 800 }),
      await simulate({ seed, steps: 800 }),
    ];
    expect(once.events.length).toBeGreaterThan(800);
    expect(JSON.stringify(again)).toBe(JSON.stringify(once));
    const parts = [once.calendar?.runs.length ?? 0, framesOf(once)].map((count) => count > 0);
    if (seed === 9) expect(parts).toEqual([true, true]);
  }
});

/** What came by sockets. */
const framesOf = ({ events }: Ran): number =>
  events.filter(
    (event) =>
      event.is === "invoke" && event.request.is === "receive" && event.request.socket !== undefined,
  ).length;

test("another seed gives another history", { timeout: TIMEOUT_MS }, async () => {
  const [one, other] = [
    await simulate({ seed: 1, steps: 200 }),
    await simulate({ seed: 2, steps: 200 }),
  ];
  expect(JSON.stringify(other.events)).not.toBe(JSON.stringify(one.events));
});

test("a share of the seeds keeps every promise", { timeout: TIMEOUT_MS }, async () => {
  const { stdout } = await run(process.execPath, ["test/sim/run.ts", "--seeds", "32"]).catch(
    (error: { stdout: string }) => error,
  );
  expect(stdout).toMatch(/: 0 failed$/mu);
});

test("a history whose message is lost, doubled or damaged does not pass", async () => {
  const ran = await simulate({ seed: 17, steps: 400, without: ["clock"] });
  expect(check(ran)).toEqual([]);
  const [topic] = ran.rest.topics;
  if (topic === undefined) throw new Error("no topic");
  const [first, ...others] = topic.log;
  if (first === undefined) throw new Error("no message");
  const withLog = (log: typeof topic.log) => ({
    ...ran,
    rest: { ...ran.rest, topics: [{ ...topic, log }, ...ran.rest.topics.slice(1)] },
  });
  const broken = (log: typeof topic.log) =>
    new Set(check(withLog(log)).map((each) => each.invariant));
  expect(broken(others)).toContain("O4");
  expect(broken([first, ...topic.log])).toContain("I5");
  expect(broken([{ ...first, isIntact: false }, ...others])).toContain("I3");
  expect(broken([{ ...first, mark: "nobody's" }, ...others])).toContain("I2");
});
