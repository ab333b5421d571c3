/**
 * Which queue a message goes to. A word (message group, producer id, dedup id, idempotency key) hashes to one of 4,096
 * slots and a slot to a queue; when a topic grows, only slots that move to a new queue move at all.
 */
import { LIMITS } from "../protocol/limits.ts";

/** FNV-1a over UTF-16 units with a final mix (32 bit). Part of the storage format: it never changes. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export const slotOf = (word: string): number => hash32(word) % LIMITS.slots;

/**
 * The queue of a slot among `queues`: jump consistent hashing (Lamping and Veach, 2014), driven by a small generator
 * seeded with the slot. Growing from n to m moves a slot only to a queue numbered n or higher.
 */
export function queueOfSlot(slot: number, queues: number): number {
  let state = Math.imul(slot + 1, 0x9e3779b1) >>> 0;
  let bucket = 0;
  let next = 0;
  while (next < queues) {
    bucket = next;
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    mixed = (mixed ^ (mixed >>> 12)) >>> 0;
    next = Math.floor((bucket + 1) * (0x1_0000_0000 / (mixed + 1)));
  }
  return bucket;
}

export const queueOfWord = (word: string, queues: number): number =>
  queues === 1 ? 0 : queueOfSlot(slotOf(word), queues);
