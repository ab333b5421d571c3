/** HalfMQ among its peers: once over the benches' lean connections, once through its own client, as the peers through theirs. */
import { HalfMQ } from "../../src/client/index.ts";
import { Connection, requestBytes } from "../kit/connection.ts";
import { succeeded } from "../kit/load.ts";
import { serveHalfMq, type HalfMq } from "../kit/servers.ts";
import { BATCH, BODY, type Peer, type PeerClient, type RunningPeer } from "./peer.ts";

const TOPIC = "orders";
const GROUP = "billing";
const PATH = `/v1/topics/${TOPIC}`;
const MESSAGE = `{"body":${BODY}}`;
const MESSAGES = `{"messages":[${Array.from({ length: BATCH }, () => MESSAGE).join(",")}]}`;

async function leanClient({ port, key }: HalfMq): Promise<PeerClient> {
  const connection = await Connection.open(port);
  const ask = async (request: Buffer): Promise<Buffer> =>
    succeeded(await connection.ask(request)).body;
  const [send, batch] = [MESSAGE, MESSAGES].map((body) =>
    requestBytes(`${PATH}/messages`, key, body),
  ) as [Buffer, Buffer];
  const receive = requestBytes(`${PATH}/groups/${GROUP}/receive`, key, `{"maxMessages":1}`);
  return {
    send: () => ask(send),
    sendBatch: () => ask(batch),
    receiveAck: async () => {
      const receipt = /"receipt":"([^"]*)"/u.exec((await ask(receive)).toString())?.[1];
      if (receipt === undefined) throw new Error("the topic is empty");
      const body = `{"receipts":["${receipt}"]}`;
      await ask(requestBytes(`${PATH}/groups/${GROUP}/ack`, key, body));
    },
    close: () => Promise.resolve(connection.close()),
  };
}

function ownClient({ port, key }: HalfMq): Promise<PeerClient> {
  const mq = new HalfMQ({ url: `http://127.0.0.1:${port}`, key });
  const consumer = mq.consumer(TOPIC, GROUP, { ackLingerMs: 0 });
  const message = { body: JSON.parse(BODY) as string };
  const batch = Array.from({ length: BATCH }, () => message);
  return Promise.resolve({
    send: () => mq.send(TOPIC, message),
    sendBatch: () => mq.send(TOPIC, batch),
    receiveAck: async () => {
      const [got] = await consumer.receive({ maxMessages: 1 });
      if (got === undefined) throw new Error("the topic is empty");
      await got.ack();
    },
    close: () => Promise.resolve(),
  });
}

async function start(client: (server: HalfMq) => Promise<PeerClient>): Promise<RunningPeer> {
  const server = await serveHalfMq();
  return { pid: server.pid, connect: () => client(server), stop: server.stop };
}

const durability = "SQLite commit before each answer";

export const halfMq: Peer = {
  name: "HalfMQ",
  protocol: "HTTP/1.1, lean connections",
  durability,
  missing: () => undefined,
  start: () => start(leanClient),
};

export const halfMqClient: Peer = {
  name: "HalfMQ, its client",
  protocol: "HTTP/1.1, halfmq on Node's fetch; acks are sent at once",
  durability,
  missing: () => undefined,
  start: () => start(ownClient),
};
