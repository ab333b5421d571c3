/**
 * Arithmetic of size: what one object bears, and what follows for queues, groups, storage, the registry and the coordinators.
 * Published limits are named with their source in docs/scale.md; where HalfMQ's own numbers enter, they are imported.
 */
import { LIMITS, DEFAULTS } from "../../src/protocol/limits.ts";
import { OPEN_MAX } from "../../src/coordinator/coordinator.ts";

/** Published: 500 to 750 requests a second to one object for work on JSON, 200 to 500 with a write in each. */
export const OBJECT_OPS_PER_SECOND = 500;
/** An object that is asked more than this for long has no room for a burst. */
const USED_SHARE = 0.7;
/** Published: what one object may store. */
const OBJECT_BYTES = 10e9;
/** What a message of 256 bytes takes beside its body, with its share of the deltas (`npm run cost`, batched). */
const OVERHEAD_BYTES = 6;

/** Messages of a receive and of an ack. */
const RECEIVED_TOGETHER = 16;

/** Calls to the queue's object for a message. */
export const callsPerMessage = (sentTogether: number, groups: number): number =>
  1 / sentTogether + (2 * groups) / Math.max(RECEIVED_TOGETHER, sentTogether);

/** What one queue takes, by its calls. */
export const queueRate = (sentTogether: number, groups: number): number =>
  (OBJECT_OPS_PER_SECOND * USED_SHARE) / callsPerMessage(sentTogether, groups);

/** What one queue can keep for so long, by its bytes; the default of a topic's `retentionBytes`. */
export const keptRate = (bodyBytes: number, retentionMs: number): number =>
  Math.min(DEFAULTS.retentionBytes, OBJECT_BYTES) /
  (bodyBytes + OVERHEAD_BYTES) /
  (retentionMs / 1_000);

/** Queues for a load; more than a topic may have means several topics. */
export function queuesFor(load: {
  readonly perSecond: number;
  readonly sentTogether: number;
  readonly groups: number;
  readonly bodyBytes: number;
  readonly retentionMs: number;
}): { byCalls: number; byBytes: number; queues: number } {
  const byCalls = Math.ceil(load.perSecond / queueRate(load.sentTogether, load.groups));
  const byBytes = Math.ceil(load.perSecond / keptRate(load.bodyBytes, load.retentionMs));
  return { byCalls, byBytes, queues: Math.max(byCalls, byBytes) };
}

/**
 * Reads of one registry a second: each isolate asks again for each key every `keyCacheMs`, and once for each topic in its life.
 */
export const registryReads = (fleet: {
  readonly isolates: number;
  readonly keysEach: number;
  readonly topicsEach: number;
  readonly lifeMs: number;
  readonly keyCacheMs: number;
}): { keys: number; routes: number } => ({
  keys: (fleet.isolates * fleet.keysEach) / (fleet.keyCacheMs / 1_000),
  routes: (fleet.isolates * fleet.topicsEach) / (fleet.lifeMs / 1_000),
});

/** Until every isolate that uses a topic has read its change, when the registry does nothing else. */
export const spreadSeconds = (isolates: number): number => isolates / OBJECT_OPS_PER_SECOND;

/** Webhook checks of one producer group a second. */
export const checksPerSecond = (answerMs: number): number => OPEN_MAX / (answerMs / 1_000);

/** Long polls a second at the bell of a topic whose waiters all wait their whole time. */
export const bellCalls = (waiters: number): number => waiters / (LIMITS.waitMsMax / 1_000);
