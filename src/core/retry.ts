/** When a failed delivery comes back. Pure. */
import type { Backoff } from "../protocol/topic.ts";

/** The share of a formula's delay that chance may add, so that what failed together does not come again together. */
const JITTER = 0.2;

/**
 * The delay after a message's n-th failed delivery (from 1). A formula's is never below what it says, `maxMs` included, and
 * at most a fifth above; `random` (0 to below 1) says where. A list is exact and repeats its last entry.
 */
export function backoffMs(backoff: Backoff, failures: number, random: number): number {
  if ("delaysMs" in backoff) {
    return backoff.delaysMs[Math.min(failures, backoff.delaysMs.length) - 1] ?? 0;
  }
  const delayMs = Math.min(backoff.initialMs * backoff.factor ** (failures - 1), backoff.maxMs);
  return Math.round(delayMs * (1 + JITTER * random));
}
