/**
 * Starts a real HalfMQ server: the bundled Worker under plain workerd, with its data in a folder. Used by `npm start`, the
 * demo, the benches and tests. It never prints and never ends the process that calls it.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { compatibilityDate, packageVersion, workerBundle } from "./bundle.ts";
import { type DataFolder, holdDataFolder } from "./data-folder.ts";
import { codeOf, reasonOf, StartRefused } from "./refusal.ts";
import { type KeySource, rootKeyOf } from "./root-key.ts";
import { isLoopback } from "./settings.ts";
import {
  type ClusterConfig,
  COPIES_FOLDER,
  OBJECTS_FOLDER,
  WORKER_FILE,
  workerdConfig,
} from "./workerd-config.ts";
import { CONFIG_FILE, startWorkerd, type WorkerdProcess } from "./workerd-process.ts";

const HEALTH_PATIENCE_MS = 30_000;

export interface ServerOptions {
  /** Made when missing. One server at a time. */
  readonly dataFolder: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: the one kept in the data folder, made when there is none. */
  readonly rootKey?: string;
  /** Absent: a server by itself. The folder then is this instance's own, and the bucket holds the data. */
  readonly cluster?: Cluster;
  /** More variables for the Worker, such as HALFMQ_ALLOWED_TARGETS. */
  readonly env?: Readonly<Record<string, string>>;
  /** Takes what the server logs; absent: it goes where this process prints. */
  readonly onOutput?: (text: string) => void;
  /** Ends a start that has not got to its end: it is refused, and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

export interface Cluster extends ClusterConfig {
  /** What workerd opens the bucket with: AWS_ACCESS_KEY_ID and the like. */
  readonly credentials: Readonly<Record<string, string>>;
}

export interface Server {
  readonly url: string;
  readonly port: number;
  readonly rootKey: string;
  readonly keySource: KeySource;
  /** The process that serves and writes: the one to kill in a crash test. */
  readonly pid: number;
  /** Fulfilled at the server's end, whoever ended it, with how: "code 1", "SIGKILL". */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
  /** SIGKILL at once, as a crash would. The folder is free afterwards. */
  kill(): Promise<void>;
}

/** Fulfilled when the server answers; a StartRefused says in one line why it cannot. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { host = "127.0.0.1", port = 0 } = options;
  const folder = await holdDataFolder(options.dataFolder);
  try {
    const { key, source } = await rootKeyOf(folder.path, options.rootKey);
    await checkFree(host, port);
    const env = await variables(options, host, key);
    const address = `${bracketed(host)}:${port}`;
    await writeRuntime(folder.path, address, Object.keys(env), options.cluster);
    options.signal?.throwIfAborted();
    const workerd = await startWorkerd({
      folder: folder.path,
      env: { ...env, ...options.cluster?.credentials, PATH: process.env["PATH"] ?? "" },
      experimental: options.cluster !== undefined,
      ...(options.onOutput === undefined ? {} : { onOutput: options.onOutput }),
    });
    const server = { ...handle(workerd, host, folder), rootKey: key, keySource: source };
    try {
      await folder.entrust(workerd.pid);
      options.signal?.throwIfAborted();
      await healthy(server);
    } catch (error) {
      await server.kill();
      throw error;
    }
    return server;
  } catch (error) {
    await folder.release();
    if (error instanceof StartRefused) throw error;
    throw new StartRefused(`the server does not start: ${reasonOf(error)}`);
  }
}

function handle(
  workerd: WorkerdProcess,
  host: string,
  folder: DataFolder,
): Omit<Server, "rootKey" | "keySource"> {
  const ended = workerd.ended.then(async (how) => {
    await folder.release();
    return how;
  });
  return {
    url: `http://${bracketed(reachable(host))}:${workerd.port}`,
    port: workerd.port,
    pid: workerd.pid,
    ended,
    stop: async () => {
      await workerd.stop();
      await ended;
    },
    kill: async () => {
      await workerd.kill();
      await ended;
    },
  };
}

async function variables(
  options: ServerOptions,
  host: string,
  rootKey: string,
): Promise<Record<string, string>> {
  return {
    ...options.env,
    ...(isLoopback(host) ? { HALFMQ_LOOPBACK: "1" } : {}),
    HALFMQ_VERSION: await packageVersion(),
    HALFMQ_ROOT_KEY: rootKey,
  };
}

/** Writes what workerd reads: the Worker and the configuration beside it. */
async function writeRuntime(
  folder: string,
  address: string,
  variables: readonly string[],
  cluster: Cluster | undefined,
): Promise<void> {
  const [mine, others] =
    cluster === undefined ? [OBJECTS_FOLDER, COPIES_FOLDER] : [COPIES_FOLDER, OBJECTS_FOLDER];
  await checkUnused(folder, others);
  const [code, date] = await Promise.all([workerBundle(), compatibilityDate()]);
  await mkdir(join(folder, mine), { recursive: true });
  await writeFile(join(folder, WORKER_FILE), code);
  const config = workerdConfig({
    address,
    compatibilityDate: date,
    variables,
    ...(cluster === undefined ? {} : { cluster }),
  });
  const file = join(folder, CONFIG_FILE);
  // A file that is there keeps its mode, and an older one may be open to all.
  await rm(file, { force: true });
  await writeFile(file, config, { mode: 0o600 });
}

/** Data of a server by itself is not in the bucket, and a cluster's copies are no data: neither passes for the other. */
async function checkUnused(folder: string, others: string): Promise<void> {
  const found = await readdir(join(folder, others)).catch((): string[] => []);
  if (found.length === 0) return;
  const whose =
    others === OBJECTS_FOLDER ? "the data of a server by itself" : "copies of a cluster";
  throw new StartRefused(`the data folder ${folder} holds ${whose}; name another in HALFMQ_DATA`);
}

/** workerd's own words for a busy port are long; and it shares one that another server took with SO_REUSEPORT. */
async function checkFree(host: string, port: number): Promise<void> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject).listen({ host, port, exclusive: true }, resolve);
    });
  } catch (error) {
    throw new StartRefused(portRefusal(host, port, error));
  }
  await new Promise<void>((resolve) => {
    probe.close(() => resolve());
  });
}

function portRefusal(host: string, port: number, error: unknown): string {
  const address = `${bracketed(host)}:${port}`;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return `port ${port} is busy: another process listens on ${address}; name another in PORT`;
    case "EACCES":
      return `port ${port} needs rights that this user does not have; name another in PORT`;
    case "EADDRNOTAVAIL":
      return `this machine has no address ${host}; name another in HALFMQ_HOST`;
    default:
      return `${address} cannot be listened on: ${reasonOf(error)}`;
  }
}

async function healthy(server: Pick<Server, "url" | "ended">): Promise<void> {
  const answer = fetch(`${server.url}/v1/health`, {
    signal: AbortSignal.timeout(HEALTH_PATIENCE_MS),
  });
  const gone = server.ended.then((how) => {
    throw new StartRefused(`workerd ended with ${how} before it answered`);
  });
  const { status } = await Promise.race([answer, gone]);
  if (status !== 200) throw new StartRefused(`GET /v1/health answers ${status}`);
}

/** An address to call for one to listen on. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
