/** The checker is worth something only if it sees a bug: each planted one is caught, by a promise that it breaks. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { MUTATIONS } from "./list.ts";

const run = promisify(execFile);
const ARGS = ["--import", "./test/sim/mutations/hook.ts", "test/sim/mutations/seek.ts"];
const TIMEOUT_MS = 600_000;
/** What one process has compiled the next one finds, but for the file that is another one there. */
const compiled = await mkdtemp(join(tmpdir(), "halfmq-sim-"));
afterAll(() => rm(compiled, { recursive: true, force: true }));

for (const { name } of MUTATIONS) {
  test.concurrent(`a queue that ${name} is caught`, { timeout: TIMEOUT_MS }, async () => {
    const { stdout } = await run(process.execPath, ARGS, {
      env: { ...process.env, MUTATION: name, NODE_COMPILE_CACHE: compiled },
    });
    expect(stdout).toMatch(/^seed \d+: \w\d$/mu);
  });
}
