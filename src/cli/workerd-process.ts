/** One running workerd, in this process's group, and never alive longer than this process. It knows nothing of HalfMQ. */
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { StartRefused } from "./refusal.ts";

export const CONFIG_FILE = "workerd.capnp";

/**
 * For what is under way: a commit waits a second for its forwards, nothing else that writes takes as long. Only long polls
 * are open for longer, and lose nothing by a broken line: what is not answered is not settled, and is asked for again.
 */
const STOP_PATIENCE_MS = 2_000;
/** An instance hands its objects over for 8 s (stopTimeoutMs of workerd's ClusterConfig). */
const HANDOVER_PATIENCE_MS = 10_000;
const CONTROL_FD = 3;
/** The socket's name in the configuration. */
const HTTP_SOCKET = "http";

/** Becomes workerd, deaf to Ctrl-C: that reaches the whole group, and the launcher then stops workerd in good order. */
const RUNNER = `trap "" INT HUP; exec "$@"`;

/** Waits for the end of its input, which comes when the launcher is gone however it went, then ends workerd. */
const WATCHER = `trap "" INT TERM HUP; read -r _; kill -KILL "$1" 2>/dev/null`;

export interface WorkerdProcess {
  readonly pid: number;
  /** The port that it listens on. */
  readonly port: number;
  /** Fulfilled at its end, whoever ended it, with how: "code 1", "SIGKILL". */
  readonly ended: Promise<string>;
  /** SIGTERM, then SIGKILL for one that does not listen. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface WorkerdOptions {
  /** Holds the configuration; the paths in there count from here. */
  readonly folder: string;
  /** The whole environment of workerd. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether the configuration has parts that workerd calls experimental, such as a cluster. */
  readonly experimental?: boolean;
  /** Takes what workerd and the Worker print; absent: it goes where this process prints. */
  readonly onOutput?: (text: string) => void;
}

/** Starts workerd and waits until it listens. */
export async function startWorkerd(options: WorkerdOptions): Promise<WorkerdProcess> {
  const output = options.onOutput === undefined ? "inherit" : "pipe";
  const flags = options.experimental === true ? ["--experimental"] : [];
  const control = `--control-fd=${CONTROL_FD}`;
  const command = [workerdBinary(), "serve", ...flags, control, CONFIG_FILE];
  const child = spawn("sh", ["-c", RUNNER, "sh", ...command], {
    cwd: options.folder,
    env: options.env,
    stdio: ["ignore", output, output, "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => options.onOutput?.(text));
  }
  const { pid } = child;
  if (pid === undefined) throw new StartRefused(`workerd does not start: ${await endOf(child)}`);
  const endWatcher = watch(pid);
  const ended = endOf(child).then(async (how) => {
    await endWatcher();
    return how;
  });
  const port = await Promise.race([
    listeningPort(child.stdio[CONTROL_FD] as Readable),
    ended.then((how) => {
      throw new StartRefused(`workerd ended with ${how} before it listened`);
    }),
  ]);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    pid,
    port,
    ended,
    kill: () => end("SIGKILL"),
    stop: async () => {
      const patienceMs = options.experimental === true ? HANDOVER_PATIENCE_MS : STOP_PATIENCE_MS;
      const patience = setTimeout(() => child.kill("SIGKILL"), patienceMs);
      await end("SIGTERM").finally(() => clearTimeout(patience));
    },
  };
}

/** The native program itself: a script around it would be one more process to end. */
function workerdBinary(): string {
  const require = createRequire(import.meta.url);
  return (require("workerd") as { default: string }).default;
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `code ${String(code)}`));
    child.once("error", (error) => resolve(error.message));
  });
}

/**
 * A launcher that is killed cannot end its workerd; a shell that hears of it by its closed pipe can. Gives back how to end
 * the shell, which must not outlive its workerd: process ids come again.
 */
function watch(pid: number): () => Promise<unknown> {
  const watcher = spawn("sh", ["-c", WATCHER, "sh", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = endOf(watcher);
  return () => {
    watcher.kill("SIGKILL");
    return ended;
  };
}

/** A cluster's instance tells of the port for the other instances, too. */
async function listeningPort(control: Readable): Promise<number> {
  for await (const line of createInterface({ input: control })) {
    const event = JSON.parse(line) as { event: string; socket?: string; port: number };
    if (event.event === "listen" && event.socket === HTTP_SOCKET) return event.port;
  }
  return new Promise(() => undefined);
}
