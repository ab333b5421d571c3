/** Commands refuse what they would otherwise count by as by NaN, and then pass without having done anything. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test.each([
  ["sim", "--seeds=abc", "--seeds must be a whole number from 1 on"],
  ["sim", "--seeds=0", "--seeds must be a whole number from 1 on"],
  ["sim", "--steps=1e3", "--steps must be a whole number from 1 on"],
  ["sim", "--sead=1", "known are --seed, --seeds"],
  ["chaos", "--seconds=-5", "--seconds must be a whole number from 1 on"],
  ["chaos", "--seconds=", "--seconds must be a whole number from 1 on"],
  ["chaos", "--bogus", "known are --seed, --seconds"],
])("%s %s is refused in a line", (command, argument, why) => {
  const { status, stderr } = spawnSync(process.execPath, [`test/${command}/run.ts`, argument], {
    encoding: "utf8",
  });
  expect(status).toBe(2);
  expect(stderr).toContain(why);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
});
