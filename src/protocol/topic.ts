/**
 * The settings of topics, groups and producer groups as the wire shows them, with their defaults filled in.
 * Shapes only: validation is the API's, storage the registry's.
 */
import { DEFAULTS } from "./limits.ts";

/** When an undecided transaction is asked after, and when it is given up. */
export interface CheckPolicy {
  /** From prepare to the first check. */
  readonly timeoutMs: number;
  /** From one check to the next, and from the last to the discard. */
  readonly intervalMs: number;
  readonly maxChecks: number;
}

export interface TopicSettings {
  readonly queues: number;
  readonly retentionMs: number;
  /** Per queue. */
  readonly retentionBytes: number;
  readonly transaction: CheckPolicy;
  readonly dedupWindowMs: number;
  /** Messages waiting per queue for the slowest group before sends are refused; absent means no bound. */
  readonly maxBacklog?: number;
  readonly durability: "disk" | "memory";
  readonly trace: boolean;
  /** Milliseconds a flush may wait for company (0–50); raising it trades latency for fewer rows. */
  readonly flushSpacingMs: number;
}

export const TOPIC_DEFAULTS: TopicSettings = {
  queues: DEFAULTS.queues,
  retentionMs: DEFAULTS.retentionMs,
  retentionBytes: DEFAULTS.retentionBytes,
  transaction: {
    timeoutMs: DEFAULTS.checkTimeoutMs,
    intervalMs: DEFAULTS.checkIntervalMs,
    maxChecks: DEFAULTS.checksMax,
  },
  dedupWindowMs: DEFAULTS.dedupWindowMs,
  durability: "disk",
  trace: false,
  flushSpacingMs: 0,
};

export type Backoff =
  | { readonly initialMs: number; readonly factor: number; readonly maxMs: number }
  | { readonly delaysMs: readonly number[] };

export type Filter = { readonly tags: readonly string[] } | { readonly sql: string };

export interface GroupSettings {
  readonly startFrom: "earliest" | "latest" | number;
  readonly invisibleMs: number;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly ordered: boolean;
  readonly onPoison: "deadLetter" | "block";
  readonly filter?: Filter;
  readonly mode: "shared" | "broadcast";
}

export const GROUP_DEFAULTS: GroupSettings = {
  startFrom: "earliest",
  invisibleMs: DEFAULTS.invisibleMs,
  maxAttempts: DEFAULTS.maxAttempts,
  backoff: {
    initialMs: DEFAULTS.backoffInitialMs,
    factor: DEFAULTS.backoffFactor,
    maxMs: DEFAULTS.backoffMaxMs,
  },
  ordered: false,
  onPoison: "deadLetter",
  mode: "shared",
};

/** Who is asked how a local transaction ended; without a target the checks wait in the group's mailbox. */
export type CheckTarget =
  | { readonly url: string; readonly timeoutMs: number }
  | { readonly binding: string; readonly timeoutMs: number };
