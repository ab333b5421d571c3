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
  /** Texts by name, of no meaning to the broker: who owns the topic, what a door keeps of it. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** What a request says of a topic: what is left out stays as it is, and so does each label; null takes a label away. */
export type TopicPatch = Partial<Omit<TopicSettings, "labels">> & {
  readonly labels?: Readonly<Record<string, string | null>>;
};

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

/** Where a group's messages are pushed to, and how fast. */
export type PushSettings = PushPacing &
  ({ readonly url: string } | { readonly binding: string }) & {
    /** The endpoint answered 410: nothing is pushed until `push` is set again. */
    readonly disabled?: { readonly at: number; readonly reason: string };
  };

export interface PushPacing {
  /** The most messages of one call. */
  readonly maxMessages: number;
  /** Calls open at a time, for the group as a whole. */
  readonly concurrency: number;
  /** Over a whole call, its answer included. */
  readonly timeoutMs: number;
  /** Messages a second, for the group as a whole; absent: as fast as calls come back. */
  readonly ratePerSecond?: number;
  /** What a URL is sent; absent: `messages`. */
  readonly format?: PushFormat;
  /** Who asks a URL whether it wants to be called, before the first call; absent: nobody does. */
  readonly handshakeOrigin?: string;
}

/** HalfMQ's own batches, or one event of CloudEvents a call. */
export const PUSH_FORMATS = ["messages", "cloudevents-structured", "cloudevents-binary"] as const;
export type PushFormat = (typeof PUSH_FORMATS)[number];

/**
 * What a request says of a push: the rest stays as it is. `ratePerSecond` 0, the format `messages` and an empty
 * `handshakeOrigin` take away what was set.
 */
export type PushPatch = {
  readonly [K in keyof PushPacing]?: PushPacing[K] | undefined;
} & { readonly url?: string | undefined; readonly binding?: string | undefined };

export interface GroupSettings {
  readonly startFrom: "earliest" | "latest" | number;
  readonly invisibleMs: number;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly ordered: boolean;
  readonly onPoison: "deadLetter" | "block";
  readonly filter?: Filter;
  /** The most that consumers have at a time; 0: no limit. */
  readonly maxInFlight: number;
  /** Deliveries a second, repeated ones included; 0: no limit. */
  readonly ratePerSecond: number;
  /** The most of one message group that consumers have at a time, without order; 0: no limit. */
  readonly messageGroupConcurrency: number;
  readonly mode: "shared" | "broadcast";
  readonly push?: PushSettings;
}

/** What a request says of a group: what is left out stays as it is. */
export type GroupPatch = Partial<Omit<GroupSettings, "push">> & { readonly push?: PushPatch };

export const PUSH_DEFAULTS: PushPacing = {
  maxMessages: DEFAULTS.maxMessages,
  concurrency: DEFAULTS.pushConcurrency,
  timeoutMs: DEFAULTS.pushTimeoutMs,
};

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
  maxInFlight: 0,
  ratePerSecond: 0,
  messageGroupConcurrency: 0,
  mode: "shared",
};

/** Who is asked how a local transaction ended; without a target the checks wait in the group's mailbox. */
export type CheckTarget =
  | { readonly url: string; readonly timeoutMs: number }
  | { readonly binding: string; readonly timeoutMs: number };
