/** Alibaba Cloud's unmodified SDK against the server of `npm start`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type Server, startServer } from "../../../src/cli/server.ts";
import { rocketmqSuite } from "./suite.ts";

let server: Server;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-rocketmq-"));
  server = await startServer({ dataFolder: folder, onOutput: () => undefined });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

rocketmqSuite(() => server);
