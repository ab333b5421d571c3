/** PurgeQueue and DeleteQueue. */
import type { TopicPatch } from "../../protocol/topic.ts";
import { type Context, OWN_LABEL, queueAt } from "./context.ts";
import { done, faultOf, type Result } from "./faults.ts";
import { gather, leaveTarget } from "./gathering.ts";
import type { Input } from "./inputs.ts";

/** Whatever waits for this group is passed over; delayed messages come in their time. */
export async function purgeQueue(
  context: Context,
  { QueueUrl }: Input<"PurgeQueue">,
): Promise<Result<object>> {
  const queue = await queueAt(context, QueueUrl, ["consume"]);
  if (!queue.ok) return queue;
  const gathered = await gather(context, queue.value);
  if (!gathered.ok) return gathered;
  const outcome = await context.edge.broker.seek(queue.value.at, "latest");
  return outcome.ok ? done({}) : faultOf(outcome);
}

/** The topic goes with its last group; where native groups read it, only this door's part goes. */
export async function deleteQueue(
  context: Context,
  { QueueUrl }: Input<"DeleteQueue">,
): Promise<Result<object>> {
  const found = await queueAt(context, QueueUrl, ["manage"]);
  if (!found.ok) return found;
  const queue = found.value;
  const left = await leaveTarget(context, queue);
  if (!left.ok) return left;
  const { at, route } = queue;
  const { broker } = context.edge;
  if (route.groups.length > 1) {
    const group = await broker.deleteGroup(at);
    if (!group.ok) return faultOf(group);
    const topic = await broker.putTopic(at, withoutLabels(route.settings.labels));
    return topic.ok ? done({}) : faultOf(topic);
  }
  const gone = await broker.deleteTopic(at, false);
  if (gone.ok) return done({});
  if (gone.code !== "topic_in_use" || holdsOthersWork(gone.facts)) return faultOf(gone);
  // Delayed messages go with their queue, as SQS has it.
  const forced = await broker.deleteTopic(at, true);
  return forced.ok ? done({}) : faultOf(forced);
}

/** Undecided transactions, and messages that are still on their way to other topics, are not the queue's. */
const holdsOthersWork = (facts: Readonly<Record<string, unknown>> = {}): boolean =>
  facts["prepared"] !== 0 || facts["forwarding"] !== 0;

const withoutLabels = (labels: Readonly<Record<string, string>> = {}): TopicPatch => ({
  labels: Object.fromEntries(
    Object.keys(labels)
      .filter((name) => name.startsWith(OWN_LABEL))
      .map((name) => [name, null]),
  ),
});
