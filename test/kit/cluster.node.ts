/**
 * Several HalfMQ servers as one cluster over an S3 bucket in memory, for tests and benches. Each is a process of its own,
 * with a folder of its own; everything ends with `stop`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Server, startServer } from "../../src/cli/server.ts";
import { S3_CREDENTIALS, type S3, startS3 } from "./s3.node.ts";

const BUCKET = "halfmq/test";
const ROOT_KEY = "the-root-key-of-the-cluster";

export interface ClusterOptions {
  readonly instances: number;
  /** Makes the lease of 20 s and the waits that hang on it shorter by so much. */
  readonly timeDivisor?: number;
  readonly bucketDelayMs?: number;
}

export interface RunningCluster {
  readonly s3: S3;
  readonly servers: readonly Server[];
  readonly rootKey: string;
  /** Another instance, beside those that are there. */
  readonly join: () => Promise<Server>;
  readonly stop: () => Promise<void>;
}

export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { bucketDelayMs = 0, timeDivisor } = options;
  const s3 = await startS3({ delayMs: bucketDelayMs });
  const servers: Server[] = [];
  const folders: string[] = [];
  const joinOne = async (): Promise<Server> => {
    const folder = await mkdtemp(join(tmpdir(), "halfmq-cluster-"));
    folders.push(folder);
    const server = await startServer({
      dataFolder: folder,
      rootKey: ROOT_KEY,
      onOutput: () => {},
      cluster: {
        bucket: `s3://${BUCKET}`,
        endpoint: s3.endpoint,
        region: "auto",
        address: "127.0.0.1:0",
        key: "a-key-for-the-cluster-of-a-test-run",
        credentials: S3_CREDENTIALS,
        ...(timeDivisor === undefined ? {} : { timeDivisor }),
      },
    });
    servers.push(server);
    return server;
  };
  for (let count = 0; count < options.instances; count++) await joinOne();
  return {
    s3,
    servers,
    rootKey: ROOT_KEY,
    join: joinOne,
    stop: async () => {
      await Promise.all(servers.map((server) => server.kill()));
      await s3.stop();
      await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
    },
  };
}
