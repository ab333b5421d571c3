/** Queues: make, list, look, change, delete, skip what waits. */
import { LIMITS } from "../../protocol/limits.ts";
import type { TopicPatch } from "../../protocol/topic.ts";
import { consumersOf } from "./consumers.ts";
import {
  ANY,
  type Context,
  GROUP,
  labelled,
  OWN_LABEL,
  type Queue,
  queueAt,
  queueOf,
  reaches,
} from "./context.ts";
import {
  done,
  fault,
  faultOf,
  invalid,
  lacking,
  NUMBERS,
  type Fault,
  type Result,
} from "./faults.ts";
import type { Input } from "./inputs.ts";
import { lacks } from "./lacks.ts";
import type { Answer } from "./messages.ts";
import { metricsOf } from "./metrics.ts";

const NAME = /^[A-Za-z0-9_\-.%]+$/;
const PAGE = 1_000;
/** Cloudflare has up to 10,000 queues in an account. */
const PAGES_MAX = 10;
/** Four days, as Cloudflare keeps them. */
const RETENTION_MS = 4 * 86_400_000;
/** Cloudflare's: three retries, at once. What is out of them is a dead letter of the group. */
const ATTEMPTS = 4;

export async function createQueue(
  context: Context,
  { queue_name: name, jurisdiction }: Input<"createQueue">,
): Promise<Result<Answer>> {
  if (jurisdiction !== undefined) return lacking(lacks("jurisdiction"));
  if (!NAME.test(name) || name.length > LIMITS.nameCharsMax || name === "." || name === "..")
    return invalid(`queue_name: 1 to ${LIMITS.nameCharsMax} of A-Z a-z 0-9 _ - . %`);
  if (!reaches(context, ["manage"], name)) return forbidden(name);
  const { edge, caller } = context;
  const at = { namespace: caller.namespace, topic: name };
  const known = await edge.broker.topic(at);
  if (!known.ok && known.code !== "topic_not_found") return faultOf(known);
  if (known.ok && queueOf(known.value) !== undefined)
    return fault(409, 409, "queue_exists", `There is a queue ${name} already.`);
  // The topic first: the group says that the queue is whole. What is there as a topic keeps its settings.
  const topic = await edge.broker.putTopic(at, known.ok ? {} : { retentionMs: RETENTION_MS });
  if (!topic.ok) return faultOf(topic);
  const group = await edge.broker.putGroup(
    { ...at, group: GROUP },
    { maxAttempts: ATTEMPTS, backoff: { delaysMs: [0] } },
  );
  if (!group.ok) return faultOf(group);
  return getQueue(context, name);
}

export async function getQueue(context: Context, name: string): Promise<Result<Answer>> {
  const queue = await queueAt(context, name, ANY);
  return queue.ok ? done({ result: shownQueue(queue.value) }) : queue;
}

