/** The demo as its user runs it, with few orders: the services are killed, and so is the broker in the second run. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const RUN = fileURLToPath(new URL("../../demo/run.ts", import.meta.url));
const PATIENCE_MS = 230_000;

/** The demo ends itself at its deadline, and its children with it. */
async function demo(...args: string[]): Promise<{ code: unknown; output: string }> {
  const all = [RUN, "--orders", "30", "--deadline-ms", "200000", ...args];
  const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<unknown[]>,
  ]);
  return { code, output: stdout + stderr };
}

/** The number beside a name in the demo's table. */
function count(output: string, name: string): number {
  return Number(new RegExp(`${name} +(\\d+)`, "u").exec(output)?.[1]);
}

describe("the demo", () => {
  test(
    "agrees after its services were killed",
    async () => {
      const { code, output } = await demo("--seed", "1");
      expect(output).toContain("The databases agree.");
      expect(code).toBe(0);
      expect(count(output, "kills of the order service")).toBeGreaterThan(0);
      expect(count(output, "decided by check")).toBeGreaterThan(0);
    },
    PATIENCE_MS,
  );

  test(
    "agrees after the broker was killed too",
    async () => {
      const { code, output } = await demo("--seed", "2", "--kill-broker");
      expect(output).toContain("The databases agree.");
      expect(code).toBe(0);
      expect(count(output, "kills of the broker")).toBeGreaterThan(0);
    },
    PATIENCE_MS,
  );

  test("refuses a number of orders that the file does not hold", async () => {
    const { code, output } = await demo("--orders", "201");
    expect(output).toContain("--orders must be a whole number up to 200");
    expect(code).toBe(1);
  });
});
