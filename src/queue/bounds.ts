/** How much one queue object holds before it refuses: numbers that a test may make small. It knows no rule. */
import { LIMITS } from "../protocol/limits.ts";

export interface QueueBounds {
  /** Producers, counted per message group. */
  readonly producersMax: number;
  /** Idempotency keys and dedup ids. */
  readonly keysMax: number;
}

export const BOUNDS: QueueBounds = {
  producersMax: LIMITS.producersMax,
  keysMax: LIMITS.keysHeldMax,
};
