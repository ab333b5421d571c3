/** Move tasks as labels of the queue that they empty: read and written, one a label. It never moves a message. */
import { type Context, OWN_LABEL, type Queue } from "./context.ts";
import { faultOf, type Fault } from "./faults.ts";

const TASK = `${OWN_LABEL}task:`;
/** Apart from the task, so that whoever works at it and saves how far it is cannot undo it. */
const CANCELLED = `${OWN_LABEL}cancelled:`;
/** How long one request works at a task: less than a Worker may go on after its answer. */
export const WORK_MS = 25_000;

export interface Task {
  /** Names the task within its queue. */
  readonly startedAt: number;
  readonly status: "RUNNING" | "COMPLETED" | "CANCELLED" | "FAILED";
  readonly moved: number;
  /** When it began. */
  readonly toMove: number;
  /** Absent: each message to the queue that it died in. */
  readonly destination?: string;
  /** Messages a second. */
  readonly rate?: number;
  /** Somebody is at it until then; after that it may be gone on with. */
  readonly workedUntil?: number;
  readonly failure?: string;
}

/** Newest first. */
export function tasksOf({ route }: Queue): readonly Task[] {
  const labels = route.settings.labels ?? {};
  return Object.entries(labels)
    .filter(([name]) => name.startsWith(TASK))
    .map(([name, text]) => {
      const task = JSON.parse(text) as Task;
      const isCancelled = CANCELLED + name.slice(TASK.length) in labels;
      return isCancelled && task.status === "RUNNING"
        ? ({ ...task, status: "CANCELLED" } as const)
        : task;
    })
    .toSorted((one, other) => other.startedAt - one.startedAt);
}

const idOf = ({ startedAt }: Task): string => startedAt.toString(36);

export const saveTask = (
  context: Context,
  queue: Queue,
  task: Task,
  forgotten: readonly Task[] = [],
): Promise<Fault | undefined> =>
  label(context, queue, {
    ...Object.fromEntries(
      forgotten.flatMap((each) => [
        [TASK + idOf(each), null],
        [CANCELLED + idOf(each), null],
      ]),
    ),
    [TASK + idOf(task)]: JSON.stringify(task),
  });

export const cancelTask = (context: Context, queue: Queue, task: Task) =>
  label(context, queue, { [CANCELLED + idOf(task)]: "" });

async function label(
  { edge }: Context,
  { at }: Queue,
  labels: Readonly<Record<string, string | null>>,
): Promise<Fault | undefined> {
  const outcome = await edge.broker.putTopic(at, { labels });
  return outcome.ok ? undefined : faultOf(outcome);
}
