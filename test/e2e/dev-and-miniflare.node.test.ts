/** The main path beside `npm start`: under `npm run dev`, and with the built bundle under miniflare's own API. */
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { freePort } from "../../demo/free-port.ts";
import { startMiniflare } from "../kit/miniflare.node.ts";
import { walkMainPath } from "./main-path.node.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const KEY = "a-root-key-for-this-test-only";
const run = promisify(execFile);
const PATIENCE_MS = 180_000;

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "halfmq-e2e-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test(
  "the main path runs under wrangler dev",
  async () => {
    const port = await freePort();
    const state = await temporaryFolder();
    // A group of its own: wrangler's children do not end with a killed parent.
    const child = spawn("npm", ["run", "dev", "--", "--persist-to", state], {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PORT: String(port), HALFMQ_ROOT_KEY: KEY, CI: "1" },
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    cleanups.push(async () => {
      endGroup(child.pid);
      await ended;
    });
    let output = "";
    child.stderr.on("data", (data: Buffer) => (output += data.toString()));
    const ready = await lineWith(child.stdout, "Ready on", (line) => (output += `${line}\n`));
    expect(ready, output).toContain(`127.0.0.1:${port}`);
    const url = `http://127.0.0.1:${port}`;
    await walkMainPath({ key: KEY, fetch: (path, init) => fetch(url + path, init) });
  },
  PATIENCE_MS,
);

test(
  "the main path runs under miniflare with the built bundle, and large bodies with its bucket",
  async () => {
    const { url, stop } = await startMiniflare(KEY, await temporaryFolder());
    cleanups.push(stop);
    await walkMainPath({ key: KEY, fetch: (path, init) => fetch(url + path, init) });
    // With a bucket, as examples.node.test.ts runs it without one.
    const example = join(ROOT, "examples/17-large-body.ts");
    const { stdout } = await run(process.execPath, ["--conditions=halfmq-source", example], {
      env: { HALFMQ_URL: url, HALFMQ_KEY: KEY },
    });
    expect(stdout).toBe("received 100000 lines\n");
  },
  PATIENCE_MS,
);

async function lineWith(
  stream: NodeJS.ReadableStream,
  text: string,
  onLine: (line: string) => void,
): Promise<string> {
  for await (const line of createInterface({ input: stream })) {
    onLine(line);
    if (line.includes(text)) return line;
  }
  return "";
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