export async function listQueues(context: Context): Promise<Result<Answer>> {
  const { edge, caller } = context;
  const result: object[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const query = { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const page = await edge.broker.topics(caller.namespace, query);
    if (!page.ok) return faultOf(page);
    for (const route of page.value.items) {
      const queue = queueOf(route);
      if (queue !== undefined && reaches(context, ANY, route.topic)) result.push(shownQueue(queue));
    }
    cursor = page.value.nextCursor;
    if (cursor === undefined) break;
  }
  return done({ result });
}

export async function changeQueue(
  context: Context,
  name: string,
  { queue_name: newName, settings = {}, jurisdiction }: Input<"changeQueue">,
): Promise<Result<Answer>> {
  if (jurisdiction !== undefined) return lacking(lacks("jurisdiction"));
  if (newName !== undefined && newName !== name) return lacking(lacks("queue_name"));
  const found = await queueAt(context, name, ["manage"]);
  if (!found.ok) return found;
  const { broker } = context.edge;
  const { delivery_delay: delay, message_retention_period: seconds } = settings;
  const patch: TopicPatch = {
    ...(seconds === undefined ? {} : { retentionMs: seconds * 1_000 }),
    ...(delay === undefined ? {} : { labels: { [`${OWN_LABEL}delivery_delay`]: String(delay) } }),
  };
  if (Object.keys(patch).length > 0) {
    const topic = await broker.putTopic(found.value.at, patch);
    if (!topic.ok) return faultOf(topic);
  }
  if (settings.delivery_paused !== undefined) {
    const paused = await broker.pause(found.value.at, settings.delivery_paused);
    if (!paused.ok) return faultOf(paused);
  }
  return getQueue(context, name);
}

/** The topic goes with its last group; where native groups read it, only this door's part goes. */
export async function deleteQueue(context: Context, name: string): Promise<Result<Answer>> {
  const found = await queueAt(context, name, ["manage"]);
  if (!found.ok) return found;
  const { at, route } = found.value;
  const { broker } = context.edge;
  if (route.groups.length > 1) {
    const group = await broker.deleteGroup(at);
    if (!group.ok) return faultOf(group);
    const own = Object.keys(route.settings.labels ?? {}).filter((each) =>
      each.startsWith(OWN_LABEL),
    );
    const labels = Object.fromEntries(own.map((each) => [each, null]));
    const topic = own.length === 0 ? group : await broker.putTopic(at, { labels });
    return topic.ok ? done({ result: {} }) : faultOf(topic);
  }
  const gone = await broker.deleteTopic(at, false);
  if (gone.ok) return done({ result: {} });
  const { prepared, forwarding } = gone.facts ?? {};
  // Undecided transactions, and messages on their way to other topics, are not the queue's; delayed ones are.
  if (gone.code !== "topic_in_use" || prepared !== 0 || forwarding !== 0) return faultOf(gone);
  const forced = await broker.deleteTopic(at, true);
  return forced.ok ? done({ result: {} }) : faultOf(forced);
}

export async function metrics(context: Context, name: string): Promise<Result<Answer>> {
  const queue = await queueAt(context, name, ANY);
  if (!queue.ok) return queue;
  const found = await metricsOf(context, queue.value);
  return found.ok ? done({ result: found.value }) : found;
}

/** Whatever waits for this group is passed over; delayed messages come in their time. */
export async function purge(
  context: Context,
  name: string,
  input: Input<"purge">,
): Promise<Result<Answer>> {
  if (input.delete_messages_permanently !== true)
    return invalid("delete_messages_permanently: must be true");
  const queue = await queueAt(context, name, ["manage"]);
  if (!queue.ok) return queue;
  const { broker, clock } = context.edge;
  const startedAt = clock.nowMs();
  const moved = await broker.seek(queue.value.at, "latest");
  if (!moved.ok) return faultOf(moved);
  const labels = { [`${OWN_LABEL}purged_at`]: String(startedAt) };
  const topic = await broker.putTopic(queue.value.at, { labels });
  return topic.ok ? getQueue(context, name) : faultOf(topic);
}

/** A purge is over when it is answered. */
export async function purgeStatus(context: Context, name: string): Promise<Result<Answer>> {
  const queue = await queueAt(context, name, ANY);
  if (!queue.ok) return queue;
  const at = labelled(queue.value, "purged_at");
  return done({
    result: at === undefined ? {} : { completed: "true", started_at: new Date(at).toISOString() },
  });
}

function shownQueue(queue: Queue) {
  const { route, group } = queue;
  const consumers = consumersOf(queue);
  return {
    queue_id: route.topic,
    queue_name: route.topic,
    created_on: new Date(route.createdAt).toISOString(),
    modified_on: new Date(route.createdAt).toISOString(),
    producers: [],
    producers_total_count: 0,
    consumers,
    consumers_total_count: consumers.length,
    settings: {
      delivery_delay: labelled(queue, "delivery_delay") ?? 0,
      delivery_paused: group.paused,
      message_retention_period: Math.round(route.settings.retentionMs / 1_000),
    },
  };
}

const forbidden = (name: string): Fault =>
  fault(403, NUMBERS.authentication, "forbidden", `This needs a key with manage on topic ${name}`);
