/** What a broker looks like once it has come to rest, read over HTTP. */
import type { DeliveredData } from "../../src/client/index.ts";
import type { TransactionState } from "../../src/protocol/rpc.ts";
import type { Rest } from "../sim/history.ts";
import { http, Refused } from "./caller.ts";
import { readWire } from "./clients.ts";
import type { Scene } from "./scene.ts";

type TopicRest = Rest["topics"][number];
type Stats = Pick<TopicRest, "queues" | "groups"> & { readonly transactions: TopicRest["counted"] };

const PAGE = 500;

async function all<T>(scene: Scene, path: string): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const more = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await http<{ items: T[]; nextCursor?: string }>(
      scene,
      "GET",
      `${path}?limit=${PAGE}${more}`,
    );
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

/** Why all is not drained yet, if it is not. */
export async function unrest(scene: Scene): Promise<string | undefined> {
  for (const { topic } of scene.plan.topics) {
    try {
      const stats = await http<Stats>(scene, "GET", `/v1/topics/${topic}/stats`);
      for (const { queue, prepared, delayed, forwarding } of stats.queues) {
        const left = Object.entries({ prepared, delayed, forwarding }).find(
          ([, count]) => count > 0,
        );
        if (left !== undefined) return `${topic}/${queue} has ${left[1]} ${left[0]}`;
      }
      const behind = stats.groups.find(({ lag }) => lag > 0);
      if (behind !== undefined) return `${topic} group ${behind.group} lags ${behind.lag} behind`;
    } catch (error) {
      return `${topic} does not answer: ${error instanceof Refused ? error.code : String(error)}`;
    }
  }
  return undefined;
}

export async function restOf(scene: Scene, why: string | undefined): Promise<Rest> {
  const topics: TopicRest[] = [];
  for (const { topic } of scene.plan.topics) topics.push(await topicRest(scene, topic));
  // The server of this strike has no bucket.
  const bucket = { bucket: [], answered: [] };
  return { topics, ...bucket, isDrained: why === undefined, ...(why === undefined ? {} : { why }) };
}

async function topicRest(scene: Scene, topic: string): Promise<TopicRest> {
  const base = `/v1/topics/${topic}`;
  const stats = await http<Stats>(scene, "GET", `${base}/stats`);
  const log = await all<DeliveredData>(scene, `${base}/messages`);
  const transactions = await all<{
    transactionId: string;
    state: TransactionState;
    checks: number;
  }>(scene, `${base}/transactions`);
  const deadLetters: TopicRest["deadLetters"][number][] = [];
  for (const { group } of stats.groups) {
    const dead = await all<DeliveredData>(scene, `${base}/groups/${group}/dead-letters`);
    for (const letter of dead)
      deadLetters.push({ group, mark: readWire(letter).mark, attempts: letter.deliveryAttempt });
  }
  return {
    topic,
    queues: stats.queues,
    groups: stats.groups,
    log: log.map((message) => ({ ...readWire(message), ...placeOf(message) })),
    transactions,
    counted: stats.transactions,
    faults: await faultsOf(scene, base),
    deadLetters,
  };
}

/** What the audit cannot account for: of each page as many as it counts, and the page. */
async function faultsOf(scene: Scene, base: string): Promise<string[]> {
  const faults: string[] = [];
  let cursor: string | undefined;
  do {
    const more = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const path = `${base}/audit?limit=${PAGE}${more}`;
    const page = await http<{ faults: number; nextCursor?: string }>(scene, "GET", path);
    if (page.faults !== 0) faults.push(JSON.stringify(page));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return faults;
}

const placeOf = ({ id, queue, offset }: DeliveredData) => ({ id, queue, offset });
