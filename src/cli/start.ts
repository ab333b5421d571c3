/** `npm start`: serves HalfMQ from this machine until a signal. It never outlives its server, nor its server it. */
import { once } from "node:events";
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { packageVersion } from "./bundle.ts";
import { clusterFrom } from "./cluster.ts";
import { reasonOf, StartRefused } from "./refusal.ts";
import { type Cluster, type Server, startServer } from "./server.ts";
import { isLoopback, type Settings, settingsFrom } from "./settings.ts";

const stopAsked = new AbortController();

async function main(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stopAsked.abort());
  const file = clusterFile();
  const settings = settingsFrom(process.env);
  const cluster = file === undefined ? undefined : await clusterFrom(file, process.env);
  const server = await startServer({ ...settings, ...(cluster === undefined ? {} : { cluster }) });
  if (!stopAsked.signal.aborted) {
    console.log(greeting(server, settings, cluster, await packageVersion()));
    await Promise.race([server.ended, once(stopAsked.signal, "abort")]);
  }
  if (!stopAsked.signal.aborted) {
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
    `curl -sS ${server.url}/v1/topics/orders${path} -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '${body}'`;
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
  console.error(`halfmq: ${error.message}`);
  process.exitCode = 1;
}
