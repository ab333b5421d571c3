/**
 * Cloudflare Queues as workerd bundles it for machines of one's own: SQLite objects, a row per message. It only pushes, to a
 * Worker in the same process, so that there is no receive to compare.
 */
import { serveWorker } from "../kit/servers.ts";
import { Connection, requestBytes } from "../kit/connection.ts";
import { succeeded } from "../kit/load.ts";
import { BODY, type Peer, type PeerClient } from "./peer.ts";

const WORKER = new URL("../baselines/queues-worker.ts", import.meta.url);

const config = (date: string): string => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "queues", worker = .queues),
    (name = "disk", disk = (path = "objects", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "${date}",
  bindings = [(name = "QUEUE", queue = (name = "queues", props = (json = "{\\"queue\\": \\"orders\\"}")))],
);
const queues :Workerd.Worker = (
  modules = [(name = "queues.js", bundled = "/workerd/queues.js")],
  compatibilityDate = "${date}",
  compatibilityFlags = ["service_binding_extra_handlers"],
  durableObjectNamespaces = [(className = "QueueShard", uniqueKey = "shard", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "SHARD", durableObjectNamespace = "QueueShard"),
    (name = "CONSUMER", service = "main"),
    (name = "CONSUMERS", json = "{\\"orders\\": {\\"consumer\\": \\"CONSUMER\\", \\"maxBatchSize\\": 100, \\"maxBatchTimeout\\": 0}}"),
  ],
);
`;

async function client(port: number): Promise<PeerClient> {
  const connection = await Connection.open(port);
  const [send, batch] = ["/send", "/batch"].map((path) => requestBytes(path, "none", BODY));
  const ask = async (request: Buffer | undefined): Promise<unknown> =>
    succeeded(await connection.ask(request ?? Buffer.alloc(0)));
  return {
    send: () => ask(send),
    sendBatch: () => ask(batch),
    close: () => Promise.resolve(connection.close()),
  };
}

async function delivered(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/delivered`);
  return ((await answer.json()) as { delivered: number }).delivered;
}

export const cloudflareQueues: Peer = {
  name: "Cloudflare Queues (workerd)",
  protocol: "HTTP/1.1, lean connections; pushes to a Worker of the same process",
  durability: "SQLite commit before each answer; a delivery's ack is not answered to anybody",
  pushes: true,
  missing: () => undefined,
  start: async () => {
    const served = await serveWorker(WORKER, config);
    return {
      pid: served.pid,
      connect: () => client(served.port),
      delivered: () => delivered(served.port),
      stop: served.stop,
    };
  },
};
