/**
 * Receiving from a queue, and looking without taking: the commands' bodies, run inside a flush. Nothing here waits.
 */
import { decodeEntry, entryWeight } from "../core/entry.ts";
import { receipt } from "../core/ids.ts";
import { decodeRecord, frame } from "../core/record.ts";
import type { Delivered, PeekCall, Peeked, ReceiveCall } from "../protocol/rpc.ts";
import type { Block } from "./cold/block.ts";
import type { Chosen } from "./delivery/chooser.ts";
import type { Group } from "./delivery/group.ts";
import { traceDelivered } from "./trace/delivery-trace.ts";
import type { QueueStore } from "./store.ts";

/** Entries that one peek looks at. */
const PEEK_SCAN_MAX = 20_000;

export type Received =
  | { readonly is: "delivered"; readonly delivered: Delivered }
  /** Nothing now: the caller may wait. */
  | { readonly is: "empty"; readonly paused: boolean; readonly more: boolean }
  /** The scan goes on in the next flush. */
  | { readonly is: "unfinished" }
  /** Nothing before the block is fetched. */
  | { readonly is: "cold"; readonly block: Block };

export function receive(
  store: QueueStore,
  group: Group,
  call: ReceiveCall,
  nowMs: number,
): Received {
  group.seen(call.consumerId, nowMs);
  group.promote(nowMs);
  const attempt = call.attempt === undefined ? undefined : group.state.attempts.get(call.attempt);
  if (attempt !== undefined && attempt.until > nowMs) {
    const held = attempt.items.flatMap((item) => heldBy(store, group, item, nowMs));
    if (held.length > 0) attempt.isRepeated = true;
    return { is: "delivered", delivered: delivered(store, group, held) };
  }
  if (call.replayOnly === true || group.isStopped)
    return { is: "empty", paused: group.route.paused, more: group.mayHave };
  const { chosen, unfinished, coldAt } = group.receive(call, nowMs);
  if (unfinished) return { is: "unfinished" };
  if (chosen.length === 0 && coldAt !== undefined)
    return { is: "cold", block: store.messages.cold.blockAt(coldAt) };
  if (chosen.length === 0) return { is: "empty", paused: false, more: group.mayHave };
  if (store.trace.enabled) traceDelivered(store.trace, group.number, chosen);
  if (call.attempt !== undefined) {
    group.state.rememberAttempt(
      call.attempt,
      { until: nowMs + call.invisibleMs, items: chosen },
      nowMs,
    );
  }
  return { is: "delivered", delivered: delivered(store, group, chosen) };
}

/** A message of an attempt, if the attempt's own lease on it still lives. */
function heldBy(
  store: QueueStore,
  group: Group,
  item: { offset: number; generation: number },
  nowMs: number,
): Chosen[] {
  const standing = group.standing(item.offset, item.generation);
  if (standing.is !== "live" || !standing.flight.leased || standing.flight.dueAt <= nowMs)
    return [];
  const read =
    store.deadLetters.content(group.number, item.offset) ?? store.messages.held(item.offset);
  if (read === undefined) return [];
  const { attempt, dueAt } = standing.flight;
  return [{ ...item, ...read, attempt, invisibleUntil: dueAt }];
}

function delivered(store: QueueStore, group: Group, chosen: readonly Chosen[]): Delivered {
  const { incarnation, queue } = store;
  const { epoch } = group.state;
  return {
    entries: frame(chosen.map(({ entry }) => entry)),
    offsets: chosen.map(({ offset }) => offset),
    storedAts: chosen.map(({ storedAt }) => storedAt),
    attempts: chosen.map(({ attempt }) => attempt),
    receipts: chosen.map(({ offset, generation }) =>
      receipt({ incarnation, queue, group: group.number, epoch, generation, offset }),
    ),
    invisibleUntils: chosen.map(({ invisibleUntil }) => invisibleUntil),
    paused: group.route.paused,
    more: group.mayHave,
  };
}

export const nothing = (paused: boolean, more = false): Delivered => ({
  entries: new Uint8Array(),
  offsets: [],
  storedAts: [],
  attempts: [],
  receipts: [],
  invisibleUntils: [],
  paused,
  more,
});

// ---------------------------------------------------------------- looking

export function peek(store: QueueStore, call: PeekCall): Peeked {
  const { messages } = store;
  let offset = Math.max(call.offset ?? 0, messages.first);
  if (call.from !== undefined) offset = Math.max(offset, messages.positionAt(call.from));
  const entries: Uint8Array[] = [];
  const offsets: number[] = [];
  const storedAts: number[] = [];
  let bytes = 0;
  let scanned = 0;
  for (
    ;
    offset < messages.next && offsets.length < call.limit && scanned < PEEK_SCAN_MAX;
    offset++, scanned++
  ) {
    const read = messages.read(offset);
    if (read === "cold") {
      // What was found so far is a page; without any, the call waits.
      if (scanned === 0) messages.miss(offset);
      else messages.goOn(offset);
      break;
    }
    if (read === undefined) continue;
    if (call.to !== undefined && read.storedAt >= call.to)
      return { entries: frame(entries), offsets, storedAts };
    if (
      call.key !== undefined &&
      decodeRecord(decodeEntry(read.entry).record).keys?.includes(call.key) !== true
    )
      continue;
    const weight = entryWeight(read.entry);
    if (offsets.length > 0 && bytes + weight > call.bytesMax) break;
    bytes += weight;
    entries.push(read.entry);
    offsets.push(offset);
    storedAts.push(read.storedAt);
  }
  const rest = offset < messages.next ? { nextOffset: offset } : {};
  return { entries: frame(entries), offsets, storedAts, ...rest };
}
