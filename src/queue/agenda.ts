/**
 * When a queue must wake next: one look over everything that can become due, for the one alarm [Q1]. It arms nothing and
 * does nothing that is due.
 */
import type { Attendants } from "./waiting/attendants.ts";
import type { BucketWork } from "./bucket-work.ts";
import type { Drains } from "./links/drains.ts";
import type { Redrives } from "./redriving.ts";
import type { QueueStore } from "./store.ts";

/** The earliest instant at which something of the queue is due; Infinity when nothing ever is. */
export function nextDueAt(
  {
    store,
    attendants,
    drains,
    redrives,
    bucketWork,
    retainAt,
  }: {
    store: QueueStore;
    attendants: Attendants;
    drains: Drains;
    redrives: Redrives;
    bucketWork: BucketWork;
    retainAt: number;
  },
  nowMs: number,
): number {
  const dues = [store.links.nextDueAt(nowMs), bucketWork.nextDueAt(nowMs)];
  if (store.identity?.dropping !== true) {
    dues.push(drains.nextDueAt(nowMs), store.groups.nextDueAt(), redrives.nextDueAt());
    for (const group of store.groups) dues.push(attendants.watchAt(group, nowMs));
    dues.push(store.delayed.index.next(), store.halves.open.nextDueAt());
    dues.push(store.bodies.expectedUntil);
    const { firstStoredAt } = store.messages;
    if (firstStoredAt !== undefined)
      dues.push(Math.max(firstStoredAt + store.route.settings.retentionMs, retainAt));
  }
  return dues.reduce<number>((earliest, due) => Math.min(earliest, due ?? Infinity), Infinity);
}
