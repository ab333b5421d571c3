/**
 * The conformance suite against the server of `npm start`; or, with HALFMQ_URL and HALFMQ_KEY (`npm run conformance --
 * --url … --key …`), against any server that may call this machine's loopback.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { listenOnLoopback } from "./endpoints.node.ts";
import { connectTo } from "./sockets.node.ts";
import { conformance } from "./suite.ts";
import { there } from "./kit.ts";

const given = process.env["HALFMQ_URL"];

/** More tries than CI makes: HALFMQ_FUZZ_RUNS, and HALFMQ_FUZZ_SEED for others than last time. */
const chanceOf = ({ HALFMQ_FUZZ_RUNS: runs, HALFMQ_FUZZ_SEED: seed }: NodeJS.ProcessEnv) => ({
  runs: Number(runs),
  ...(seed === undefined ? {} : { seed: Number(seed) }),
});

let url = given ?? "";
let key = process.env["HALFMQ_KEY"] ?? "";
let end: () => Promise<void> = () => Promise.resolve();

beforeAll(async () => {
  if (given !== undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "halfmq-conformance-"));
  const output: string[] = [];
  const server: Server = await startServer({
    dataFolder: folder,
    onOutput: (text) => output.push(text),
  });
  ({ url, rootKey: key } = server);
  end = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
});

afterAll(() => end());

conformance(() => ({
  name: given ?? "the server of npm start",
  key: there(key),
  fetch: (path, init) => fetch(`${url}${path}`, init),
  listen: listenOnLoopback,
  connect: (path, headers) => connectTo(url, path, headers),
  ...(process.env["HALFMQ_FUZZ_RUNS"] === undefined ? {} : { chance: chanceOf(process.env) }),
}));
