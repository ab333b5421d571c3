/**
 * StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask: what a dead letter queue holds goes back to where it died,
 * or to another queue. A task is a label of the dead letter queue; the request that starts it works it off as long as a request
 * may live, and the door's later requests go on, or a look at the list. Moved is: sent under an id of the delivery, then
 * acked.
 */
import { decodeBase64, encodeBase64 } from "../../core/base64.ts";
import { decodeText, encodeText } from "../../core/bytes.ts";
import { arnOf, type Context, nameOfArn, type Queue, queueNamed } from "./context.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";
import type { Input } from "./inputs.ts";
import { workAt } from "./moving.ts";
import { sourcesOf } from "./redrive-policy.ts";
import { cancelTask, saveTask, type Task, tasksOf, WORK_MS } from "./tasks.ts";

/** Tasks that a queue remembers; AWS lists as many. */
const TASKS_MAX = 10;

const MANAGER = ["manage"] as const;

export async function startMessageMoveTask(
  context: Context,
  input: Input<"StartMessageMoveTask">,
): Promise<Result<object>> {
  const source = await byArn(context, input.SourceArn);
  if (!source.ok) return source;
  const queue = source.value;
  if (sourcesOf(queue).length === 0) {
    const detail = "Source queue must be configured as a Dead Letter Queue.";
    return fault("InvalidParameterValue", detail);
  }
  const { DestinationArn: arn, MaxNumberOfMessagesPerSecond: rate } = input;
  const destination = arn === undefined ? undefined : await byArn(context, arn);
  if (destination !== undefined && !destination.ok) return destination;
  if (destination !== undefined && destination.value.isFifo !== queue.isFifo) {
    const detail = "The destination must be the same type of queue as the source.";
    return fault("InvalidParameterValue", detail);
  }
  const known = tasksOf(queue);
  if (known.some(({ status }) => status === "RUNNING")) {
    const detail =
      "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
    return fault("InvalidParameterValue", detail);
  }
  const task: Task = {
    startedAt: Math.max(context.nowMs, (known[0]?.startedAt ?? 0) + 1),
    status: "RUNNING",
    moved: 0,
    workedUntil: context.nowMs + WORK_MS,
    toMove: await toMove(context, queue),
    ...(destination === undefined ? {} : { destination: destination.value.name }),
    ...(rate === undefined ? {} : { rate }),
  };
  const forgotten = known.slice(TASKS_MAX - 1);
  const saved = await saveTask(context, queue, task, forgotten);
  if (saved !== undefined) return saved;
  workAt(context, queue.name, task);
  return done({ TaskHandle: handleOf(queue.name, task) });
}

export async function listMessageMoveTasks(
  context: Context,
  { SourceArn, MaxResults = 1 }: Input<"ListMessageMoveTasks">,
): Promise<Result<object>> {
  const source = await byArn(context, SourceArn);
  if (!source.ok) return source;
  const queue = source.value;
  const tasks = tasksOf(queue);
  const stalled = tasks.find(
    ({ status, workedUntil = 0 }) => status === "RUNNING" && workedUntil <= context.nowMs,
  );
  if (stalled !== undefined) workAt(context, queue.name, stalled);
  return done({
    Results: tasks.slice(0, MaxResults).map((task) => resultOf(context, queue, task)),
  });
}

export async function cancelMessageMoveTask(
  context: Context,
  { TaskHandle }: Input<"CancelMessageMoveTask">,
): Promise<Result<object>> {
  const named = readHandle(TaskHandle);
  if (named === undefined) return NO_TASK;
  const source = await queueNamed(context, named.queue, MANAGER);
  if (!source.ok) return source.name === "QueueDoesNotExist" ? NO_TASK : source;
  const task = tasksOf(source.value).find(({ startedAt }) => startedAt === named.startedAt);
  if (task === undefined) return NO_TASK;
  if (task.status !== "RUNNING") {
    return fault("UnsupportedOperation", `The task is ${task.status}, so it is not cancelled.`);
  }
  const saved = await cancelTask(context, source.value, task);
  return saved ?? done({ ApproximateNumberOfMessagesMoved: task.moved });
}

const NO_TASK = fault("ResourceNotFoundException", "There is no such task.");

async function byArn(context: Context, arn: string): Promise<Result<Queue>> {
  const name = nameOfArn(context, arn);
  if (name === undefined) return NO_QUEUE;
  const queue = await queueNamed(context, name, MANAGER);
  return !queue.ok && queue.name === "QueueDoesNotExist" ? NO_QUEUE : queue;
}

const NO_QUEUE: Fault = fault(
  "ResourceNotFoundException",
  "The resource that you specified for the SourceArn or DestinationArn doesn't exist.",
);

/** What the queue holds, and what died in its sources and was not fetched yet. */
async function toMove({ edge }: Context, queue: Queue): Promise<number> {
  const ats = [queue.name, ...sourcesOf(queue)].map((topic) => ({ ...queue.at, topic }));
  const all = await Promise.all(ats.map((at) => edge.broker.stats(at)));
  return all.reduce((sum, stats, place) => {
    const group = stats.ok
      ? stats.value.groups.find(({ group: name }) => name === queue.at.group)
      : undefined;
    return sum + (place === 0 ? (group?.lag ?? 0) : (group?.deadLetters ?? 0));
  }, 0);
}

function resultOf(context: Context, queue: Queue, task: Task): object {
  const { status, destination, rate, moved, toMove: wanted, startedAt, failure } = task;
  return {
    ...(status === "RUNNING" ? { TaskHandle: handleOf(queue.name, task) } : {}),
    Status: status,
    SourceArn: arnOf(context, queue.name),
    ...(destination === undefined ? {} : { DestinationArn: arnOf(context, destination) }),
    ...(rate === undefined ? {} : { MaxNumberOfMessagesPerSecond: rate }),
    ApproximateNumberOfMessagesMoved: moved,
    ApproximateNumberOfMessagesToMove: Math.max(wanted, moved),
    ...(failure === undefined ? {} : { FailureReason: failure }),
    StartedTimestamp: startedAt,
  };
}

const handleOf = (queue: string, { startedAt }: Task): string =>
  encodeBase64(encodeText(JSON.stringify([queue, startedAt])));

function readHandle(text: string): { queue: string; startedAt: number } | undefined {
  const bytes = decodeBase64(text);
  if (bytes === undefined) return undefined;
  const found = /^\["([\w.-]{1,80})",(\d{1,16})\]$/.exec(decodeText(bytes));
  return found?.[1] === undefined ? undefined : { queue: found[1], startedAt: Number(found[2]) };
}
