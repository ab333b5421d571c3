/** What a deployment looks like once it has come to rest, read through its own verbs. */
import type { Broker, PageQuery } from "../../src/broker/broker.ts";
import type { Outcome } from "../../src/protocol/errors.ts";
import {
  type GroupAudit,
  type Page,
  type ProducerAudit,
  SCHEDULE_PROPERTIES,
} from "../../src/protocol/rpc.ts";
import { answeredFor } from "./bin.ts";
import type { SeenRun } from "./checker/calendar.ts";
import type { Scene } from "./clients/client.ts";
import { CALENDAR_TOPIC } from "./clients/ticker.ts";
import type { Rest } from "./history.ts";
import { NAMESPACE } from "./world/wakes.ts";
import { read } from "./world/mark.ts";

/** A schedule's run is through so soon where nothing is struck. */
const RUN_MS_MAX = 500;

type TopicRest = Rest["topics"][number];

async function sure<T>(scene: Scene, verb: (broker: Broker) => Promise<Outcome<T>>): Promise<T> {
  const outcome = await scene.deployment.request(verb);
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
  return outcome.value;
}

/** Why all is not drained yet, if it is not. */
export async function unrest(scene: Scene): Promise<string | undefined> {
  for (const { topic } of scene.plan.topics) {
    const stats = await sure(scene, (broker) => broker.stats({ namespace: NAMESPACE, topic }));
    for (const { queue, prepared, delayed, forwarding } of stats.queues) {
      const left = Object.entries({ prepared, delayed, forwarding }).find(([, count]) => count > 0);
      if (left !== undefined) return `${topic}/${queue} has ${left[1]} ${left[0]}`;
    }
    const late = stats.groups.find(({ lag }) => lag > 0);
    if (late !== undefined) return `${topic} group ${late.group} lags ${late.lag} behind`;
  }
  const redrive = scene.plan.pacedRedrives ? await redriving(scene) : undefined;
  return redrive ?? (await behind(scene));
}

/** A schedule that did not run what is due. */
async function behind(scene: Scene): Promise<string | undefined> {
  for (const { name } of scene.plan.schedules) {
    const { nextRunAt = 0, pendingRun } = await sure(scene, (broker) =>
      broker.schedule(NAMESPACE, name),
    );
    const dueAt = pendingRun?.scheduledAt ?? nextRunAt;
    if (dueAt < scene.host.wallMs() - RUN_MS_MAX)
      return `schedule ${name} is not yet through with ${dueAt}`;
  }
  return undefined;
}

/** What the schedules ran, by what it says of itself. */
export async function runsOf(scene: Scene): Promise<SeenRun[]> {
  const at = { namespace: NAMESPACE, topic: CALENDAR_TOPIC };
  const log = await all(scene, (broker, page) => broker.peek(at, page));
  return log.map(({ content, storedAt }) => ({
    schedule: read(content).mark,
    slot: Number(content.properties?.[SCHEDULE_PROPERTIES.scheduledAt]),
    storedAt,
  }));
}

async function redriving(scene: Scene): Promise<string | undefined> {
  for (const { topic, group } of scene.plan.groups) {
    const at = { namespace: NAMESPACE, topic, group };
    const { state } = await sure(scene, (broker) => broker.redriveProgress(at));
    if (state === "running") return `${topic} group ${group} is still redriving`;
  }
  return undefined;
}

export async function restOf(scene: Scene, why: string | undefined): Promise<Rest> {
  const topics: TopicRest[] = [];
  for (const { topic } of scene.plan.topics) topics.push(await topicRest(scene, topic));
  return {
    topics,
    bucket: scene.deployment.bucket.objects,
    answered: answeredFor(scene),
    isDrained: why === undefined,
    ...(why === undefined ? {} : { why }),
  };
}

async function topicRest(scene: Scene, topic: string): Promise<TopicRest> {
  const at = { namespace: NAMESPACE, topic };
  const { stats, log } = await logOf(scene, at);
  const transactions = await all(scene, (broker, page) => broker.transactions(at, page));
  const deadLetters: TopicRest["deadLetters"][number][] = [];
  for (const { group } of stats.groups) {
    const dead = await all(scene, (broker, page) => broker.deadLetters({ ...at, group }, page));
    for (const { content, attempts, deadAt, consumerId } of dead) {
      const whose = consumerId === undefined ? {} : { consumerId };
      deadLetters.push({ group, ...whose, mark: read(content).mark, attempts, deadAt });
    }
  }
  return {
    topic,
    queues: stats.queues.map(
      ({ queue, firstOffset, nextOffset, prepared, delayed, forwarding }) => ({
        queue,
        firstOffset,
        nextOffset,
        prepared,
        delayed,
        forwarding,
      }),
    ),
    groups: stats.groups.map(({ group, lag, inFlight, retrying, deadLetters: dead, expired }) => ({
      group,
      lag,
      inFlight,
      retrying,
      deadLetters: dead,
      expired,
    })),
    log: log.map(({ id, queue, offset, content }) => ({ ...read(content), id, queue, offset })),
    transactions: transactions.map(({ transactionId, state, checks }) => ({
      transactionId,
      state,
      checks,
    })),
    counted: stats.transactions,
    ...(await auditOf(scene, topic)),
    deadLetters,
  };
}

/** Retention must not come between a queue's offsets and what it has. */
async function logOf(scene: Scene, at: { readonly namespace: string; readonly topic: string }) {
  for (;;) {
    const stats = await sure(scene, (broker) => broker.stats(at));
    const log = await all(scene, (broker, page) => broker.peek(at, page));
    const after = await sure(scene, (broker) => broker.stats(at));
    const isSame = stats.queues.every(
      ({ firstOffset }, index) => firstOffset === after.queues[index]?.firstOffset,
    );
    if (isSame) return { stats: after, log };
  }
}

async function auditOf(
  scene: Scene,
  topic: string,
): Promise<Required<Pick<TopicRest, "audit" | "faults">>> {
  const faults: string[] = [];
  const groups: GroupAudit[] = [];
  const producers: ProducerAudit[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 500, ...(cursor === undefined ? {} : { cursor }) };
    const page = await sure(scene, (broker) =>
      broker.audit({ namespace: NAMESPACE, topic }, query),
    );
    for (const { queue, holes } of page.summary?.queues ?? [])
      for (const hole of holes) faults.push(`queue ${queue}: ${JSON.stringify(hole)}`);
    for (const group of page.summary?.groups ?? [])
      if (group.unaccounted !== 0) faults.push(JSON.stringify(group));
    for (const producer of page.producers)
      if (producer.missing !== 0) faults.push(JSON.stringify(producer));
    groups.push(...(page.summary?.groups ?? []));
    producers.push(...page.producers);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return { audit: { groups, producers }, faults };
}

async function all<T>(
  scene: Scene,
  list: (broker: Broker, page: PageQuery) => Promise<Outcome<Page<T>>>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 500, ...(cursor === undefined ? {} : { cursor }) };
    const page = await sure(scene, (broker) => list(broker, query));
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}
