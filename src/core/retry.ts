/** When a failed delivery comes back. Pure. */
import type { Backoff } from "../protocol/topic.ts";

/** The delay after a message's n-th failed delivery (from 1). A list repeats its last entry; an empty one means at once. */
export function backoffMs(backoff: Backoff, failures: number): number {
  if ("delaysMs" in backoff) {
    return backoff.delaysMs[Math.min(failures, backoff.delaysMs.length) - 1] ?? 0;
  }
  const delayMs = backoff.initialMs * backoff.factor ** (failures - 1);
  return Math.round(Math.min(delayMs, backoff.maxMs));
}
