/**
 * What holds messages of a group back at one queue, and an operator's word on those that ran out of attempts. Looks at
 * what is in flight, never at the backlog. Run inside a flush.
 */
import { decodeEntry } from "../core/entry.ts";
import { messageId } from "../core/ids.ts";
import { readRecordHead } from "../core/record.ts";
import type { BlockedView } from "../protocol/rpc.ts";
import type { Group, Held } from "./delivery/group.ts";
import type { QueueStore } from "./store.ts";

const STATES = {
  leased: "inFlight",
  waiting: "retrying",
  held: "poisoned",
  growing: "growing",
} as const;

/** Oldest first. */
export function blocked(
  store: QueueStore,
  group: Group,
  query: { readonly from: number; readonly limit: number },
  nowMs: number,
): { items: BlockedView[]; next?: number } {
  group.promote(nowMs);
  const found = [...group.blocked()]
    .filter(({ offset }) => offset >= query.from)
    .toSorted((one, other) => one.offset - other.offset);
  const next = found[query.limit]?.offset;
  const items = found.slice(0, query.limit).flatMap((held) => viewOf(store, group, held) ?? []);
  return next === undefined ? { items } : { items, next };
}

function viewOf(store: QueueStore, group: Group, held: Held): BlockedView | undefined {
  const { offset, by, formerQueue, waiting, more } = held;
  const { number } = group.route;
  const read = store.deadLetters.content(number, offset) ?? store.messages.read(offset);
  if (read === undefined) return undefined;
  const { id, record } = decodeEntry(read.entry);
  const { messageGroup } = readRecordHead(record);
  const flight = group.flight(offset);
  const state = STATES[by];
  const isTimed = state === "inFlight" || state === "retrying";
  return {
    id: id ?? ownId(store, offset),
    queue: store.queue,
    offset,
    storedAt: read.storedAt,
    ...(messageGroup === undefined ? {} : { messageGroup }),
    state,
    deliveryAttempt: flight?.attempt ?? 0,
    ...(isTimed && flight !== undefined ? { dueAt: flight.dueAt } : {}),
    ...(state === "poisoned" ? { reason: store.deadLetters.reasonOf(number, offset) } : {}),
    ...(formerQueue === undefined ? {} : { formerQueue }),
    waiting,
    more,
  };
}

const ownId = (store: QueueStore, offset: number): string =>
  messageId({
    incarnation: store.incarnation,
    queue: store.queue,
    origin: "log",
    position: offset,
    index: 0,
  });

/** Poisoned messages go on; without ids, all of them. */
export function decideHeld(
  store: QueueStore,
  group: Group,
  { verb, ids }: { readonly verb: "retry" | "skip"; readonly ids?: readonly string[] },
  nowMs: number,
): { decided: number } {
  const wanted = ids === undefined ? undefined : new Set(ids);
  const { number } = group.route;
  let decided = 0;
  for (const { offset, held } of store.deadLetters.redriven(number)) {
    if (!held) continue;
    const read = wanted === undefined ? undefined : store.deadLetters.content(number, offset);
    const id = read === undefined ? undefined : decodeEntry(read.entry).id;
    if (wanted !== undefined && !wanted.has(id ?? ownId(store, offset))) continue;
    const isDone = verb === "retry" ? group.retryHeld(offset, nowMs) : group.skipHeld(offset);
    if (isDone) decided++;
  }
  return { decided };
}
