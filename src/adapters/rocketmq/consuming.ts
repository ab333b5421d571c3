/**
 * Consume, in order or not, and ack. A consumer is a group of the topic; one that is new is made with the service's times. Its
 * tag is the group's filter: the last that is said counts, as with RocketMQ's subscriptions.
 */
import type { GroupName } from "../../broker/broker.ts";
import type { Filter, GroupPatch, GroupSettings } from "../../protocol/topic.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { utf8Length } from "../../core/bytes.ts";
import { receiveFor } from "../leaving.ts";
import { type Answer, type Context, forbids } from "./context.ts";
import { done, fault, faultOf, nothingThere, type Result } from "./faults.ts";
import { messagesDocument } from "./message-out.ts";
import { type Failed, settledAnswer } from "./settled.ts";

/** What is not acked by then comes again, so often. */
const INVISIBLE_MS = 300_000;
const ORDERED_INVISIBLE_MS = 60_000;
const ATTEMPTS_MAX = 288;
/** A filter once set cannot be taken away; this one passes everything. */
const EVERYTHING = { sql: "TRUE" } as const satisfies Filter;

const groupOf = ({ caller, address }: Context): GroupName => ({
  namespace: caller.namespace,
  topic: address.topic,
  group: address.consumer,
});

export async function consume(context: Context, isOrdered: boolean): Promise<Result<Answer>> {
  const forbidden = forbids(context, "consume");
  if (forbidden !== undefined) return forbidden;
  const { edge, address } = context;
  const tags = tagsOf(address.tag);
  if (!tags.ok) return tags;
  const ready = await prepareGroup(context, isOrdered, tags.value);
  if (!ready.ok) return ready;
  const { maxMessages, waitMs } = address;
  const received = await receiveFor(context, groupOf(context), { maxMessages, waitMs });
  if (!received.ok) return faultOf(received);
  const { messages, giveBack } = received.value;
  if (messages.length === 0) return nothingThere();
  // Asked again: a wait takes its time.
  const nowMs = edge.clock.nowMs();
  const text = messagesDocument(
    messages.map((message) => ({
      id: message.id,
      content: message.content,
      handle: message.receipt,
      publishTime: message.sentAt,
      // Of a later delivery it is not known any more: not before it was stored.
      firstConsumeTime: message.deliveryAttempt === 1 ? nowMs : message.storedAt,
      nextConsumeTime: message.invisibleUntil,
      consumedTimes: message.deliveryAttempt,
    })),
  );
  return done({ status: 200, text, ...(giveBack === undefined ? {} : { giveBack }) });
}

const isTag = (text: string): boolean => text !== "" && utf8Length(text) <= LIMITS.wordBytesMax;

/** `A||B`; undefined: all. */
function tagsOf(tag: string | undefined): Result<readonly string[] | undefined> {
  if (tag === undefined || tag.trim() === "*") return done(undefined);
  const tags = [...new Set(tag.split("||").map((each) => each.trim()))].toSorted();
  if (tags.length <= LIMITS.filterTagsMax && tags.every(isTag)) return done(tags);
  const detail = `tag is up to ${LIMITS.filterTagsMax} tags with || between them, or *`;
  return fault("InvalidArgument", detail);
}

/** Makes the group when it is new, and gives it the filter that this consumer wants. */
async function prepareGroup(
  context: Context,
  isOrdered: boolean,
  tags: readonly string[] | undefined,
): Promise<Result<undefined>> {
  const { broker } = context.edge;
  const at = groupOf(context);
  const found = await broker.group(at);
  const isNew = !found.ok && (found.code === "group_not_found" || found.code === "topic_not_found");
  if (!found.ok && !isNew) return faultOf(found);
  const patch = found.ok
    ? changeOf(found.value.settings, isOrdered, tags)
    : done(newGroup(isOrdered, tags));
  if (!patch.ok) return patch;
  if (patch.value === undefined) return done(undefined);
  const made = await broker.putGroup(at, patch.value);
  return made.ok ? done(undefined) : faultOf(made);
}

const newGroup = (isOrdered: boolean, tags: readonly string[] | undefined): GroupPatch => ({
  invisibleMs: isOrdered ? ORDERED_INVISIBLE_MS : INVISIBLE_MS,
  maxAttempts: ATTEMPTS_MAX,
  ordered: isOrdered,
  ...(tags === undefined ? {} : { filter: { tags } }),
});

/** What of the group must change for this consumer; undefined: nothing. */
function changeOf(
  { ordered, filter, mode }: GroupSettings,
  isOrdered: boolean,
  tags: readonly string[] | undefined,
): Result<GroupPatch | undefined> {
  if (mode === "broadcast") {
    return fault("InvalidArgument", "The group is a broadcast group, which needs consumer ids");
  }
  if (isOrdered && !ordered) {
    const detail =
      'The group is not ordered: set it so by PUT /v1/topics/…/groups/… {"ordered": true}';
    return fault("InvalidArgument", detail);
  }
  const isOthers = filter !== undefined && "sql" in filter && filter.sql !== EVERYTHING.sql;
  if (isOthers) {
    if (tags === undefined) return done(undefined);
    return fault("InvalidArgument", "The group has a filter in SQL, which a tag cannot replace");
  }
  const had = filter !== undefined && "tags" in filter ? filter.tags.toSorted() : undefined;
  if (had?.join("||") === tags?.join("||")) return done(undefined);
  return done({ filter: tags === undefined ? EVERYTHING : { tags } });
}

export async function ack(context: Context, handles: readonly string[]): Promise<Result<Answer>> {
  const forbidden = forbids(context, "consume");
  if (forbidden !== undefined) return forbidden;
  const at = groupOf(context);
  const outcome = await context.edge.broker.settle(at, { verb: "ack", receipts: handles });
  if (!outcome.ok) {
    // Of a group that is not there no handle can be one.
    if (outcome.code !== "group_not_found") return faultOf(outcome);
    return done(settledAnswer(handles.map((handle) => malformed(handle))));
  }
  const failed = outcome.value.flatMap((each): Failed[] => {
    if (each.ok) return [];
    return each.code === "receipt_invalid" ? [malformed(each.receipt)] : [expired(each.receipt)];
  });
  return done(settledAnswer(failed));
}

const malformed = (handle: string): Failed => ({
  handle,
  code: "ReceiptHandleError",
  detail: "The receipt handle is none of this consumer",
});

const expired = (handle: string): Failed => ({
  handle,
  code: "MessageNotExist",
  detail: "The message has been delivered again since, or its lease was ended",
});
