/**
 * Receiving, settling and looking at a queue: the commands' bodies, run inside a flush. Nothing here waits.
 */
import { decodeEntry } from "../core/entry.ts";
import { parseReceipt, receipt } from "../core/ids.ts";
import { decodeRecord, frame } from "../core/record.ts";
import type {
  Delivered,
  PeekCall,
  Peeked,
  QueueStats,
  ReceiveCall,
  Settled,
  SettleCall,
} from "../protocol/rpc.ts";
import type { Chosen } from "./delivery/chooser.ts";
import type { Group } from "./delivery/group.ts";
import type { Flight } from "./delivery/page.ts";
import type { QueueStore } from "./store.ts";

/** Entries that one peek looks at. */
const PEEK_SCAN_MAX = 20_000;

export type Received =
  | { readonly is: "delivered"; readonly delivered: Delivered }
  /** Nothing now: the caller may wait. */
  | { readonly is: "empty"; readonly paused: boolean }
  /** The scan goes on in the next flush. */
  | { readonly is: "unfinished" };

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
    return { is: "delivered", delivered: delivered(store, group, held) };
  }
  if (call.replayOnly === true || group.isStopped)
    return { is: "empty", paused: group.route.paused };
  const { chosen, unfinished } = group.receive(call, nowMs);
  if (unfinished) return { is: "unfinished" };
  if (chosen.length === 0) return { is: "empty", paused: false };
  if (store.trace.enabled) traceDelivered(store, group.route.number, chosen);
  if (call.attempt !== undefined) {
    group.state.rememberAttempt(
      call.attempt,
      { until: nowMs + call.invisibleMs, items: chosen },
      nowMs,
    );
  }
  return { is: "delivered", delivered: delivered(store, group, chosen) };
}

/** Consecutive messages with one attempt share an event. */
function traceDelivered(store: QueueStore, group: number, chosen: readonly Chosen[]): void {
  for (let at = 0; at < chosen.length;) {
    const { offset = 0, attempt = 0 } = chosen[at] ?? {};
    let count = 1;
    while (chosen[at + count]?.offset === offset + count && chosen[at + count]?.attempt === attempt)
      count++;
    store.trace.note("log", [offset, count], { kind: "delivered", group, value: attempt });
    at += count;
  }
}

function traceAcked(store: QueueStore, group: number, offsets: readonly number[]): void {
  const sorted = offsets.toSorted((one, other) => one - other);
  for (let at = 0; at < sorted.length;) {
    const first = sorted[at] ?? 0;
    let count = 1;
    while (sorted[at + count] === first + count) count++;
    store.trace.note("log", [first, count], { kind: "acked", group });
    at += count;
  }
}

function traceNacked(
  store: QueueStore,
  group: number,
  { offset, attempt, leased }: Flight,
  reason = "",
): void {
  if (leased)
    store.trace.note("log", [offset, 1], { kind: "nacked", group, value: attempt, reason });
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
    store.deadLetters.content(group.route.number, item.offset) ?? store.messages.read(item.offset);
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
      receipt({ incarnation, queue, group: group.route.number, epoch, generation, offset }),
    ),
    invisibleUntils: chosen.map(({ invisibleUntil }) => invisibleUntil),
    paused: group.route.paused,
    more: group.mayHave,
  };
}

export const nothing = (paused: boolean): Delivered => ({
  entries: new Uint8Array(),
  offsets: [],
  storedAts: [],
  attempts: [],
  receipts: [],
  invisibleUntils: [],
  paused,
  more: false,
});

