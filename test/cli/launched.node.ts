/** A launcher started as a user would, in a process group of its own. Everything that it starts ends with the test. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";

const START = fileURLToPath(new URL("../../src/cli/start.ts", import.meta.url));
const POLL_MS = 10;

type Signal = "SIGKILL" | "SIGINT" | "SIGTERM";

const groups: Launched[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const launched of groups.splice(0)) {
    signalGroup(launched.pid, "SIGKILL");
    await launched.ended;
  }
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

export interface End {
  readonly code: number | null;
  readonly stderr: string;
}

export class Launched {
  readonly pid: number;
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  /** `command`: what is run, the launcher itself unless it says otherwise. */
  constructor(
    env: Readonly<Record<string, string>>,
    args: readonly string[] = [],
    [program, ...before]: readonly [string, ...string[]] = [process.execPath, START],
  ) {
    this.#child = spawn(program, [...before, ...args], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", PORT: "0", ...env },
    });
    this.pid = this.#child.pid ?? -1;
    this.#child.stdout?.on("data", (data: Buffer) => (this.#stdout += data.toString()));
    this.#child.stderr?.on("data", (data: Buffer) => (this.#stderr += data.toString()));
    this.ended = new Promise((resolve) => {
      // Its exit may be heard of before its last words are read.
      this.#child.once("close", (code) => resolve({ code, stderr: this.#stderr }));
    });
    groups.push(this);
  }

  /** What it prints once it serves. */
  async greeting(): Promise<string> {
    const gone = this.ended.then((end) => {
      throw new Error(`ended with ${String(end.code)} before it served: ${end.stderr}`);
    });
    const printed = until(() => this.#stdout.includes("Ctrl-C stops it."));
    await Promise.race([printed, gone]);
    return this.#stdout;
  }

  signal(signal: Signal): void {
    this.#child.kill(signal);
  }

  signalGroup(signal: Signal): void {
    signalGroup(this.pid, signal);
  }

  /** What runs in its group: itself and its children. */
  commands(): string[] {
    return commandsOf(this.pid);
  }

  /** Fulfilled when no process of its group is left. */
  async nothingLeft(): Promise<void> {
    await until(() => this.commands().length === 0);
  }
}

export async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "halfmq-test-"));
  folders.push(folder);
  return folder;
}

export function urlIn(greeting: string): string {
  return /listens on (http:\S+)/u.exec(greeting)?.[1] ?? "";
}

/** Whether anybody accepts connections there. */
export function listens(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Bounded by the test's own time-out. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(POLL_MS);
}

function signalGroup(pid: number, signal: Signal): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody is left there to hear it.
  }
}

/** The commands of a group's processes. A dead one whose parent has not looked yet does not count. */
function commandsOf(group: number): string[] {
  const list = execFileSync("ps", ["-eo", "pgid=,stat=,args="], { encoding: "utf8" });
  return list
    .split("\n")
    .map((line) => /^\s*(\d+)\s+(\S+)\s+(.*)$/u.exec(line) ?? [])
    .filter(
      ([, pgid, stat]) => pgid === String(group) && stat !== undefined && !stat.startsWith("Z"),
    )
    .map(([, , , args]) => args ?? "");
}
