/**
 * Queue attributes: from what a request sets to changes of the topic and its group, and from these back to what SQS shows. It
 * judges; it never changes anything itself.
 */
import type { GroupPatch, TopicPatch } from "../../protocol/topic.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { arnOf, type Context, OWN_LABEL, type Queue } from "./context.ts";
import { done, fault, faultOf, type Fault, type Result } from "./faults.ts";
import { gather } from "./gathering.ts";
import { LACKING_ATTRIBUTES, LACKING_VALUES } from "./lacks.ts";
import { shownPolicies } from "./redrive-policy.ts";
import { INVISIBLE_MS_MIN, NUMBERS, ownLabel, settingsOf } from "./settings.ts";

type Texts = Readonly<Record<string, string>>;

export interface Change {
  readonly topic: TopicPatch;
  readonly group: GroupPatch;
}

const isNumber = (name: string): name is keyof typeof NUMBERS => Object.hasOwn(NUMBERS, name);
const FIFO_ONLY = new Set([
  "ContentBasedDeduplication",
  "DeduplicationScope",
  "FifoThroughputLimit",
]);
/** Kept in a setting of the topic or the group, not in a label. */
const SETTINGS = new Set(["MessageRetentionPeriod", "VisibilityTimeout"]);
/** Judged and kept by redrive-policy.ts. */
const POLICIES = new Set(["RedrivePolicy", "RedriveAllowPolicy"]);
/** Said by the queue's name, or the only value there is: nothing to keep. */
const IMPLIED = new Set(["FifoQueue", ...LACKING_VALUES.keys()]);

/** What setting these attributes changes. */
export function changeOf(isFifo: boolean, attributes: Texts, nowMs: number): Result<Change> {
  const labels: Record<string, string> = { [`${OWN_LABEL}modifiedAt`]: String(nowMs) };
  for (const [name, value] of Object.entries(attributes)) {
    if (POLICIES.has(name)) continue;
    const wrong = attributeFault(isFifo, name, value);
    if (wrong !== undefined) return wrong;
    if (!SETTINGS.has(name) && !IMPLIED.has(name)) labels[OWN_LABEL + name] = value;
  }
  const { MessageRetentionPeriod: kept, VisibilityTimeout: hidden } = attributes;
  return done({
    topic: { labels, ...(kept === undefined ? {} : { retentionMs: Number(kept) * 1_000 }) },
    group: hidden === undefined ? {} : { invisibleMs: invisibleMsOf(hidden) },
  });
}

const invisibleMsOf = (seconds: string): number =>
  Math.max(Number(seconds) * 1_000, INVISIBLE_MS_MIN);

function attributeFault(isFifo: boolean, name: string, value: string): Fault | undefined {
  const lacking = LACKING_ATTRIBUTES.get(name);
  if (lacking !== undefined) return fault("UnsupportedOperation", `${name}: ${lacking}`);
  if (FIFO_ONLY.has(name) && !isFifo) {
    return fault("InvalidAttributeName", `You can specify the ${name} only for FIFO queues.`);
  }
  const bad = (reason: string): Fault =>
    fault("InvalidAttributeValue", `Invalid value for the parameter ${name}. Reason: ${reason}`);
  const only = LACKING_VALUES.get(name);
  if (only !== undefined)
    return value === only.only ? undefined : bad(`only ${only.only} here. ${only.reason}`);
  if (isNumber(name)) {
    const { least, most } = NUMBERS[name];
    const isWithin = /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most;
    return isWithin ? undefined : bad(`a whole number from ${least} to ${most}.`);
  }
  if (name === "FifoQueue") {
    return value === String(isFifo)
      ? undefined
      : bad("FIFO queues, and only they, have names that end in .fifo.");
  }
  if (name === "ContentBasedDeduplication")
    return value === "true" || value === "false" ? undefined : bad("true or false.");
  return fault("InvalidAttributeName", `Unknown Attribute ${name}.`);
}

