/**
 * What comes out of a queue, as its calls carry it: leased batches and what became of them, and all that only looks.
 * Plain data that survives structured cloning; instants are epoch milliseconds.
 */
import type { ReceiptCode } from "./errors.ts";
import type { TransactionState } from "./producing.ts";
import type { Stamp } from "./route.ts";

// ---------------------------------------------------------------- queue: consuming

export interface ReceiveCall {
  readonly stamp: Stamp;
  readonly group: string;
  readonly maxMessages: number;
  readonly invisibleMs: number;
  /** Held open in the object until something is visible; only for topics of one queue. */
  readonly waitMs: number;
  readonly bytesMax: number;
  /** In an ordered group: no two messages of a message group, so that one which fails holds the next. */
  readonly onePerMessageGroup?: boolean;
  /** Names this wait for `cancelWait`. */
  readonly waitId?: string;
  /** SHA-256 prefix of the attemptId as 16 hex characters. */
  readonly attempt?: string;
  /** Answer only what this attempt already holds; lease nothing. */
  readonly replayOnly?: boolean;
  readonly consumerId?: string;
}

/** A leased batch in columns; index i of each belongs to message i. */
export interface Delivered {
  /** `frame()` of entries. */
  readonly entries: Uint8Array;
  readonly offsets: readonly number[];
  readonly storedAts: readonly number[];
  /** From 1. */
  readonly attempts: readonly number[];
  readonly receipts: readonly string[];
  readonly invisibleUntils: readonly number[];
  readonly paused: boolean;
  /**
   * Messages that are visible right now beyond these, as far as known without a scan. When there are none, the next one
   * that comes rings the bell.
   */
  readonly more: boolean;
}

export interface SettleCall {
  readonly stamp: Stamp;
  readonly group: string;
  /** `release`: the answer with them never left; they are visible again as if they had not been delivered. */
  readonly verb: "ack" | "nack" | "extend" | "release";
  readonly receipts: readonly string[];
  /** nack, and release: not visible before */
  readonly delayMs?: number;
  /** release: what they were leased under. Once that was repeated, another request answers with them, and they stay leased. */
  readonly attempt?: string;
  readonly reason?: string;
  readonly retry?: boolean;
  /** nack: the bucket has not the body. Until the queue believes that, it is a release. */
  readonly missing?: true;
  /** extend */
  readonly invisibleMs?: number;
}

export type Settled =
  | {
      readonly receipt: string;
      readonly ok: true;
      readonly extended?: { readonly receipt: string; readonly invisibleUntil: number };
    }
  | { readonly receipt: string; readonly ok: false; readonly code: ReceiptCode };

/** A consumer of a broadcast group, at every queue. */
export interface JoinCall {
  readonly stamp: Stamp;
  readonly group: string;
  readonly consumerId: string;
  /** What queue 0 said, to any other queue. */
  readonly membership?: Joined;
}

export interface Joined {
  /** Names this membership: a consumer that was forgotten and comes back has another. */
  readonly home: number;
  /** How many queues the topic had then; later ones are read from their beginning. */
  readonly queues: number;
}

/** A queue has something visible for a group: for anybody of it, or, of a broadcast group, for these. */
export interface RingCall {
  readonly incarnation: number;
  readonly group: number;
  readonly queue: number;
  readonly count: number;
  readonly consumerIds?: readonly string[];
}

/** Queue `from` has finished everything below its fence for an ordered group, or for one consumer of it. */
export interface DrainedCall {
  readonly incarnation: number;
  readonly group: number;
  readonly from: number;
  readonly consumerId?: string;
}

export interface BellCall {
  readonly stamp: Stamp;
  readonly group: string;
  /** Whose wait it is, in a broadcast group. */
  readonly consumerId?: string;
  readonly waitMs: number;
  /** Names this wait for `cancelWait`. */
  readonly waitId?: string;
  /** When the poll began to ask the queues: what rang before then is no news to it. */
  readonly askedAt: number;
  /** As far as the caller has heard the bell already: only later rings are news to it, whenever it asked. */
  readonly after?: BellMark;
}

/** How far a bell was heard: its rings are numbered, anew in each life of its object. */
export interface BellMark {
  readonly life: number;
  readonly number: number;
}

/** What a bell tells who waited: the queues that rang since, the last first. */
export interface Rung {
  readonly rings: readonly { readonly queue: number; readonly number: number }[];
  /** All later rings are among `rings`. */
  readonly since: number;
  readonly mark: BellMark;
  /** The bell does not remember what rang after the mark that it was given: every queue must be asked. */
  readonly isLost?: true;
}

// ---------------------------------------------------------------- queue: looking

export interface PeekCall {
  readonly stamp: Stamp;
  /** Start here; absent: from the oldest. */
  readonly offset?: number;
  readonly from?: number;
  readonly to?: number;
  readonly key?: string;
  readonly limit: number;
  readonly bytesMax: number;
}

export interface Peeked {
  /** `frame()` of entries. */
  readonly entries: Uint8Array;
  readonly offsets: readonly number[];
  readonly storedAts: readonly number[];
  /** Go on here; absent at the end. */
  readonly nextOffset?: number;
}

export interface MessageView {
  readonly id: string;
  readonly topic: string;
  readonly queue: number;
  readonly offset?: number;
  readonly state: "delayed" | "ready" | "recalled" | "expired";
  readonly sentAt: number;
  readonly storedAt?: number;
  readonly deliverAt?: number;
  readonly groups: readonly {
    readonly group: string;
    readonly state: "waiting" | "leased" | "retrying" | "acked" | "deadLettered";
    readonly deliveryAttempt: number;
    readonly dueAt?: number;
    /** Of a broadcast group, each of its consumers. */
    readonly consumerId?: string;
  }[];
  /** On a topic with `trace`: what happened, in order. */
  readonly events?: readonly TraceEvent[];
}

