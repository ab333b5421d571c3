/**
 * What a queue lets go when its time is over: messages by age and bytes, decisions, fates, dead letters, producers and
 * traces. Each in bounded steps, inside a flush; when to look is the queue's.
 */
import { LIMITS } from "../protocol/limits.ts";
import type { BeforeDrop } from "./log/segments.ts";
import type { QueueStore } from "./store.ts";

/** Pages of producers that one round looks at. */
const PRODUCER_PAGES_SWEPT = 4;

/** Drops what retention allows, at most that many segments; answers whether more may go at once. */
export function retain(store: QueueStore, nowMs: number, segmentsMax: number): boolean {
  const { retentionMs, retentionBytes } = store.route.settings;
  let to = store.messages.first;
  let excess = store.messages.bytes - retentionBytes;
  // Most looks end here: nothing is read as long as the oldest may stay.
  if ((store.messages.firstStoredAt ?? Infinity) + retentionMs > nowMs && excess <= 0) return false;
  let dropped = 0;
  for (const segment of store.messages.oldest(segmentsMax)) {
    const end = segment.first + segment.count;
    if (segment.storedAt + retentionMs > nowMs && excess <= 0) break;
    if (store.groups.holdsBetween(segment.first, end)) break;
    excess -= segment.bytes;
    to = end;
    dropped++;
  }
  if (dropped === 0) return false;
  for (const group of store.groups) {
    const expired = group.state.truncate(to);
    if (expired > 0) store.ports.expired(group, expired);
  }
  store.sealKeys(nowMs);
  store.messages.truncate(to);
  const { cold, warm } = store.messages;
  store.bodies.doomRange("cold", 0, cold.firstBlock ?? warm.first, nowMs);
  return dropped === segmentsMax;
}

/** Large bodies that no message needs any more are marked, a bounded number; answers whether there may be more. */
export function sweepBodies(store: QueueStore, nowMs: number, max: number): boolean {
  if (store.bodies.isEmpty) return false;
  let groups: number[] | undefined;
  const isKept = (offset: number): boolean => {
    groups ??= Array.from(store.groups, ({ number }) => number);
    return store.deadLetters.hasCopy(groups, offset);
  };
  return store.bodies.sweep({ first: store.messages.first, isKept }, nowMs, max);
}

/** Old decisions, settled delays and old dead letters go. */
export function dropOld(store: QueueStore, nowMs: number): void {
  const keptMs = Math.max(store.route.settings.retentionMs, LIMITS.decisionMsMin);
  const beforeDrop =
    (log: "half" | "delayed"): BeforeDrop =>
    (from, to) => {
      store.sealKeys(nowMs);
      store.bodies.doomRange(log, from, to, nowMs);
    };
  store.halves.dropArchived(nowMs - keptMs, nowMs, beforeDrop("half"));
  store.delayed.dropSettled(nowMs - store.route.settings.retentionMs, beforeDrop("delayed"));
  store.deadLetters.dropBefore(nowMs - LIMITS.keptCopyMs);
  store.producers.sweep(nowMs, PRODUCER_PAGES_SWEPT);
  store.trace.sweep((family, first, end) => {
    if (family === "log") return end <= store.messages.first;
    return !(family === "half" ? store.halves : store.delayed).log.holds(first);
  });
}
