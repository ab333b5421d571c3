/**
 * What does a cluster cost, and how long is it away when its owner of a queue goes? Three instances on this machine over a
 * bucket in memory, whose every answer takes 20 ms as over a network, against a server by itself.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Server } from "../../src/cli/server.ts";
import { startCluster, type RunningCluster } from "../../test/kit/cluster.node.ts";
import { compare, type Contender } from "../kit/compare.ts";
import { requestBytes } from "../kit/connection.ts";
import { closedLoop, CONNECTIONS, succeeded } from "../kit/load.ts";
import { median } from "../kit/numbers.ts";
import { reportOf, together, type Question, type Report } from "../kit/question.ts";
import { serveHalfMq } from "../kit/servers.ts";
import { BODY } from "../kit/stage.ts";

const PATH = "/v1/topics/sends/messages";
const MESSAGE = `{"body":${BODY}}`;
const BUCKET_DELAY_MS = 20;
const INSTANCES = 3;
const ROUNDS = 3;
const LOOP = { connections: CONNECTIONS, warmUpMs: 500, durationMs: 2_000 };
/** A sender waits so long before it tries again. */
const RETRY_MS = 20;
const SENDERS = 8;
const LOAD_MS = 2_000;
const TRIES = 2;

interface Asked {
  readonly port: number;
  readonly pid: number;
}

async function speed(): Promise<Report> {
  const alone = await serveHalfMq();
  const cluster = await startCluster({ instances: INSTANCES, bucketDelayMs: BUCKET_DELAY_MS });
  try {
    const [owner, other] = cluster.servers as [Server, Server];
    // Who is called first owns the queue.
    await send(owner, cluster.rootKey, "first");
    const puts: number[] = [];
    const contender = (name: string, at: Asked, key: string): Contender => ({
      name,
      measure: async () => {
        const before = cluster.s3.counts["PUT"] ?? 0;
        const request = requestBytes(PATH, key, MESSAGE);
        const found = await closedLoop(at, LOOP, async (connection) =>
          succeeded(await connection.ask(request)),
        );
        const sent = (found.perSecond * (LOOP.durationMs + LOOP.warmUpMs)) / 1_000;
        if (key === cluster.rootKey) puts.push(((cluster.s3.counts["PUT"] ?? 0) - before) / sent);
        return found;
      },
    });
    const lines = await compare(
      [
        contender("a server by itself", alone, alone.key),
        contender("cluster, asked at the queue's owner", owner, cluster.rootKey),
        contender("cluster, asked at another instance", other, cluster.rootKey),
      ],
      ROUNDS,
    );
    const sends = reportOf("single sends", "messages", lines);
    const row = ["PUTs of the bucket for a message", median(puts).toFixed(3)];
    const bucket = { title: "the bucket", head: ["the bucket", "median"], rows: [row] };
    return { ...sends, tables: [...sends.tables, bucket] };
  } finally {
    await cluster.stop();
    await alone.stop();
  }
}

/** True when it was taken. */
async function send({ url }: Pick<Server, "url">, key: string, id: string): Promise<boolean> {
  const answer = await fetch(url + PATH, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "idempotency-key": id,
    },
    body: MESSAGE,
  });
  await answer.arrayBuffer();
  return answer.ok;
}

interface Gone {
  readonly refused: number;
  readonly taken: number;
  /** The longest time in which nothing was taken. */
  readonly awayMs: number;
  readonly lost: number;
}

/** Senders at the other instances, while the owner goes; then everything is read. */
async function gone(end: (owner: Server) => Promise<void>): Promise<Gone> {
  const cluster = await startCluster({ instances: INSTANCES, bucketDelayMs: BUCKET_DELAY_MS });
  try {
    const [owner, ...others] = cluster.servers as [Server, Server, Server];
    await send(owner, cluster.rootKey, "first");
    const seen = { refused: 0, taken: 1, awayMs: 0, lastAt: performance.now(), isOver: false };
    const sender = async (number: number): Promise<void> => {
      const at = others[number % others.length] ?? owner;
      for (let count = 0; !seen.isOver;) {
        if (await send(at, cluster.rootKey, `${number}-${count}`)) {
          const now = performance.now();
          seen.awayMs = Math.max(seen.awayMs, now - seen.lastAt);
          seen.lastAt = now;
          seen.taken++;
          count++;
        } else {
          seen.refused++;
          await pause(RETRY_MS);
        }
      }
    };
    const senders = Array.from({ length: SENDERS }, (_, number) => sender(number));
    await pause(LOAD_MS);
    seen.awayMs = 0;
    await end(owner);
    const goneAt = performance.now();
    while (seen.lastAt < goneAt + LOAD_MS) await pause(RETRY_MS);
    seen.isOver = true;
    await Promise.all(senders);
    const { refused, taken, awayMs } = seen;
    return { refused, taken, awayMs, lost: taken - (await stored(cluster)) };
  } finally {
    await cluster.stop();
  }
}

async function stored({ servers, rootKey }: RunningCluster): Promise<number> {
  const answer = await fetch(`${servers[1]?.url}/v1/topics/sends/stats`, {
    headers: { authorization: `Bearer ${rootKey}` },
  });
  const { queues } = (await answer.json()) as { queues: { nextOffset: number }[] };
  return queues.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
}

async function absence(): Promise<Report> {
  const ends = {
    "killed (SIGKILL)": (owner: Server) => owner.kill(),
    "stopped (SIGTERM)": (owner: Server) => owner.stop(),
  };
  const head = ["the queue's owner is", "nothing taken for", "refused", "taken", "lost or doubled"];
  const rows: string[][] = [];
  const figures: Record<string, readonly Gone[]> = {};
  for (const [name, end] of Object.entries(ends)) {
    const found: Gone[] = [];
    for (let count = 0; count < TRIES; count++) found.push(await gone(end));
    figures[name] = found;
    for (const { awayMs, refused, taken, lost } of found) {
      rows.push([name, `${(awayMs / 1_000).toFixed(2)} s`, ...[refused, taken, lost].map(String)]);
    }
  }
  return { tables: [{ title: "absence", head, rows }], budgets: [], figures: { absence: figures } };
}

export const cluster: Question = {
  name: "cluster",
  asks: "Three instances over a bucket 20 ms away: single sends, and the owner's end",
  run: async () => together([await speed(), await absence()]),
};
