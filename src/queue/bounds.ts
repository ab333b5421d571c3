/** How much one queue object holds before it refuses, or writes it elsewhere: numbers that a test may make small. It knows no rule. */
import { LIMITS } from "../protocol/limits.ts";

export interface QueueBounds {
  /** Producers, counted per message group. */
  readonly producersMax: number;
  /** Undecided transactions: each stands in memory. */
  readonly preparedMax: number;
  /** Committed messages on their way to other queues: likewise. A commit may go past it, a prepare does not begin there. */
  readonly forwardingMax: number;
  /** Storage that leaves room for acks, commits and what is due. */
  readonly storedBytesMax: number;
  /** Idempotency keys and dedup ids. */
  readonly keysMax: number;
  /** The share of it past which old segments go to the bucket, where there is one. */
  readonly warmShare: number;
  /** How old they are then, at least. */
  readonly coldAfterMs: number;
  /** About the bytes of segments that go together; a copy of them fits into a row. */
  readonly blockBytes: number;
  /** Blocks of them in memory, in bytes: a few that arrive together have room. */
  readonly fetchedBytesMax: number;
  /** Deltas in the journal's ring; a page is rewritten at most once in as many flushes. Never changed over stored data. */
  readonly ringDeltas: number;
}

export const BOUNDS: QueueBounds = {
  producersMax: LIMITS.producersMax,
  preparedMax: LIMITS.preparedMax,
  forwardingMax: LIMITS.preparedMax,
  storedBytesMax: LIMITS.queueBytesMax,
  keysMax: LIMITS.keysHeldMax,
  warmShare: 0.5,
  coldAfterMs: 60 * 60_000,
  blockBytes: 1_400_000,
  fetchedBytesMax: 8 * 1024 * 1024,
  ringDeltas: 1_024,
};
