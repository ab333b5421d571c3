/** The actions by name: what each takes, and who does it. What SQS has beyond them is answered with its reason. */
import type { GiveBack } from "../leaving.ts";
import type { Context } from "./context.ts";
import { done, fault, type Result } from "./faults.ts";
import { INPUTS, type Input } from "./inputs.ts";
import { judge } from "./judging.ts";
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
  readonly giveBack?: GiveBack;
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
  const lacking = LACKING_ACTIONS.get(name);
  if (lacking !== undefined) return fault("UnsupportedOperation", lacking);
  if (!isAction(name)) return fault("InvalidAction", `There is no action ${name} here.`);
  const judged = judge(INPUTS[name], input);
  if (!judged.ok) return judged;
  if (name === "ReceiveMessage")
    return receiveMessage(context, judged.value as Input<"ReceiveMessage">);
  const run = ACTIONS[name] as (context: Context, input: unknown) => Promise<Result<object>>;
  const outcome = await run(context, judged.value);
  return outcome.ok ? done({ output: outcome.value }) : outcome;
}
