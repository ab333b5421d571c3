/**
 * The servers that a bench runs, each on a free port of loopback with data in a folder of its own: HalfMQ as `npm start`
 * runs it, and the baselines under the same workerd. Everything ends with `stop`.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { compatibilityDate } from "../../src/cli/bundle.ts";
import { startServer } from "../../src/cli/server.ts";
import { CONFIG_FILE, startWorkerd } from "../../src/cli/workerd-process.ts";

const BASELINES = new URL("../baselines/worker.ts", import.meta.url);

export interface Served {
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

export interface HalfMq extends Served {
  readonly key: string;
  readonly folder: string;
  /** The process ends as in a crash and a new one opens the same data. */
  readonly restart: () => Promise<HalfMq>;
}

/** Without a folder it gets a new one, which goes when it stops. */
export async function serveHalfMq(): Promise<HalfMq> {
  return serveIn(await newFolder());
}

/** What servers log would stand between the tables; what goes wrong shows in their answers. */
const unheard = (): void => undefined;

async function serveIn(folder: string): Promise<HalfMq> {
  const server = await startServer({ dataFolder: folder, onOutput: unheard });
  return {
    port: server.port,
    pid: server.pid,
    key: server.rootKey,
    folder,
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
    restart: async () => {
      await server.stop();
      return serveIn(folder);
    },
  };
}

export const serveBaselines = (): Promise<Served> => serveWorker(BASELINES, config);

/** A Worker and its configuration, which may have parts that workerd calls experimental. */
export async function serveWorker(
  worker: URL,
  configFor: (compatibilityDate: string) => string,
): Promise<Served> {
  const folder = await newFolder();
  await mkdir(join(folder, "objects"));
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(worker)],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*"],
    logLevel: "silent",
  });
  await writeFile(join(folder, "worker.js"), outputFiles[0]?.text ?? "");
  await writeFile(join(folder, CONFIG_FILE), configFor(await compatibilityDate()));
  const env = { PATH: process.env["PATH"] ?? "" };
  const workerd = await startWorkerd({ folder, env, experimental: true });
  return {
    port: workerd.port,
    pid: workerd.pid,
    stop: async () => {
      await workerd.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "halfmq-bench-"));

const config = (date: string): string => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = "objects", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "${date}",
  durableObjectNamespaces = [
    (className = "Idle", uniqueKey = "idle", enableSql = true),
    (className = "Naive", uniqueKey = "naive", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "IDLE", durableObjectNamespace = "Idle"),
    (name = "NAIVE", durableObjectNamespace = "Naive"),
  ],
);
`;
