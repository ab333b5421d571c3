/** A quorum queue of RabbitMQ on one node: an answer to a publish comes when it is in the write-ahead log and flushed. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "amqplib";
import { BATCH, BODY, type Peer, type PeerClient } from "./peer.ts";
import {
  freePorts,
  removeFolder,
  scratchFolder,
  type Spawned,
  spawnServer,
  versionOf,
} from "./process.ts";

/** The program behind Debian's wrapper, which would change to a user of the system and its folders. */
const SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const NAMES = "epmd";
const QUEUE = "orders";

async function client(port: number): Promise<PeerClient> {
  const connection = await connect({ hostname: "127.0.0.1", port });
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(QUEUE, { durable: true, arguments: { "x-queue-type": "quorum" } });
  const body = Buffer.from(BODY);
  const send = (): Promise<void> =>
    new Promise((resolve, reject) => {
      channel.sendToQueue(QUEUE, body, { persistent: true }, (error: unknown) => {
        if (error === null || error === undefined) resolve();
        else reject(error instanceof Error ? error : new Error("the publish was refused"));
      });
    });
  return {
    send,
    sendBatch: () => Promise.all(Array.from({ length: BATCH }, send)),
    receiveAck: async () => {
      const message = await channel.get(QUEUE);
      if (message === false) throw new Error("the queue is empty");
      channel.ack(message);
    },
    close: () => connection.close(),
  };
}

/** The name service that the runtime would else start as a daemon, with a process of its own to end. */
const startNames = (port: number): Promise<Spawned> =>
  spawnServer([NAMES, "-address", "127.0.0.1", "-port", String(port)], port);

async function startNode(folder: string, port: number, more: readonly number[]): Promise<Spawned> {
  const [distribution, names] = more;
  const plugins = join(folder, "enabled_plugins");
  const pidFile = join(folder, "pid");
  await writeFile(plugins, "[].\n");
  const node = await spawnServer([SERVER], port, {
    HOME: folder,
    RABBITMQ_NODENAME: "halfmq-bench@localhost",
    RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    ERL_EPMD_PORT: String(names),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_PID_FILE: pidFile,
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_CONF_ENV_FILE: join(folder, "none"),
    RABBITMQ_CONFIG_FILE: join(folder, "none"),
  });
  // The program is a script, which hands a signal on to the runtime beneath it.
  return { ...node, pid: Number(await readFile(pidFile, "utf8")) };
}

export const rabbitMq: Peer = {
  name: "RabbitMQ quorum queue",
  protocol: "AMQP 0-9-1, amqplib; publish with confirm, get, ack; a batch is 100 publishes at once",
  durability: "fsync of the log before a publish is confirmed, one node; an ack is never answered",
  missing: () => {
    if (!existsSync(SERVER)) return "rabbitmq-server is not installed";
    return versionOf(NAMES, "-help") === undefined && !existsSync("/usr/bin/epmd")
      ? `${NAMES} is not installed`
      : undefined;
  },
  start: async () => {
    const folder = await scratchFolder("rabbitmq");
    const [port = 0, ...more] = await freePorts(3);
    const names = await startNames(more[1] ?? 0);
    const node = await startNode(folder, port, more);
    return {
      pid: node.pid,
      connect: () => client(port),
      stop: async () => {
        await node.stop();
        await names.stop();
        await removeFolder(folder);
      },
    };
  },
};
