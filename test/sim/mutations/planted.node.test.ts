/** The checker is worth something only if it sees a bug: each planted one is caught, by a promise that it breaks. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { MUTATIONS } from "./list.ts";

const run = promisify(execFile);
const ARGS = ["--import", "./test/sim/mutations/hook.ts", "test/sim/mutations/seek.ts"];
const TIMEOUT_MS = 600_000;

for (const { name } of MUTATIONS) {
  test.concurrent(`a queue that ${name} is caught`, { timeout: TIMEOUT_MS }, async () => {
    const { stdout } = await run(process.execPath, ARGS, {
      env: { ...process.env, MUTATION: name },
    });
    expect(stdout).toMatch(/^seed \d+: \w\d$/mu);
  });
}
