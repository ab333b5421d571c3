/**
 * NATS JetStream on one node, told to flush each write (`sync_interval: always`), which servers before 2.10 cannot be told:
 * they flush every two minutes and are not compared.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { BATCH, BODY, type Peer, type PeerClient } from "./peer.ts";
import { freePorts, removeFolder, scratchFolder, spawnServer, versionOf } from "./process.ts";

/** Another than the one of the system: `NATS_SERVER=/path/to/nats-server`. */
const SERVER = process.env["NATS_SERVER"] ?? "nats-server";
const STREAM = "ORDERS";
const SUBJECT = "orders";
const CONSUMER = "billing";

function missing(): string | undefined {
  const version = versionOf(SERVER, "--version");
  if (version === undefined) return `${SERVER} is not installed`;
  const [, major, minor] = /v(\d+)\.(\d+)/u.exec(version) ?? [];
  if (Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 10)) return undefined;
  return `${version.trim()} cannot flush each write; from 2.10 on it can`;
}

async function client(port: number): Promise<PeerClient> {
  const connection = await connect({ servers: `127.0.0.1:${port}` });
  const stream = jetstream(connection);
  const consumer = await stream.consumers.get(STREAM, CONSUMER);
  const send = (): Promise<unknown> => stream.publish(SUBJECT, BODY);
  return {
    send,
    sendBatch: () => Promise.all(Array.from({ length: BATCH }, send)),
    receiveAck: async () => {
      const message = await consumer.next({ expires: 5_000 });
      if (message === null) throw new Error("the stream had nothing for 5 s");
      if (!(await message.ackAck())) throw new Error("the ack was not answered");
    },
    close: () => connection.close(),
  };
}

async function makeStream(port: number): Promise<void> {
  const connection = await connect({ servers: `127.0.0.1:${port}` });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: STREAM, subjects: [SUBJECT] });
  await manager.consumers.add(STREAM, {
    durable_name: CONSUMER,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: -1,
  });
  await connection.close();
}

export const natsJetStream: Peer = {
  name: "NATS JetStream",
  protocol: "NATS, @nats-io/jetstream; publish, next, ackAck; a batch is 100 publishes at once",
  durability:
    "fsync of each published message before its answer, one node; acks are answered, not flushed one by one",
  missing,
  start: async () => {
    const folder = await scratchFolder("nats");
    const [port = 0] = await freePorts(1);
    const config = join(folder, "nats.conf");
    await writeFile(
      config,
      `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}", sync_interval: always }\n`,
    );
    const server = await spawnServer([SERVER, "-c", config], port);
    await makeStream(port);
    return {
      pid: server.pid,
      connect: () => client(port),
      stop: async () => {
        await server.stop();
        await removeFolder(folder);
      },
    };
  },
};
