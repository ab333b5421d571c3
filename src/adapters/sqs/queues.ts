/** CreateQueue, GetQueueUrl, ListQueues, Get- and SetQueueAttributes, PurgeQueue, DeleteQueue and the tags. */
import type { TopicPatch } from "../../protocol/topic.ts";
import {
  changeOf,
  type Change,
  settingAttributes,
  shownAttributes,
  withDefaults,
} from "./attributes.ts";
import {
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
import type { Input } from "./inputs.ts";
import { tagFault, tagsOf } from "./tags.ts";

const ANY = ["send", "transact", "consume", "manage"] as const;
/** Without MaxResults a list shows so many. */
const LIST_MAX = 1_000;
/** Pages of topics that one list looks through; then it says where it goes on. */
const PAGES_MAX = 100;

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
  const whole = withDefaults(isFifo, known.value === undefined, change.value);
  const made = await make(context, name, withTags(whole, tags));
  return made ?? done({ QueueUrl: urlOf(context, name) });
}

const withTags = ({ topic, group }: Change, tags: Readonly<Record<string, string>>): Change => ({
  topic: { ...topic, labels: { ...topic.labels, ...tags } },
  group,
});

/** The topic first: a group that is there says that the queue is whole. */
async function make({ edge, caller }: Context, name: string, change: Change) {
  const at = { namespace: caller.namespace, topic: name };
  const topic = await edge.broker.putTopic(at, change.topic);
  if (!topic.ok) return faultOf(topic);
  const group = await edge.broker.putGroup({ ...at, group: GROUP }, change.group);
  return group.ok ? undefined : faultOf(group);
}

function differenceFault(
  context: Context,
  queue: Queue,
  attributes: Readonly<Record<string, string>>,
): Fault | undefined {
  const has = settingAttributes(context, queue);
  const differs = Object.entries(attributes).find(
    ([name, value]) => (has[name] ?? "false") !== value,
  );
  if (differs === undefined) return undefined;
  const detail = `A queue already exists with the same name and a different value for attribute ${differs[0]}`;
  return fault("QueueNameExists", detail);
}

export async function getQueueUrl(
  context: Context,
  { QueueName: name, QueueOwnerAWSAccountId: owner }: Input<"GetQueueUrl">,
): Promise<Result<object>> {
  if (owner !== undefined && owner !== context.caller.namespace) return noQueue();
  const queue = await queueNamed(context, name, ANY);
  return queue.ok ? done({ QueueUrl: urlOf(context, name) }) : queue;
}

interface ListQuery {
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

export async function listQueues(
  context: Context,
  { QueueNamePrefix: prefix = "", ...page }: Input<"ListQueues">,
): Promise<Result<object>> {
  const found = await queuesThat(context, page, ({ name }) => name.startsWith(prefix));
  if (!found.ok) return found;
  const { names, NextToken } = found.value;
  return done({
    ...(names.length === 0 ? {} : { QueueUrls: names.map((name) => urlOf(context, name)) }),
    ...(NextToken === undefined ? {} : { NextToken }),
  });
}

/** Queues that the key reaches, oldest first. A page may be short, or empty, and go on. */
async function queuesThat(
  context: Context,
  { MaxResults: most = LIST_MAX, NextToken: first }: ListQuery,
  wanted: (queue: Queue) => boolean,
): Promise<Result<{ readonly names: string[]; readonly NextToken?: string }>> {
  const { edge, caller } = context;
  const names: string[] = [];
  let cursor = first;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    // Never more than there is room for, so that the registry's cursor is the list's.
    const query = { limit: most - names.length, ...(cursor === undefined ? {} : { cursor }) };
    const page = await edge.broker.topics(caller.namespace, query);
    if (!page.ok) return faultOf(page);
    for (const route of page.value.items) {
      const queue = queueOf(route);
      if (queue === undefined || forbids(context, ANY, queue.name) !== undefined) continue;
      if (wanted(queue)) names.push(queue.name);
    }
    cursor = page.value.nextCursor;
    if (cursor === undefined || names.length >= most) break;
  }
  return done(cursor === undefined ? { names } : { names, NextToken: cursor });
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
  return (await make(context, queue.name, change.value)) ?? done({});
}

/** Whatever waits for this group is passed over; delayed messages come in their time. */
export async function purgeQueue(
  context: Context,
  { QueueUrl }: Input<"PurgeQueue">,
): Promise<Result<object>> {
  const queue = await queueAt(context, QueueUrl, ["consume"]);
  if (!queue.ok) return queue;
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
  const { at, route } = found.value;
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
