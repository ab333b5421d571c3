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
  /** Deltas in the journal's ring; a page is rewritten at most once in as many flushes. Never changed over stored data. */
  readonly ringDeltas: number;
}

export const BOUNDS: QueueBounds = {
  producersMax: LIMITS.producersMax,
  preparedMax: LIMITS.preparedMax,
  forwardingMax: LIMITS.preparedMax,
  storedBytesMax: LIMITS.queueBytesMax,
  keysMax: LIMITS.keysHeldMax,
  ringDeltas: 1_024,
};
