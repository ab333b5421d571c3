/**
 * Whether a queue takes more: what is refused before the object, its disk or its consumers are overrun. It never refuses
 * what was accepted before: commits, forwarded and due messages always find room.
 */
import type { RecordHead } from "../core/record.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import { dedupWordOf, firstOf } from "./duplicates/dedup.ts";
import type { Counted } from "./duplicates/sequences.ts";
import { STORAGE_FULL } from "./storage/full.ts";
import { QueueStore } from "./store.ts";

/** Messages that a request brings, in columns. */
export interface Batch {
  readonly records: readonly Uint8Array[];
  readonly heads: readonly RecordHead[];
  /** What their producers count; may be shorter. */
  readonly counted: readonly (Counted | undefined)[];
}

/** What a request brings. */
export interface Newcomers {
  readonly count: number;
  /** Whether a key of the request, or the dedup id of a message, is to be remembered. */
  readonly remembers: boolean;
  /** How many would wait for consumers from now on. */
  readonly countNew: () => number;
}

export const newcomersOf = (
  store: QueueStore,
  batch: Batch,
  isKeyed: boolean,
  nowMs: number,
): Newcomers => ({
  count: batch.records.length,
  remembers: isKeyed || batch.heads.some(({ dedupId }) => dedupId !== undefined),
  countNew: () => batch.records.filter((_, index) => isNew(store, batch, index, nowMs)).length,
});

/** Why the messages are not taken now. */
export function noRoom(
  store: QueueStore,
  newcomers: Newcomers,
  nowMs: number,
): Refusal | undefined {
  if (newcomers.remembers && store.awakeKeys().full(nowMs)) {
    return refuse("rate_limited", "The queue holds as many keys as it can.", {
      limit: store.bounds.keysMax,
    });
  }
  if (store.gauge.isFull) return STORAGE_FULL;
  return backlogFull(store, newcomers);
}

/** The slowest group decides; what waits for its time is not counted before it comes. */
function backlogFull(store: QueueStore, { count, countNew }: Newcomers): Refusal | undefined {
  const { maxBacklog: limit } = store.route.settings;
  if (limit === undefined) return undefined;
  let slowest: { name: string; lag: number } | undefined;
  for (const { route, consumerId, lag } of store.groups) {
    // A consumer of a broadcast group that is gone for good must not stop the senders.
    if (consumerId === undefined && lag > (slowest?.lag ?? -1)) slowest = { name: route.name, lag };
  }
  if (slowest === undefined || slowest.lag + count <= limit) return undefined;
  const news = countNew();
  const actual = slowest.lag + news;
  if (news === 0 || actual <= limit) return undefined;
  // Nobody's acks would ever make room for so many.
  if (news > limit) {
    const facts = { field: "messages", limit, actual: news, queue: store.queue };
    return refuse("request_too_large", "The topic's maxBacklog holds fewer messages.", facts);
  }
  const detail = `Group ${slowest.name} has ${slowest.lag} messages waiting in this queue.`;
  return refuse("backlog_full", detail, { limit, actual, group: slowest.name, queue: store.queue });
}

/** Would it wait for consumers from now on? */
function isNew(store: QueueStore, batch: Batch, index: number, nowMs: number): boolean {
  const { heads, counted } = batch;
  const head = heads[index];
  if (head === undefined || counted[index]?.isRepeat === true) return false;
  if (QueueStore.dueAt(head, nowMs) !== undefined) return false;
  const word = dedupWordOf(head);
  return word === undefined || firstOf(store, word, nowMs) === undefined;
}
