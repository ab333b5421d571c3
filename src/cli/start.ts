/** `npm start`: serves HalfMQ from this machine until a signal. It never outlives its server, nor its server it. */
import { relative } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { packageVersion } from "./bundle.ts";
import { clusterFrom } from "./cluster.ts";
import { reasonOf, StartRefused } from "./refusal.ts";
import { type Cluster, type Server, startServer } from "./server.ts";
import { isLoopback, type Settings, settingsFrom } from "./settings.ts";

/** A start that does not heed a signal for so long is ended by it as if nobody listened. */
const START_PATIENCE_MS = 10_000;

/** What asks for the end, from the first signal on. */
const stop = new AbortController();
const stopAsked = new Promise<undefined>((resolve) => {
  stop.signal.addEventListener("abort", () => resolve(undefined));
});
let isStarting = true;

async function onSignal(signal: NodeJS.Signals): Promise<void> {
  stop.abort();
  await pause(START_PATIENCE_MS, undefined, { ref: false });
  if (!isStarting) return;
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

async function main(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => void onSignal(signal));
  const file = clusterFile();
  const settings = settingsFrom(process.env);
  const cluster = file === undefined ? undefined : await clusterFrom(file, process.env);
  const server = await startServer({
    ...settings,
    signal: stop.signal,
    ...(cluster === undefined ? {} : { cluster }),
  });
  isStarting = false;
  const version = await packageVersion();
  if (!stop.signal.aborted) console.log(greeting(server, settings, cluster, version));
  await Promise.race([server.ended, stopAsked]);
  if (!stop.signal.aborted) {
    throw new StartRefused(`the server ended by itself: ${await server.ended}`);
  }
  await server.stop();
}

/** The one option that `npm start` knows: `--cluster FILE`. */
function clusterFile(): string | undefined {
  try {
    return parseArgs({ options: { cluster: { type: "string" } } }).values.cluster;
  } catch (error) {
    throw new StartRefused(`${reasonOf(error)}; known is only --cluster FILE`);
  }
}

function greeting(
  server: Server,
  settings: Settings,
  cluster: Cluster | undefined,
  version: string,
): string {
  const folder = shown(settings.dataFolder);
  const keyFile = `${folder}/root-key`;
  const [key, whence] = {
    given: ["$HALFMQ_ROOT_KEY", "as given in the environment"],
    kept: [server.rootKey, `kept in ${keyFile}`],
    made: [server.rootKey, `made now, kept in ${keyFile}`],
  }[server.keySource] as [string, string];
  const curl = (path: string, body: string): string =>
    `curl -sS ${server.url}/v1/topics/orders${path} -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '${body}'; echo`;
  return `HalfMQ ${version} listens on ${server.url}${isLoopback(settings.host) ? "" : ` (bound to ${settings.host})`}
  root key     ${key} (${whence})
  data folder  ${folder}${cluster === undefined ? "" : `\n  cluster      ${cluster.bucket}, reached at ${cluster.advertise ?? cluster.address}`}

Send, then receive:
  ${curl("/messages", '{"body": {"hello": "world"}}')}
  ${curl("/groups/billing/receive", "{}")}

Ctrl-C stops it.`;
}

/** As short as it can be typed here. */
function shown(path: string): string {
  const fromHere = relative(process.cwd(), path) || ".";
  return fromHere.startsWith("..") ? path : fromHere;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof StartRefused)) throw error;
  // A start that ends because it was asked to has nothing to say.
  if (!stop.signal.aborted) {
    console.error(`halfmq: ${error.message}`);
    process.exitCode = 1;
  }
}
