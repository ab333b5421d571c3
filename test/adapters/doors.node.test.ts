/** The behaviours of the broker through every door of the server of `npm start`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { listenOnLoopback } from "../conformance/endpoints.node.ts";
import { throughEveryDoor } from "./through/every-door.ts";

let server: Server;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-doors-"));
  server = await startServer({ dataFolder: folder, onOutput: () => undefined });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

throughEveryDoor(() => ({ url: server.url, key: server.rootKey, listen: listenOnLoopback }));