/** What a queue that is made with these attributes has where they say nothing. A topic that is there keeps its own. */
export function withDefaults(isFifo: boolean, isNewTopic: boolean, change: Change): Change {
  const topic: TopicPatch = {
    retentionMs: NUMBERS.MessageRetentionPeriod.usual * 1_000,
    ...(isFifo ? { dedupWindowMs: DEDUP_WINDOW_MS } : {}),
  };
  const group: GroupPatch = {
    invisibleMs: NUMBERS.VisibilityTimeout.usual * 1_000,
    // SQS delivers for ever where nobody set a redrive policy.
    maxAttempts: LIMITS.attemptsMax,
    ordered: isFifo,
  };
  return {
    topic: isNewTopic ? { ...topic, ...change.topic } : change.topic,
    group: { ...group, ...change.group },
  };
}

const DEDUP_WINDOW_MS = 5 * 60_000;

const seconds = (ms: number): string => String(Math.floor(ms / 1_000));

/** What a queue is set to, as texts; without what must be counted. */
export function settingAttributes(context: Context, queue: Queue): Texts {
  const { route, group, isFifo } = queue;
  const { delaySeconds, maximumMessageSize, waitSeconds, isContentBased } = settingsOf(queue);
  const createdAt = seconds(group.createdAt);
  const modifiedAt = ownLabel(queue, "modifiedAt");
  return {
    QueueArn: arnOf(context, queue.name),
    CreatedTimestamp: createdAt,
    LastModifiedTimestamp: modifiedAt === undefined ? createdAt : seconds(Number(modifiedAt)),
    VisibilityTimeout: seconds(group.settings.invisibleMs),
    MessageRetentionPeriod: seconds(route.settings.retentionMs),
    DelaySeconds: String(delaySeconds),
    MaximumMessageSize: String(maximumMessageSize),
    ReceiveMessageWaitTimeSeconds: String(waitSeconds),
    SqsManagedSseEnabled: "false",
    ...shownPolicies(context, queue),
    ...(isFifo
      ? {
          FifoQueue: "true",
          ContentBasedDeduplication: String(isContentBased),
          DeduplicationScope: "messageGroup",
          FifoThroughputLimit: "perMessageGroupId",
        }
      : {}),
  };
}

const COUNTS = [
  "ApproximateNumberOfMessages",
  "ApproximateNumberOfMessagesNotVisible",
  "ApproximateNumberOfMessagesDelayed",
] as const;

async function countAttributes({ edge }: Context, queue: Queue): Promise<Result<Texts>> {
  const stats = await edge.broker.stats(queue.at);
  if (!stats.ok) return faultOf(stats);
  const figures = stats.value.groups.find(({ group }) => group === queue.at.group);
  const { lag = 0, inFlight = 0 } = figures ?? {};
  const delayed = stats.value.queues.reduce((sum, each) => sum + each.delayed, 0);
  return done({
    ApproximateNumberOfMessages: String(Math.max(0, lag - inFlight)),
    ApproximateNumberOfMessagesNotVisible: String(inFlight),
    ApproximateNumberOfMessagesDelayed: String(delayed),
  });
}

/** What GetQueueAttributes shows of these names, or of `All`. */
export async function shownAttributes(
  context: Context,
  queue: Queue,
  names: readonly string[],
): Promise<Result<Texts>> {
  const isAll = names.includes("All");
  const counts = isAll || COUNTS.some((name) => names.includes(name));
  const gathered = counts ? await gather(context, queue) : done(undefined);
  if (!gathered.ok) return gathered;
  const counted = counts ? await countAttributes(context, queue) : done({});
  if (!counted.ok) return counted;
  const all: Texts = { ...settingAttributes(context, queue), ...counted.value };
  if (isAll) return done(all);
  const unknown = names.find((name) => !Object.hasOwn(all, name) && !isKnown(name));
  if (unknown !== undefined) return fault("InvalidAttributeName", `Unknown Attribute ${unknown}.`);
  return done(Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name))));
}

/** Names that a queue may simply not have. */
const isKnown = (name: string): boolean =>
  LACKING_ATTRIBUTES.has(name) || FIFO_ONLY.has(name) || POLICIES.has(name) || name === "FifoQueue";
