/**
 * Transactional messages: prepared by a publish, handed to their producer when they are due for a check, and decided by either
 * kind of handle. A publish names no group, so that the halves of a topic have a producer group made of the topic's name; what
 * lies in its mailbox is given to the group that asked for it first, which a label of the topic names.
 */
import { decodeEntry } from "../../core/entry.ts";
import { type Content, decodeRecord, unframe } from "../../core/record.ts";
import { allows } from "../../auth/allows.ts";
import { pause } from "../../platform/clock.ts";
import { refuse, type Refusal } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { CheckBegun } from "../../protocol/rpc.ts";
import { outliving } from "../leaving.ts";
import { type Answer, type Context, forbids, type Stored } from "./context.ts";
import { done, fault, faultOf, nothingThere, type Result } from "./faults.ts";
import { readHandle, writeHandle } from "./handles.ts";
import { messagesDocument, type Shown } from "./message-out.ts";
import { type Failed, settledAnswer } from "./settled.ts";

/** An undecided half is handed out again after this, and a handle of a check is good for as long. */
const CHECK_INTERVAL_MS = 10_000;
/** For a day. */
const CHECKS_MAX = (24 * 60 * 60_000) / CHECK_INTERVAL_MS;
const GROUP_PREFIX = "%HTTP%";

/** Of the topic: the group that its half messages are handed to. */
const OWNER_LABEL = "rocketmq:producer";

const producerGroupOf = ({ address }: Context): string => GROUP_PREFIX + address.topic;

export async function prepareHalf(
  context: Context,
  content: Content,
  checkMs: number,
): Promise<Result<Stored>> {
  const { edge, caller, address } = context;
  const producerGroup = producerGroupOf(context);
  if (producerGroup.length > LIMITS.nameCharsMax) {
    const most = LIMITS.nameCharsMax - GROUP_PREFIX.length;
    return fault("InvalidArgument", `A topic of half messages has a name of at most ${most} signs`);
  }
  const at = { namespace: caller.namespace, topic: address.topic };
  const outcome = await edge.broker.prepare(at, {
    producerGroup,
    messages: [{ content }],
    check: { timeoutMs: checkMs, intervalMs: CHECK_INTERVAL_MS, maxChecks: CHECKS_MAX },
  });
  if (!outcome.ok) return faultOf(outcome);
  const { messageIds, transactionId, nextCheckAt } = outcome.value;
  const [id] = messageIds;
  if (id === undefined) return fault("InternalServerError", "The message was not stored");
  return done({ id, handle: writeHandle({ transactionId, expiresAt: nextCheckAt }) });
}

export async function consumeHalf(context: Context): Promise<Result<Answer>> {
  const forbidden = forbids(context, "transact");
  if (forbidden !== undefined) return forbidden;
  const { edge, caller, address, signal } = context;
  const owner = await ownerOf(context);
  if (!owner.ok) return owner;
  if (owner.value !== address.consumer) {
    await pause(edge.clock, address.waitMs);
    const detail = `The half messages of the topic are for ${owner.value}, as its label ${OWNER_LABEL} says`;
    return fault("MessageNotExist", detail);
  }
  const { maxMessages, waitMs, consumer: consumerId } = address;
  const polled = edge.broker.checks(caller.namespace, producerGroupOf(context), {
    maxMessages,
    waitMs,
    consumerId,
    ...(waitMs === 0 ? {} : { signal }),
  });
  const outcome = await (waitMs === 0 ? polled : outliving(context, polled));
  if (!outcome.ok) return faultOf(outcome);
  const nowMs = edge.clock.nowMs();
  const halves = outcome.value.checks
    .filter(({ topic }) => topic === address.topic)
    .flatMap((check) => shownHalves(check, nowMs));
  if (halves.length === 0) return nothingThere();
  return done({ status: 200, text: messagesDocument(halves) });
}

/**
 * Who the halves of the topic are handed to: whoever asked first, for the checker of another program would decide what it knows
 * nothing of. Of a topic that is not there, whoever asks.
 */
async function ownerOf({ edge, caller, address }: Context): Promise<Result<string>> {
  const { consumer, topic } = address;
  const at = { namespace: caller.namespace, topic };
  const route = await edge.broker.topic(at);
  if (!route.ok) return route.code === "topic_not_found" ? done(consumer) : faultOf(route);
  const owner = route.value.settings.labels?.[OWNER_LABEL];
  if (owner !== undefined) return done(owner);
  const put = await edge.broker.putTopic(at, { labels: { [OWNER_LABEL]: consumer } });
  return put.ok ? done(consumer) : faultOf(put);
}

function shownHalves(check: CheckBegun, nowMs: number): Shown[] {
  const { transactionId, attempt, preparedAt } = check;
  const expiresAt = nowMs + CHECK_INTERVAL_MS;
  const handle = writeHandle({ transactionId, expiresAt, attempt });
  return unframe(check.entries).map((bytes) => {
    const { id = transactionId, record } = decodeEntry(bytes);
    return {
      id,
      content: decodeRecord(record),
      handle,
      publishTime: preparedAt,
      firstConsumeTime: attempt === 1 ? nowMs : preparedAt,
      nextConsumeTime: expiresAt,
      consumedTimes: attempt,
    };
  });
}

/** What is too late for a handle, as the protocol sees it. */
const TOO_LATE = new Set([
  "transaction_not_found",
  "transaction_committed",
  "transaction_rolled_back",
  "transaction_discarded",
]);

export async function decide(
  context: Context,
  handles: readonly string[],
): Promise<Result<Answer>> {
  const { edge, caller, address } = context;
  const forbidden = forbids(context, "transact");
  if (forbidden !== undefined) return forbidden;
  const [text = "", ...more] = handles;
  if (more.length > 0) return fault("InvalidArgument", "A commit or rollback is of one handle");
  const failed = (code: Failed["code"], detail: string): Result<Answer> =>
    done(settledAnswer([{ handle: text, code, detail }]));
  const handle = readHandle(text);
  if (handle === undefined)
    return failed("ReceiptHandleError", "This is no handle of a half message");
  const { transactionId: id, attempt } = handle;
  if (edge.clock.nowMs() > handle.expiresAt)
    return failed("MessageNotExist", "The handle has expired");
  const outcome = await edge.broker.decide(
    { namespace: caller.namespace, id, permit: (topic) => refusalAt(context, topic) },
    {
      decision: address.decision,
      by: attempt === undefined ? "producer" : "check",
      ...(attempt === undefined ? {} : { attempt }),
    },
  );
  if (outcome.ok) return done(settledAnswer([]));
  if (TOO_LATE.has(outcome.code)) return failed("MessageNotExist", outcome.detail);
  return faultOf(outcome);
}

/** A handle is good at its own topic only. */
function refusalAt({ caller, address }: Context, topic: string): Refusal | undefined {
  if (topic !== address.topic)
    return refuse("transaction_not_found", "The handle is of a message of another topic");
  const allowed = allows(caller, "transact", topic);
  return allowed.ok ? undefined : allowed;
}
