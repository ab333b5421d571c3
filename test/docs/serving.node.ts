/** A server for the tests of the documents, with its data in `.halfmq` as the README says. It ends with the test that asked for it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";

export interface Serving extends Server {
  /** The folder in which a user would have typed `npm start`. */
  readonly folder: string;
}

export async function serveDocs(): Promise<Serving> {
  const folder = await mkdtemp(join(tmpdir(), "halfmq-docs-"));
  const server = await startServer({ dataFolder: join(folder, ".halfmq"), onOutput: () => {} });
  onTestFinished(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return { ...server, folder };
}
