/**
 * Works off a move task: receives from the dead letter queue, sends where each belongs, acks. Bounded in time; the door's next request
 * goes on, or whoever looks at the task. What it could not send stays in the queue.
 */
import type { Delivery } from "../../broker/broker.ts";
import type { Content } from "../../core/record.ts";
import { pause } from "../../platform/clock.ts";
import { unforeseen } from "../refusing.ts";
import { type Context, findTopic, nameOfArn, type Queue, queueOf } from "./context.ts";
import { lasting, gather } from "./gathering.ts";
import { OWN_PROPERTY } from "./message-attributes.ts";
import { saveTask, type Task, tasksOf, WORK_MS } from "./tasks.ts";

const LEASE_MS = 60_000;
const BATCH_MAX = 100;
const ROUNDS_MAX = 10_000;
const SECOND_MS = 1_000;
const SAVED_EVERY_MS = 2_000;

/** Beside the answer, whose sender waits for no end of it: what nobody foresaw is logged, and whoever looks later goes on. */
export function workAt(context: Context, name: string, begun: Task): void {
  const work = runTask(context, name, begun).catch((error: unknown) => {
    unforeseen(context.edge, "sqs", context.edge.newRequestId(), error);
  });
  context.outlive(work);
}

/** Goes on with a task that was left, beside the answer of whatever request comes next. */
export function goOn(context: Context): void {
  const name = context.left.take(context.caller.namespace);
  if (name === undefined) return;
  const work = current(context, name).then((queue) => {
    const task = queue && tasksOf(queue).find(({ status }) => status === "RUNNING");
    // Somebody else may be at it by now.
    if (task !== undefined && (task.workedUntil ?? 0) <= context.nowMs) workAt(context, name, task);
  });
  context.outlive(work.catch(() => context.left.put(context.caller.namespace, name)));
}

/** Goes on until the queue is empty, the task is cancelled, or its time is over. */
async function runTask(context: Context, name: string, begun: Task): Promise<void> {
  const { edge } = context;
  const until = edge.clock.nowMs() + WORK_MS;
  let { moved } = begun;
  let savedAt = 0;
  const save = (queue: Queue, how: Partial<Task>) =>
    saveTask(context, queue, { ...begun, moved, ...how });
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const queue = await current(context, name);
    const known = queue && tasksOf(queue).find(({ startedAt }) => startedAt === begun.startedAt);
    if (queue === undefined || known?.status !== "RUNNING") return;
    if (edge.clock.nowMs() >= until) {
      await save(queue, { workedUntil: 0 });
      context.left.put(context.caller.namespace, name);
      return;
    }
    if (edge.clock.nowMs() - savedAt > SAVED_EVERY_MS) {
      savedAt = edge.clock.nowMs();
      await save(queue, { workedUntil: until });
    }
    const some = await moveSome(context, queue, begun);
    moved += some.count;
    if (some.end !== undefined) {
      await save(queue, some.end);
      return;
    }
    if (begun.rate !== undefined) await pause(edge.clock, SECOND_MS);
  }
}

async function current(context: Context, name: string): Promise<Queue | undefined> {
  const route = await findTopic(context, name);
  return route.ok && route.value !== undefined ? queueOf(route.value) : undefined;
}

interface Moved {
  readonly count: number;
  readonly end?: Pick<Task, "status"> & { readonly failure?: string };
}

const failed = (count: number, failure: string): Moved => ({
  count,
  end: { status: "FAILED", failure },
});

async function moveSome(context: Context, queue: Queue, task: Task): Promise<Moved> {
  const { broker } = context.edge;
  const gathered = await gather(context, queue);
  if (!gathered.ok) return failed(0, gathered.name);
  const received = await broker.receive(queue.at, {
    maxMessages: Math.min(task.rate ?? BATCH_MAX, BATCH_MAX),
    waitMs: 0,
    invisibleMs: LEASE_MS,
  });
  if (!received.ok) return failed(0, received.code);
  const { messages } = received.value;
  if (messages.length === 0) return { count: 0, end: { status: "COMPLETED" } };
  const left = new Set(messages);
  for (const [name, deliveries] of byDestination(context, messages, task)) {
    const why = await moveTo(context, queue, name, deliveries);
    if (why !== undefined) {
      const receipts = [...left].map(({ receipt }) => receipt);
      await broker.settle(queue.at, { verb: "nack", receipts, delayMs: 0 });
      return failed(messages.length - left.size, why);
    }
    for (const delivery of deliveries) left.delete(delivery);
  }
  return { count: messages.length };
}

/** By the name of the queue that they go to; "" for those of which nobody knows. */
function byDestination(
  context: Context,
  messages: readonly Delivery[],
  { destination }: Task,
): Map<string, Delivery[]> {
  const groups = new Map<string, Delivery[]>();
  for (const delivery of messages) {
    const arn = delivery.content.properties?.[`${OWN_PROPERTY}DeadLetterQueueSourceArn`];
    const name = destination ?? (arn === undefined ? undefined : nameOfArn(context, arn)) ?? "";
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [delivery]);
    else group.push(delivery);
  }
  return groups;
}

/** Why it could not be; words that AWS has for it. */
async function moveTo(
  context: Context,
  queue: Queue,
  name: string,
  deliveries: readonly Delivery[],
): Promise<string | undefined> {
  if (name === "") return "CouldNotDetermineMessageSource";
  const target = await current(context, name);
  if (target === undefined) return "AWS.SimpleQueueService.NonExistentQueue";
  const { broker } = context.edge;
  const sent = await broker.send(target.at, { messages: deliveries.map(movedCopy) });
  if (!sent.ok) return sent.code;
  const receipts = deliveries.map(({ receipt }) => receipt);
  const settled = await broker.settle(queue.at, { verb: "ack", receipts });
  return settled.ok ? undefined : settled.code;
}

const FORGOTTEN = new Set(
  ["MessageId", "SentTimestamp", "DeadLetterQueueSourceArn"].map((name) => OWN_PROPERTY + name),
);

/** A message of its own, that only remembers the deduplication id that it was sent with. */
function movedCopy({ id, content }: Delivery): Content {
  const kept = lasting(content);
  const properties = Object.entries(kept.properties ?? {}).filter(([name]) => !FORGOTTEN.has(name));
  const { properties: _all, ...rest } = kept;
  return {
    ...rest,
    ...(properties.length === 0 ? {} : { properties: Object.fromEntries(properties) }),
    dedupId: `${id}.moved`,
  };
}
