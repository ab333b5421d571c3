/** CreateQueue, GetQueueUrl, Get- and SetQueueAttributes, and the tags. */
import type { TopicPatch } from "../../protocol/topic.ts";
import {
  type Change,
  changeOf,
  settingAttributes,
  shownAttributes,
  withDefaults,
} from "./attributes.ts";
import {
  ANY,
  type Context,
  findTopic,
  forbids,
  GROUP,
  isFifoName,
  isQueueName,
  noQueue,
  OWN_LABEL,
  type Queue,
  queueAt,
  queueNamed,
  queueOf,
  urlOf,
} from "./context.ts";
import { done, fault, faultOf, type Fault, type Result } from "./faults.ts";
import { leaveTarget } from "./gathering.ts";
import type { Input } from "./inputs.ts";
import { sourcesThere } from "./listing.ts";
import {
  linkSource,
  type PolicyChange,
  policyChange,
  policyOf,
  sourceLabels,
} from "./redrive-policy.ts";
import { tagFault, tagsOf } from "./tags.ts";

/** A queue that is there is taken as it is, when nothing that is said of it differs. */
export async function createQueue(
  context: Context,
  input: Input<"CreateQueue">,
): Promise<Result<object>> {
  const { QueueName: name, Attributes: attributes = {}, tags = {} } = input;
  if (!isQueueName(name)) {
    const detail =
      "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length; .fifo at the end of a FIFO queue's.";
    return fault("InvalidParameterValue", detail);
  }
  const forbidden = forbids(context, ["manage"], name);
  if (forbidden !== undefined) return forbidden;
  const isFifo = isFifoName(name);
  if (!isFifo && attributes["FifoQueue"] === "true") {
    return fault("InvalidParameterValue", "The name of a FIFO queue can only end with .fifo.");
  }
  const change = changeOf(isFifo, attributes, context.nowMs);
  if (!change.ok) return change;
  const badTag = tagFault(tags);
  if (badTag !== undefined) return badTag;
  const known = await findTopic(context, name);
  if (!known.ok) return known;
  const queue = known.value === undefined ? undefined : queueOf(known.value);
  if (queue !== undefined) {
    const differs = differenceFault(context, queue, attributes);
    return differs ?? done({ QueueUrl: urlOf(context, name) });
  }
  const policy = await policyChange(context, name, attributes);
  if (!policy.ok) return policy;
  // Some may have named it as their target before it was there, or after it was deleted.
  const sources = await sourcesThere(context, name);
  if (!sources.ok) return sources;
  const whole = withDefaults(isFifo, known.value === undefined, change.value);
  const labels = { ...tags, ...sourceLabels(sources.value) };
  const made = await make(context, name, withPolicy(withLabels(whole, labels), policy.value));
  return made ?? done({ QueueUrl: urlOf(context, name) });
}

const withLabels = (
  { topic, group }: Change,
  labels: NonNullable<TopicPatch["labels"]>,
): Change => ({
  topic: { ...topic, labels: { ...topic.labels, ...labels } },
  group,
});

/** With the target that has to hear of it first. */
const withPolicy = (change: Change, { labels, maxAttempts, target }: PolicyChange) => {
  const { topic, group } = withLabels(change, labels);
  return {
    topic,
    group: maxAttempts === undefined ? group : { ...group, maxAttempts },
    target,
  };
};

/** The target of a redrive policy first, then the topic: a group that is there says that the queue is whole. */
async function make(
  context: Context,
  name: string,
  { topic: topicPatch, group: groupPatch, target }: ReturnType<typeof withPolicy>,
): Promise<Fault | undefined> {
  const { edge, caller } = context;
  if (target !== undefined) {
    const unlinked = await linkSource(context, target.name, name, true);
    if (unlinked !== undefined) return unlinked;
  }
  const at = { namespace: caller.namespace, topic: name };
  const topic = await edge.broker.putTopic(at, topicPatch);
  if (!topic.ok) return faultOf(topic);
  const group = await edge.broker.putGroup({ ...at, group: GROUP }, groupPatch);
  return group.ok ? undefined : faultOf(group);
}

