/** Alibaba Cloud's unmodified SDK against the server of `npm start`, and against the built bundle under miniflare. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { startServer } from "../../../src/cli/server.ts";
import { there } from "../../conformance/kit.ts";
import { startMiniflare } from "../../kit/miniflare.node.ts";
import type { Running } from "./kit.ts";
import { rocketmqSuite } from "./suite.ts";

const ROOT_KEY = "a-root-key-for-this-test-only";

/** Runs the suite against what `start` starts in a folder of its own. */
function against(start: (folder: string) => Promise<Running & { stop(): Promise<unknown> }>): void {
  let running: Awaited<ReturnType<typeof start>> | undefined;
  let folder = "";

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "halfmq-rocketmq-"));
    running = await start(folder);
  });

  afterAll(async () => {
    await running?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  rocketmqSuite(() => there(running));
}

describe("the server of npm start", () => {
  against((dataFolder) => startServer({ dataFolder, onOutput: () => undefined }));
});

describe("miniflare", () => {
  against(async (dataFolder) => ({
    ...(await startMiniflare(ROOT_KEY, dataFolder)),
    rootKey: ROOT_KEY,
  }));
});
