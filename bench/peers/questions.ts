/**
 * The same work by HalfMQ and by its peers, on the same machine, in the same run, in turn. What is not installed is left out
 * by name. Protocols, clients and durability differ, and are named beside the figures.
 */
import { compare, type Contender, type Line } from "../kit/compare.ts";
import { CONNECTIONS, counted, timed, type Measured } from "../kit/load.ts";
import type { Question, Report } from "../kit/question.ts";
import { cloudflareQueues } from "./cloudflare-queues.ts";
import { halfMq, halfMqClient } from "./halfmq.ts";
import { natsJetStream } from "./nats.ts";
import { BATCH, type Peer, type PeerClient, type RunningPeer } from "./peer.ts";
import { rabbitMq } from "./rabbitmq.ts";
import { bullMq, redisStreams } from "./redis.ts";

export const PEERS: readonly Peer[] = [
  halfMq,
  halfMqClient,
  cloudflareQueues,
  redisStreams,
  bullMq,
  natsJetStream,
  rabbitMq,
];

const ROUNDS = 3;
const LOOP = { warmUpMs: 500, durationMs: 2_000 };
/** Batches are this many times the work of a message. */
const BATCH_CONNECTIONS = 4;
/** What each client takes of the stock that was sent before. */
const TAKES = 50;

interface Verb {
  readonly connections: number;
  readonly can: (peer: Peer) => boolean;
  readonly measure: (clients: readonly PeerClient[], running: RunningPeer) => Promise<Measured>;
}

const sends: Verb = {
  connections: CONNECTIONS,
  can: () => true,
  measure: (clients, { pid }) => timed(clients, pid, LOOP, (client) => client.send()),
};

const batches: Verb = {
  connections: BATCH_CONNECTIONS,
  can: () => true,
  measure: async (clients, { pid }) => {
    const found = await timed(clients, pid, LOOP, (client) => client.sendBatch());
    const { perSecond, processorUs } = found;
    return { ...found, perSecond: perSecond * BATCH, processorUs: processorUs / BATCH };
  },
};

const receiveAck: Verb = {
  connections: CONNECTIONS,
  can: ({ pushes }) => pushes !== true,
  measure: async (clients, { pid }) => {
    const stock = (clients.length * TAKES) / BATCH;
    await counted(clients.slice(0, 1), pid, stock, (client) => client.sendBatch());
    return counted(clients, pid, TAKES, (client) => taken(client));
  },
};

const wholeLife: Verb = {
  connections: CONNECTIONS,
  can: () => true,
  measure: async (clients, { pid, delivered }) => {
    if (delivered === undefined) {
      return timed(clients, pid, LOOP, async (client) => {
        await client.send();
        await taken(client);
      });
    }
    // A life ends where the push does; its length is not seen from outside.
    const before = await delivered();
    const started = performance.now();
    const { processorUs } = await timed(clients, pid, LOOP, (client) => client.send());
    const perSecond = ((await delivered()) - before) / ((performance.now() - started) / 1_000);
    return { perSecond, p50Ms: Number.NaN, p99Ms: Number.NaN, processorUs };
  },
};

function taken(client: PeerClient): Promise<unknown> {
  if (client.receiveAck === undefined) throw new Error("a peer that only pushes was asked to give");
  return client.receiveAck();
}

async function ask(title: string, verb: Verb): Promise<Report> {
  const contenders: Contender[] = [];
  const stops: (() => Promise<void>)[] = [];
  try {
    for (const peer of PEERS) {
      const why = peer.missing();
      if (why !== undefined) console.log(`- ${peer.name} is left out: ${why}`);
      if (why !== undefined || !verb.can(peer)) continue;
      const running = await peer.start();
      stops.push(running.stop);
      contenders.push({ name: peer.name, measure: () => measure(verb, running) });
    }
    return report(title, await compare(contenders, ROUNDS));
  } finally {
    for (const stop of stops) await stop();
  }
}

/** With connections of its own: a server may close those that say nothing while others have their turn. */
async function measure(verb: Verb, running: RunningPeer): Promise<Measured> {
  const clients: PeerClient[] = [];
  try {
    for (let count = 0; count < verb.connections; count++) clients.push(await running.connect());
    return await verb.measure(clients, running);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

function report(title: string, lines: readonly Line[]): Report {
  const described = new Map(PEERS.map((peer) => [peer.name, peer]));
  const head = [title, "messages/s", "p50 ms", "p99 ms", "server CPU µs", "HalfMQ's speed in its"];
  const rows = lines.map((line) => [
    line.name,
    line.perSecond.toFixed(0),
    ms(line.p50Ms),
    ms(line.p99Ms),
    line.processorUs.toFixed(0),
    line.ratio.toFixed(2),
  ]);
  const figures = lines.map((line) => {
    const peer = described.get(line.name);
    return { ...line, protocol: peer?.protocol, durability: peer?.durability };
  });
  return { tables: [{ title, head, rows }], budgets: [], figures: { [title]: figures } };
}

const ms = (value: number): string => (Number.isNaN(value) ? "–" : value.toFixed(2));

const question = (name: string, asks: string, verb: Verb): Question => ({
  name: `peers-${name}`,
  asks: `${asks}, HalfMQ and its peers`,
  run: () => ask(asks, verb),
});

export const PEER_QUESTIONS: readonly Question[] = [
  question("sends", "single sends of 256 bytes, 64 connections", sends),
  question("batches", `batches of 100, ${BATCH_CONNECTIONS} connections`, batches),
  question("receive-ack", "receive and ack of one, 64 connections", receiveAck),
  question("whole-life", "send, receive and ack of one, 64 connections", wholeLife),
];
