/**
 * The consumer of a queue: one, that pulls. Its settings are those of the door's group; a queue is pulled from also when none
 * was ever made, so a consumer is a mark and its settings.
 */
import type { GroupPatch, TopicPatch } from "../../protocol/topic.ts";
import { ANY, type Context, GROUP, labelled, OWN_LABEL, type Queue, queueAt } from "./context.ts";
import { done, fault, faultOf, lacking, NUMBERS, type Fault, type Result } from "./faults.ts";
import type { Input } from "./inputs.ts";
import { lacks } from "./lacks.ts";
import type { Answer } from "./messages.ts";

const BATCH_SIZE = 5;
const MADE = `${OWN_LABEL}consumer_made_at`;

export function consumersOf(queue: Queue): readonly object[] {
  const madeAt = labelled(queue, "consumer_made_at");
  if (madeAt === undefined) return [];
  const { route, group } = queue;
  const { maxAttempts, backoff, invisibleMs } = group.settings;
  const firstDelayMs = "delaysMs" in backoff ? (backoff.delaysMs[0] ?? 0) : backoff.initialMs;
  return [
    {
      consumer_id: GROUP,
      type: "http_pull",
      queue_name: route.topic,
      created_on: new Date(madeAt).toISOString(),
      settings: {
        batch_size: labelled(queue, "batch_size") ?? BATCH_SIZE,
        max_retries: maxAttempts - 1,
        retry_delay: Math.ceil(firstDelayMs / 1_000),
        visibility_timeout_ms: invisibleMs,
      },
    },
  ];
}

export async function listConsumers(context: Context, name: string): Promise<Result<Answer>> {
  const queue = await queueAt(context, name, ANY);
  return queue.ok ? done({ result: consumersOf(queue.value) }) : queue;
}

export async function getConsumer(
  context: Context,
  name: string,
  id: string,
): Promise<Result<Answer>> {
  const queue = await consumerAt(context, name, id, ANY);
  return queue.ok ? done({ result: consumersOf(queue.value)[0] }) : queue;
}

export async function createConsumer(
  context: Context,
  name: string,
  input: Input<"consumer">,
): Promise<Result<Answer>> {
  const queue = await queueAt(context, name, ["manage"]);
  if (!queue.ok) return queue;
  if (labelled(queue.value, "consumer_made_at") !== undefined) {
    const detail = `The queue ${name} has its consumer already.`;
    return fault(400, NUMBERS.consumerExists, "consumer_exists", detail);
  }
  return put(context, queue.value, input, { [MADE]: String(context.edge.clock.nowMs()) });
}

export async function changeConsumer(
  context: Context,
  name: string,
  id: string,
  input: Input<"consumer">,
): Promise<Result<Answer>> {
  const queue = await consumerAt(context, name, id, ["manage"]);
  return queue.ok ? put(context, queue.value, input, {}) : queue;
}

/** Its messages stay, and may be pulled. */
export async function deleteConsumer(
  context: Context,
  name: string,
  id: string,
): Promise<Result<Answer>> {
  const queue = await consumerAt(context, name, id, ["manage"]);
  if (!queue.ok) return queue;
  const labels = { [MADE]: null, [`${OWN_LABEL}batch_size`]: null };
  const topic = await context.edge.broker.putTopic(queue.value.at, { labels });
  return topic.ok ? done({ result: {} }) : faultOf(topic);
}

async function consumerAt(
  context: Context,
  name: string,
  id: string,
  scopes: typeof ANY,
): Promise<Result<Queue>> {
  const queue = await queueAt(context, name, scopes);
  if (!queue.ok) return queue;
  const isThere = id === GROUP && labelled(queue.value, "consumer_made_at") !== undefined;
  return isThere ? queue : noSuchConsumer(id);
}

async function put(
  context: Context,
  { at }: Queue,
  { type, settings = {}, dead_letter_queue: deadLetterQueue }: Input<"consumer">,
  labels: Readonly<Record<string, string>>,
): Promise<Result<Answer>> {
  if (type === "worker") return lacking(lacks("worker"));
  if (deadLetterQueue !== undefined && deadLetterQueue !== "")
    return lacking(lacks("dead_letter_queue"));
  const { broker } = context.edge;
  const { max_retries: retries, retry_delay: delay, visibility_timeout_ms: invisibleMs } = settings;
  const patch: GroupPatch = {
    ...(retries === undefined ? {} : { maxAttempts: retries + 1 }),
    ...(delay === undefined ? {} : { backoff: { delaysMs: [delay * 1_000] } }),
    ...(invisibleMs === undefined ? {} : { invisibleMs }),
  };
  const group = await broker.putGroup(at, patch);
  if (!group.ok) return faultOf(group);
  const { batch_size: size } = settings;
  const topicPatch: TopicPatch = {
    labels: {
      ...labels,
      ...(size === undefined ? {} : { [`${OWN_LABEL}batch_size`]: String(size) }),
    },
  };
  const topic = await broker.putTopic(at, topicPatch);
  return topic.ok ? getConsumer(context, at.topic, GROUP) : faultOf(topic);
}

const noSuchConsumer = (id: string): Fault =>
  fault(404, 404, "consumer_not_found", `There is no consumer ${id} here.`);