function differenceFault(
  context: Context,
  queue: Queue,
  attributes: Readonly<Record<string, string>>,
): Fault | undefined {
  const has = settingAttributes(context, queue);
  const differs = Object.entries(attributes).find(
    ([name, value]) => !isSameAttribute(name, has[name], value),
  );
  if (differs === undefined) return undefined;
  const detail = `A queue already exists with the same name and a different value for attribute ${differs[0]}`;
  return fault("QueueNameExists", detail);
}

/** A policy may be written in several ways. */
const isSameAttribute = (name: string, has: string | undefined, value: string): boolean =>
  name.startsWith("Redrive")
    ? policyText(has ?? "") === policyText(value)
    : (has ?? "false") === value;

function policyText(text: string): string {
  try {
    const { maxReceiveCount: most, ...rest } = JSON.parse(text) as Record<string, unknown>;
    return JSON.stringify(most === undefined ? rest : { ...rest, most: Number(most) });
  } catch {
    return text;
  }
}

export async function getQueueUrl(
  context: Context,
  { QueueName: name, QueueOwnerAWSAccountId: owner }: Input<"GetQueueUrl">,
): Promise<Result<object>> {
  if (owner !== undefined && owner !== context.caller.namespace) return noQueue();
  const queue = await queueNamed(context, name, ANY);
  return queue.ok ? done({ QueueUrl: urlOf(context, name) }) : queue;
}

export async function getQueueAttributes(
  context: Context,
  { QueueUrl, AttributeNames: names = [] }: Input<"GetQueueAttributes">,
): Promise<Result<object>> {
  const queue = await queueAt(context, QueueUrl, ANY);
  if (!queue.ok) return queue;
  const shown = await shownAttributes(context, queue.value, names);
  if (!shown.ok) return shown;
  return done(Object.keys(shown.value).length === 0 ? {} : { Attributes: shown.value });
}

export async function setQueueAttributes(
  context: Context,
  { QueueUrl, Attributes: attributes }: Input<"SetQueueAttributes">,
): Promise<Result<object>> {
  const found = await queueAt(context, QueueUrl, ["manage"]);
  if (!found.ok) return found;
  const queue = found.value;
  const change = changeOf(queue.isFifo, attributes, context.nowMs);
  if (!change.ok) return change;
  const policy = await policyChange(context, queue.name, attributes);
  if (!policy.ok) return policy;
  const wrong = await make(context, queue.name, withPolicy(change.value, policy.value));
  if (wrong !== undefined) return wrong;
  const former = policyOf(queue)?.target;
  const isSame = attributes["RedrivePolicy"] === undefined || former === policy.value.target?.name;
  if (former === undefined || isSame) return done({});
  // What died under the former policy goes where that said.
  const left = await leaveTarget(context, queue);
  return left.ok ? done({}) : left;
}

export async function tagQueue(
  context: Context,
  { QueueUrl, Tags }: Input<"TagQueue">,
): Promise<Result<object>> {
  const wrong = tagFault(Tags);
  if (wrong !== undefined) return wrong;
  return label(context, QueueUrl, Tags);
}

export async function untagQueue(
  context: Context,
  { QueueUrl, TagKeys }: Input<"UntagQueue">,
): Promise<Result<object>> {
  const own = TagKeys.filter((key) => !key.startsWith(OWN_LABEL));
  return label(context, QueueUrl, Object.fromEntries(own.map((key) => [key, null])));
}

async function label(
  context: Context,
  url: string,
  labels: Readonly<Record<string, string | null>>,
): Promise<Result<object>> {
  const queue = await queueAt(context, url, ["manage"]);
  if (!queue.ok) return queue;
  const outcome = await context.edge.broker.putTopic(queue.value.at, { labels });
  return outcome.ok ? done({}) : faultOf(outcome);
}

export async function listQueueTags(
  context: Context,
  { QueueUrl }: Input<"ListQueueTags">,
): Promise<Result<object>> {
  const queue = await queueAt(context, QueueUrl, ANY);
  if (!queue.ok) return queue;
  const tags = tagsOf(queue.value);
  return done(Object.keys(tags).length === 0 ? {} : { Tags: tags });
}
