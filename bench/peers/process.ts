/**
 * A peer's server as a process of ours: in a scratch folder, on free ports of loopback, ended by its id. It starts no
 * service of the system and leaves nothing behind.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const START_PATIENCE_MS = 60_000;
const STOP_PATIENCE_MS = 10_000;
const POLL_MS = 50;

export const scratchFolder = (name: string): Promise<string> =>
  mkdtemp(join(tmpdir(), `halfmq-bench-${name}-`));

export const removeFolder = (folder: string): Promise<void> =>
  rm(folder, { recursive: true, force: true, maxRetries: 5 });

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

export interface Spawned {
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** Runs a program and waits until it accepts connections. */
export async function spawnServer(
  command: readonly [string, ...string[]],
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Spawned> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: "ignore", env: { ...process.env, ...env } });
  const ended = endOf(child);
  const gone = ended.then((how) => {
    throw new Error(`${program} ended with ${how} before it listened`);
  });
  await Promise.race([listening(port), gone]);
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill("SIGTERM");
      const patience = setTimeout(() => child.kill("SIGKILL"), STOP_PATIENCE_MS);
      await ended;
      clearTimeout(patience);
    },
  };
}

const endOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `code ${String(code)}`));
    child.once("error", (error) => resolve(error.message));
  });

async function listening(port: number): Promise<void> {
  const until = performance.now() + START_PATIENCE_MS;
  while (!(await accepts(port))) {
    if (performance.now() > until) throw new Error(`nobody listens on port ${port}`);
    await pause(POLL_MS);
  }
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: "127.0.0.1", port });
  socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** What `program --version` and the like print; undefined when there is no such program. */
export function versionOf(program: string, option: string): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, [option], { encoding: "utf8" });
  return status === 0 ? `${stdout}${stderr}` : undefined;
}
