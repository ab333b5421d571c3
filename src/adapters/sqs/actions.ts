/** The actions by name: what each takes, and who does it. What SQS has beyond them is answered with its reason. */
import type { z } from "zod";
import type { Context } from "./context.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";
import { INPUTS, type Input } from "./inputs.ts";
import { listDeadLetterSourceQueues, listQueues } from "./listing.ts";
import { LACKING_ACTIONS } from "./lacks.ts";
import { cancelMessageMoveTask, listMessageMoveTasks, startMessageMoveTask } from "./move-tasks.ts";
import {
  createQueue,
  getQueueAttributes,
  getQueueUrl,
  listQueueTags,
  setQueueAttributes,
  tagQueue,
  untagQueue,
} from "./queues.ts";
import { deleteQueue, purgeQueue } from "./removing.ts";
import { receiveMessage } from "./receiving.ts";
import { sendMessage, sendMessageBatch } from "./sending.ts";
import {
  changeMessageVisibility,
  changeMessageVisibilityBatch,
  deleteMessage,
  deleteMessageBatch,
} from "./settling.ts";

export interface Answer {
  readonly output: object;
  /** For a client that turns out to be gone. */
  readonly giveBack?: () => Promise<unknown>;
}

type Actions = {
  readonly [A in keyof typeof INPUTS]: (
    context: Context,
    input: Input<A>,
  ) => Promise<Result<object>>;
};

const ACTIONS: Omit<Actions, "ReceiveMessage"> = {
  CreateQueue: createQueue,
  DeleteQueue: deleteQueue,
  GetQueueUrl: getQueueUrl,
  ListQueues: listQueues,
  GetQueueAttributes: getQueueAttributes,
  SetQueueAttributes: setQueueAttributes,
  PurgeQueue: purgeQueue,
  TagQueue: tagQueue,
  UntagQueue: untagQueue,
  ListQueueTags: listQueueTags,
  ListDeadLetterSourceQueues: listDeadLetterSourceQueues,
  StartMessageMoveTask: startMessageMoveTask,
  ListMessageMoveTasks: listMessageMoveTasks,
  CancelMessageMoveTask: cancelMessageMoveTask,
  SendMessage: sendMessage,
  SendMessageBatch: sendMessageBatch,
  DeleteMessage: deleteMessage,
  DeleteMessageBatch: deleteMessageBatch,
  ChangeMessageVisibility: changeMessageVisibility,
  ChangeMessageVisibilityBatch: changeMessageVisibilityBatch,
};

const isAction = (name: string): name is keyof typeof INPUTS => Object.hasOwn(INPUTS, name);

/** Judges the input and does it. */
export async function act(context: Context, name: string, input: unknown): Promise<Result<Answer>> {
  const lacking = LACKING_ACTIONS[name];
  if (lacking !== undefined) return fault("UnsupportedOperation", lacking);
  if (!isAction(name)) return fault("InvalidAction", `There is no action ${name} here.`);
  const judged = INPUTS[name].safeParse(input);
  if (!judged.success) return inputFault(judged.error.issues[0], input);
  if (name === "ReceiveMessage")
    return receiveMessage(context, judged.data as Input<"ReceiveMessage">);
  const run = ACTIONS[name] as (context: Context, input: unknown) => Promise<Result<object>>;
  const outcome = await run(context, judged.data);
  return outcome.ok ? done({ output: outcome.value }) : outcome;
}

function inputFault(issue: z.core.$ZodIssue | undefined, input: unknown): Fault {
  const path = issue?.path ?? [];
  const name = path.map(String).join(".");
  const value = path.reduce<unknown>(
    (found, key) =>
      typeof found === "object" && found !== null ? Reflect.get(found, key) : undefined,
    input,
  );
  if (path.length > 0 && value === undefined)
    return fault("MissingParameter", `The request must contain the parameter ${name}.`);
  const reason = issue?.message ?? "It is not what the action takes";
  return fault(
    "InvalidParameterValue",
    `Value for parameter ${name} is invalid. Reason: ${reason}`,
  );
}
