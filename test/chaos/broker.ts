/**
 * The broker of a chaos run: workerd as `npm start` runs it, on one data folder, killed, frozen, stopped and started again
 * behind the proxy. It knows how long each recovery took, and reads the log for what no fault explains.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Server, startServer } from "../../src/cli/server.ts";
import type { Proxy } from "./proxy.ts";

const LOG_CHARS = 200_000;
const WAL_LOOK_MS = 1;

export class ChaosBroker {
  readonly #dataFolder: string;
  readonly #proxy: Proxy;
  readonly #onOutput: (text: string) => void;
  #server: Server | undefined;
  log = "";
  /** From a kill to an answer. */
  readonly recoveriesMs: number[] = [];

  constructor(dataFolder: string, proxy: Proxy, onOutput: (text: string) => void = () => {}) {
    this.#dataFolder = dataFolder;
    this.#proxy = proxy;
    this.#onOutput = onOutput;
  }

  get key(): string {
    return this.#server?.rootKey ?? "";
  }

  async start(): Promise<void> {
    this.#server = await startServer({
      dataFolder: this.#dataFolder,
      onOutput: (text) => {
        this.log = (this.log + text).slice(-LOG_CHARS);
        this.#onOutput(text);
      },
    });
    this.#proxy.upstreamPort = this.#server.port;
  }

  /** SIGKILL in this very turn of the event loop, then the same again. */
  async crash(): Promise<void> {
    const at = performance.now();
    const { pid } = this.#running();
    process.kill(pid, "SIGKILL");
    await this.#running().kill();
    await this.start();
    this.recoveriesMs.push(performance.now() - at);
  }

  async restart(): Promise<void> {
    await this.#running().stop();
    await this.start();
  }

  async freeze(ms: number): Promise<void> {
    const { pid } = this.#running();
    process.kill(pid, "SIGSTOP");
    await pause(ms);
    process.kill(pid, "SIGCONT");
  }

  async end(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await server.kill();
  }

  /** Most memory that the process ever held, in bytes; 0 where the system does not tell. */
  peakBytes(read: (path: string) => string): number {
    try {
      const status = read(`/proc/${this.#running().pid}/status`);
      return Number(/VmHWM:\s+(\d+) kB/u.exec(status)?.[1] ?? 0) * 1_024;
    } catch {
      return 0;
    }
  }

  /** Calls back as soon as the write-ahead log of any queue has grown. Gives back how to give up. */
  onceWalGrows(run: () => void): () => void {
    const before = this.#walBytes();
    const timer = setInterval(() => {
      const grown = [...this.#walBytes()].some(([name, bytes]) => bytes > (before.get(name) ?? 0));
      if (!grown) return;
      clearInterval(timer);
      run();
    }, WAL_LOOK_MS);
    return () => clearInterval(timer);
  }

  #walBytes(): Map<string, number> {
    const folder = join(this.#dataFolder, "objects", "halfmq-queue");
    const sizes = new Map<string, number>();
    for (const name of readdirSync(folder))
      // SQLite may take a log away meanwhile.
      if (name.endsWith("-wal"))
        sizes.set(name, statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
    return sizes;
  }

  #running(): Server {
    if (this.#server === undefined) throw new Error("the broker is not running");
    return this.#server;
  }
}
