/**
 * Redis, once through its Streams and once through BullMQ's scripts; both flush to disk before they answer
 * (`appendfsync always`). One process, no replica.
 */
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { BATCH, BODY, type Peer, type PeerClient, type RunningPeer } from "./peer.ts";
import { freePorts, removeFolder, scratchFolder, spawnServer, versionOf } from "./process.ts";

const SERVER = "redis-server";
const STREAM = "orders";
const GROUP = "billing";
const LOCK_MS = 600_000;

const missing = (): string | undefined =>
  versionOf(SERVER, "--version") === undefined ? `${SERVER} is not installed` : undefined;

async function start(
  connect: (port: number) => Promise<PeerClient>,
  prepare: (port: number) => Promise<void> = () => Promise.resolve(),
): Promise<RunningPeer> {
  const folder = await scratchFolder("redis");
  const [port = 0] = await freePorts(1);
  const options = ["--dir", folder, "--appendonly", "yes", "--appendfsync", "always", "--save", ""];
  const address = ["--port", String(port), "--bind", "127.0.0.1"];
  const server = await spawnServer([SERVER, ...address, ...options], port);
  await prepare(port);
  return {
    pid: server.pid,
    connect: () => connect(port),
    stop: async () => {
      await server.stop();
      await removeFolder(folder);
    },
  };
}

async function makeStream(port: number): Promise<void> {
  const redis = new Redis({ port, host: "127.0.0.1" });
  await redis.xgroup("CREATE", STREAM, GROUP, "0", "MKSTREAM");
  await redis.quit();
}

async function streamClient(port: number): Promise<PeerClient> {
  const redis = new Redis({ port, host: "127.0.0.1" });
  const consumer = `consumer-${await redis.client("ID")}`;
  return {
    send: () => redis.xadd(STREAM, "*", "body", BODY),
    sendBatch: () => {
      const batch = redis.multi();
      for (let count = 0; count < BATCH; count++) batch.xadd(STREAM, "*", "body", BODY);
      return batch.exec();
    },
    receiveAck: async () => {
      const read = await redis.xreadgroup(
        "GROUP",
        GROUP,
        consumer,
        "COUNT",
        1,
        "BLOCK",
        5_000,
        "STREAMS",
        STREAM,
        ">",
      );
      const id = read?.[0]?.[1][0]?.[0];
      if (id === undefined) throw new Error("the stream had nothing for 5 s");
      await redis.xack(STREAM, GROUP, id);
    },
    close: () => redis.quit(),
  };
}

async function bullClient(port: number): Promise<PeerClient> {
  const connection = { port, host: "127.0.0.1", maxRetriesPerRequest: null };
  const options = { removeOnComplete: true, removeOnFail: true };
  const queue = new Queue(STREAM, { connection, defaultJobOptions: options });
  const worker = new Worker(STREAM, null, { connection, lockDuration: LOCK_MS });
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
  const job = { name: "order", data: BODY };
  const batch = Array.from({ length: BATCH }, () => job);
  return {
    send: () => queue.add(job.name, job.data),
    sendBatch: () => queue.addBulk(batch),
    receiveAck: async () => {
      const got = await worker.getNextJob("token");
      if (got === undefined) throw new Error("the queue is empty");
      await got.moveToCompleted("done", "token", false);
    },
    close: async () => {
      await worker.close(true);
      await queue.close();
    },
  };
}

export const redisStreams: Peer = {
  name: "Redis Streams",
  protocol: "RESP, ioredis; XADD, XREADGROUP, XACK",
  durability: "fsync before each answer, one process",
  missing,
  start: () => start(streamClient, makeStream),
};

export const bullMq: Peer = {
  name: "BullMQ",
  protocol: "RESP with Lua scripts, bullmq; add, getNextJob, moveToCompleted",
  durability: "fsync before each answer, one process; done jobs are removed",
  missing,
  start: () => start(bullClient),
};