/** One thing that happened to a message. */
export interface TraceEvent {
  readonly type:
    | "prepared"
    | "checked"
    | "committed"
    | "rolledBack"
    | "discarded"
    | "forwarded"
    | "delayed"
    | "retimed"
    | "recalled"
    | "stored"
    | "delivered"
    | "acked"
    | "nacked"
    | "leaseExpired"
    | "held"
    | "deadLettered"
    | "redriven"
    | "expired";
  readonly at: number;
  readonly group?: string;
  /** Whose delivery it was, in a broadcast group. */
  readonly consumerId?: string;
  readonly deliveryAttempt?: number;
  /** Number of a check. */
  readonly attempt?: number;
  readonly reason?: string;
  readonly by?: string;
  readonly deliverAt?: number;
}

/** A message that is asked for by its id; `at` when another queue has said where it stands here. */
export interface MessageCall {
  readonly stamp: Stamp;
  readonly id: string;
  readonly at?: MessagePlace;
}

/** An offset of the log, or a position among the delayed messages. */
export type MessagePlace = { readonly offset: number } | { readonly delayed: number };

export type Located =
  | { readonly is: "here" }
  | {
      readonly is: "elsewhere";
      readonly topic: string;
      readonly incarnation: number;
      readonly queue: number;
      readonly at: MessagePlace;
      /** What happened before it went there. */
      readonly events?: readonly TraceEvent[];
    };

/** What a group, or one consumer of a broadcast group, has before it. */
export interface DeliveryFigures {
  readonly lag: number;
  readonly inFlight: number;
  readonly retrying: number;
  readonly deadLetters: number;
  /** Out of attempts and held in their place (onPoison "block"). */
  readonly poisoned: number;
  readonly expired: number;
  readonly oldestUnackedAgeMs: number;
}

/** The figures stand there for the consumers of a broadcast group. */
export interface ConsumerStats extends Partial<DeliveryFigures> {
  readonly consumerId: string;
  readonly lastSeenAt: number;
}

export interface QueueStats {
  readonly queue: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
  readonly bytes: number;
  /** Of `bytes`, what is in the bucket. */
  readonly coldBytes: number;
  /** Since when the bucket has not given what was asked of it; absent: it gave, or was not asked. */
  readonly coldUnreachableAt?: number;
  readonly prepared: number;
  /** Of these, transactions whose last check nobody answered as he should. */
  readonly failingChecks: number;
  readonly delayed: number;
  /** Messages of committed transactions still to be forwarded to other queues. */
  readonly forwarding: number;
  readonly groups: readonly (DeliveryFigures & {
    readonly group: string;
    readonly lagExact: boolean;
    readonly consumers: readonly ConsumerStats[];
    readonly lastSeenAt?: number;
  })[];
  readonly transactions: Readonly<Record<TransactionState, number>>;
}

interface DeadLetterView {
  readonly offset: number;
  readonly storedAt: number;
  readonly deadAt: number;
  readonly attempts: number;
  readonly reason: string;
  /** Whose it is, in a broadcast group. */
  readonly consumerId?: string;
}

export interface DeadLetters {
  /** `frame()` of entries. */
  readonly entries: Uint8Array;
  readonly items: readonly DeadLetterView[];
  readonly cursor?: string;
}

/** Where a seek goes at one queue. */
export type SeekTo = "earliest" | "latest" | { readonly at: number } | { readonly offset: number };

/** What an operator says of a redrive at a rate, or asks about it. Absent ids: all that is dead. */
export type RedriveOrder =
  /** How many there would be. */
  | { readonly verb: "count"; readonly ids?: readonly string[] }
  | {
      readonly verb: "start";
      readonly ids?: readonly string[];
      /** Of the group over all queues; this queue has `share` of it, from 0 for none to 1. */
      readonly ratePerSecond: number;
      readonly share: number;
      /** Before the first, so that queues take turns. */
      readonly delayMs: number;
    }
  | { readonly verb: "read" }
  | { readonly verb: "stop" };

export interface RedriveProgress {
  readonly state: "none" | "running" | "stopped" | "done";
  readonly ratePerSecond?: number;
  readonly startedAt?: number;
  readonly redriven: number;
  /** Dead letters that it has not come to. */
  readonly remaining: number;
}

/** What becomes of poisoned messages that are held; absent ids: of all. */
export interface HeldDecision {
  readonly verb: "retry" | "skip";
  readonly ids?: readonly string[];
  readonly consumerId?: string;
}

/** A message that holds its message group back, or only itself. */
export interface BlockedView {
  readonly id: string;
  readonly queue: number;
  readonly offset: number;
  readonly storedAt: number;
  readonly messageGroup?: string;
  /** `growing`: the message group came from another queue, which has not finished with it. */
  readonly state: "inFlight" | "retrying" | "poisoned" | "growing";
  /** Deliveries so far. */
  readonly deliveryAttempt: number;
  /** When its lease ends (inFlight), or when it comes again (retrying). */
  readonly dueAt?: number;
  /** Whom it is held for, in a broadcast group. */
  readonly consumerId?: string;
  /** Where the list goes on behind it. */
  readonly cursor: string;
  /** Why the last delivery failed; of a poisoned one. */
  readonly reason?: string;
  readonly formerQueue?: number;
  /** Messages of the message group known to wait behind it; with `more`, there are others. */
  readonly waiting: number;
  readonly more: boolean;
}