export function settle(
  store: QueueStore,
  group: Group,
  call: SettleCall,
  nowMs: number,
): Settled[] {
  group.seen(undefined, nowMs);
  group.promote(nowMs);
  const acked: number[] = [];
  const results = call.receipts.map((text): Settled => {
    const address = parseReceipt(text);
    const foreign =
      address === undefined ||
      address.incarnation !== store.incarnation ||
      address.queue !== store.queue;
    if (foreign) return { receipt: text, ok: false, code: "receipt_invalid" };
    if (address.group !== group.route.number) {
      // Numbers are never given twice: one that nobody has belonged to a group that was deleted.
      const others = [...store.groups.values()].some(({ route }) => route.number === address.group);
      return { receipt: text, ok: false, code: others ? "receipt_invalid" : "receipt_expired" };
    }
    if (address.epoch > group.state.epoch) {
      return { receipt: text, ok: false, code: "receipt_invalid" };
    }
    if (address.epoch < group.state.epoch)
      return { receipt: text, ok: false, code: "receipt_expired" };
    const standing = group.standing(address.offset, address.generation);
    if (standing.is === "unknown") return { receipt: text, ok: false, code: "receipt_invalid" };
    if (standing.is === "stale") return { receipt: text, ok: false, code: "receipt_expired" };
    if (call.verb === "ack") {
      if (standing.is === "live") acked.push(address.offset);
      return { receipt: text, ok: true };
    }
    if (standing.is === "done" || acked.includes(address.offset))
      return { receipt: text, ok: false, code: "receipt_expired" };
    if (call.verb === "nack") {
      traceNacked(store, group.route.number, standing.flight, call.reason);
      group.nack(standing.flight, call, nowMs);
      return { receipt: text, ok: true };
    }
    if (call.verb === "release") {
      group.release(standing.flight, nowMs, call.delayMs);
      return { receipt: text, ok: true };
    }
    const invisibleUntil = nowMs + (call.invisibleMs ?? group.route.settings.invisibleMs);
    if (!group.extend(standing.flight, invisibleUntil))
      return { receipt: text, ok: false, code: "receipt_expired" };
    return { receipt: text, ok: true, extended: { receipt: text, invisibleUntil } };
  });
  if (acked.length > 0) {
    const offsets = [...new Set(acked)];
    group.ack(offsets);
    if (store.trace.enabled) traceAcked(store, group.route.number, offsets);
  }
  return results;
}

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
    if (read === undefined) continue;
    if (call.to !== undefined && read.storedAt >= call.to)
      return { entries: frame(entries), offsets, storedAts };
    if (
      call.key !== undefined &&
      decodeRecord(decodeEntry(read.entry).record).keys?.includes(call.key) !== true
    )
      continue;
    if (offsets.length > 0 && bytes + read.entry.length > call.bytesMax) break;
    bytes += read.entry.length;
    entries.push(read.entry);
    offsets.push(offset);
    storedAts.push(read.storedAt);
  }
  const rest = offset < messages.next ? { nextOffset: offset } : {};
  return { entries: frame(entries), offsets, storedAts, ...rest };
}

export function stats(store: QueueStore, nowMs: number): QueueStats {
  const { messages, halves } = store;
  return {
    queue: store.queue,
    firstOffset: messages.first,
    nextOffset: messages.next,
    bytes: messages.bytes,
    prepared: halves.open.size,
    delayed: store.delayed.count,
    forwarding: store.links.pending,
    groups: [...store.groups.values()].map((group) => groupStats(store, group, nowMs)),
    transactions: { prepared: halves.open.size, ...halves.counts },
  };
}

function groupStats(store: QueueStore, group: Group, nowMs: number): QueueStats["groups"][number] {
  const { state, route } = group;
  let inFlight = 0;
  let retrying = 0;
  const redriven = [...store.deadLetters.redriven(route.number)];
  for (const flight of [...state.flights(), ...redriven]) {
    if (flight.leased && flight.dueAt > nowMs && flight.attempt > 0) inFlight++;
    else if (!("held" in flight && flight.held)) retrying++;
  }
  const oldest = group.lowWater(store.messages.next);
  const storedAt =
    store.deadLetters.content(route.number, oldest)?.storedAt ??
    (oldest < store.messages.next ? store.messages.read(oldest)?.storedAt : undefined);
  return {
    group: route.name,
    lag: group.lag,
    lagExact: route.settings.filter === undefined || state.cursor >= store.messages.next,
    inFlight,
    retrying,
    deadLetters: store.deadLetters.count(route.number),
    poisoned: store.deadLetters.heldCount(route.number),
    expired: state.expired,
    oldestUnackedAgeMs: storedAt === undefined ? 0 : Math.max(0, nowMs - storedAt),
    consumers: [...group.consumers].map(([consumerId, lastSeenAt]) => ({ consumerId, lastSeenAt })),
    ...(group.lastSeenAt === 0 ? {} : { lastSeenAt: group.lastSeenAt }),
  };
}
