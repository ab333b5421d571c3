/**
 * Keeps one service of the demo alive: starts it again each time it is killed, with the next planned death. The service's
 * process ends with this one, because it ends when its IPC channel does; here it is ended by its process id.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Death } from "./kill-plan.ts";

/** What a service tells its keeper. */
export type Report = { readonly ready: true } | { readonly handled: number };

export interface KeptOptions {
  /** Beside this file. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  /** One life each; after the last one it lives on. */
  readonly deaths: readonly Death[];
  readonly onReport?: (report: Report) => void;
  /** It ended in another way than by a kill. */
  readonly onFailure: (error: Error) => void;
}

const STDERR_CHARS = 4_000;

export class KeptService {
  readonly #options: KeptOptions;
  readonly #lives: Promise<void>;
  #kill: () => void = () => {};
  #kills = 0;
  #stopping = false;

  constructor(options: KeptOptions) {
    this.#options = options;
    this.#lives = this.#run();
  }

  /** How many times it was killed so far. */
  get kills(): number {
    return this.#kills;
  }

  /** SIGKILL for the one that runs, and no other one. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#kill();
    await this.#lives;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const end = await this.#live(this.#options.deaths[this.#kills]);
      if (this.#stopping) return;
      if (end !== "SIGKILL") {
        this.#options.onFailure(new Error(`${this.#options.script} ended by itself: ${end}`));
        return;
      }
      this.#kills++;
    }
  }

  /** One process from start to end, and how it ended. */
  async #live(death: Death | undefined): Promise<string> {
    const { script, env, onReport } = this.#options;
    const { place } = death ?? {};
    const killAt = place === undefined ? "" : `${place.point}:${place.pass}`;
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", fileURLToPath(new URL(script, import.meta.url))],
      {
        env: { PATH: process.env["PATH"] ?? "", ...env, DEMO_KILL_AT: killAt },
        stdio: ["ignore", "ignore", "pipe", "ipc"],
      },
    );
    this.#kill = () => child.kill("SIGKILL");
    let stderr = "";
    const ended = new AbortController();
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-STDERR_CHARS);
    });
    child.on("message", (report: Report) => {
      if ("ready" in report && death !== undefined) {
        const timer = setTimeout(() => child.kill("SIGKILL"), death.afterMs);
        ended.signal.addEventListener("abort", () => clearTimeout(timer));
      }
      onReport?.(report);
    });
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    ended.abort();
    return signal ?? `code ${String(code)}\n${stderr}`;
  }
}
