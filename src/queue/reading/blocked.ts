/**
 * What holds messages of a group back at one queue, and an operator's word on those that ran out of attempts. Looks at
 * what is in flight, never at the backlog. Run inside a flush.
 */
import { decodeEntry } from "../../core/entry.ts";
import { messageId } from "../../core/ids.ts";
import { readRecordHead } from "../../core/record.ts";
import type { BlockedView, HeldDecision } from "../../protocol/rpc.ts";
import type { Group } from "../delivery/group.ts";
import type { Held } from "../delivery/poison.ts";
import type { QueueStore } from "../store.ts";

/** The id of a message that was sent straight to this queue. */
const ownId = ({ incarnation, queue }: QueueStore, position: number): string =>
  messageId({ incarnation, queue, origin: "log", position, index: 0 });

const STATES = {
  leased: "inFlight",
  waiting: "retrying",
  held: "poisoned",
  growing: "growing",
} as const;

interface Holder {
  readonly group: Group;
  readonly held: Held;
}

/** By offset, and for one message by consumer. `after` names the last one shown. */
export function blocked(
  store: QueueStore,
  groups: readonly Group[],
  query: { readonly after?: string; readonly limit: number },
  nowMs: number,
): { items: BlockedView[]; next?: string } {
  const found: Holder[] = [];
  for (const group of groups) {
    group.promote(nowMs);
    for (const held of group.poison.blocked()) found.push({ group, held });
  }
  const [offset = -1, number = 0] = (query.after ?? "").split(".").map(Number);
  const after = { offset, number };
  const rest = found
    .map((holder) => ({ holder, at: { offset: holder.held.offset, number: holder.group.number } }))
    .filter(({ at }) => compare(at, after) > 0)
    .toSorted((one, other) => compare(one.at, other.at));
  const items: BlockedView[] = [];
  for (const { holder, at } of rest.slice(0, query.limit)) {
    const view = viewOf(store, holder, cursorOf(at));
    if (view !== undefined) items.push(view);
    else if (store.messages.missed !== undefined) return shortened(store, items);
  }
  const last = rest[query.limit - 1];
  return rest.length <= query.limit || last === undefined
    ? { items }
    : { items, next: cursorOf(last.at) };
}

/** A message is not at hand: what comes before it is a page; without any, the call waits. */
function shortened(
  { messages }: QueueStore,
  items: BlockedView[],
): { items: BlockedView[]; next?: string } {
  const last = items.at(-1);
  if (last === undefined) return { items };
  messages.missed = undefined;
  return { items, next: last.cursor };
}

interface At {
  readonly offset: number;
  readonly number: number;
}

const cursorOf = ({ offset, number }: At): string => `${offset}.${number}`;

const compare = (one: At, other: At): number =>
  one.offset - other.offset || one.number - other.number;

function viewOf(
  store: QueueStore,
  { group, held }: Holder,
  cursor: string,
): BlockedView | undefined {
  const { offset, by, formerQueue, waiting, more } = held;
  const { number, consumerId } = group;
  const read = store.deadLetters.content(number, offset) ?? store.messages.look(offset);
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
    ...(consumerId === undefined ? {} : { consumerId }),
    state,
    deliveryAttempt: flight?.attempt ?? 0,
    ...(isTimed && flight !== undefined ? { dueAt: flight.dueAt } : {}),
    ...(state === "poisoned" ? { reason: store.deadLetters.reasonOf(number, offset) } : {}),
    ...(formerQueue === undefined ? {} : { formerQueue }),
    waiting,
    more,
    cursor,
  };
}

/** Poisoned messages go on; without ids, all of them. */
export function decideHeld(
  store: QueueStore,
  groups: readonly Group[],
  { verb, ids }: HeldDecision,
  nowMs: number,
): { decided: number } {
  const wanted = ids === undefined ? undefined : new Set(ids);
  let decided = 0;
  for (const group of groups) {
    for (const { offset, held } of store.deadLetters.redriven(group.number)) {
      if (!held) continue;
      const read = wanted && store.deadLetters.content(group.number, offset);
      const id = read === undefined ? undefined : decodeEntry(read.entry).id;
      if (wanted !== undefined && !wanted.has(id ?? ownId(store, offset))) continue;
      const isDone =
        verb === "retry" ? group.poison.retry(offset, nowMs) : group.poison.skip(offset);
      if (isDone) decided++;
    }
  }
  return { decided };
}
