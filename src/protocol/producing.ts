/**
 * What goes into a queue, as its calls carry it: messages, transactions, the checks of these, and what other queues
 * forward. Plain data that survives structured cloning; instants are epoch milliseconds.
 */
import type { Refusal } from "./errors.ts";
import type { CheckPolicy } from "./topic.ts";
import type { Stamp } from "./route.ts";

// ---------------------------------------------------------------- queue: sending

/** A request's Idempotency-Key, hashed with namespace, method and path, and its body, hashed. */
export interface Keyed {
  /** First 16 bytes of SHA-256(namespace \0 method \0 path \0 key). */
  readonly key: Uint8Array;
  /** First 8 bytes of SHA-256(body). */
  readonly body: Uint8Array;
}

export interface SendCall {
  readonly stamp: Stamp;
  /** `frame()` of encoded records, in request order. */
  readonly records: Uint8Array;
  readonly keyed?: Keyed;
  /** What former queues know of each record's producer; given once they were asked. */
  readonly former?: readonly (ProducerSeat | undefined)[];
}

/** A producer within a message group. */
export interface ProducerOf {
  readonly id: string;
  readonly messageGroup?: string;
}

/** The last message that was taken of it. */
export interface ProducerSeat {
  readonly epoch: number;
  readonly sequence: number;
}

export interface SentMessage {
  /** Absent for a duplicate of a producer whose first place is not remembered any more. */
  readonly id?: string;
  /** The queue it stands in; only for `duplicate` may it be another than the one asked. */
  readonly queue: number;
  /** Absent while delayed. */
  readonly offset?: number;
  readonly state: "ready" | "delayed" | "duplicate";
  readonly deliverAt?: number;
}

/** Messages that got offsets one behind the other, as nearly all do: their ids follow from these. */
export interface SentRun {
  readonly first: number;
  readonly count: number;
}

export interface Sent {
  readonly messages: readonly SentMessage[];
  /** The answer of an earlier request with the same key. */
  readonly replayed: boolean;
  /** Nothing is stored: a producer is new here since the topic grew, and its former queues must be asked first. */
  readonly formerFirst?: true;
}

/** The same as a queue answers it. */
export interface Stored extends Omit<Sent, "messages"> {
  readonly stored: SentRun | readonly SentMessage[];
}

// ---------------------------------------------------------------- queue: transactions

/** Where a message of a transaction goes, resolved by the Worker at prepare. */
export interface Target {
  readonly topic: string;
  readonly incarnation: number;
  readonly queue: number;
}

export interface PrepareCall {
  readonly stamp: Stamp;
  readonly producerGroup: string;
  readonly check: CheckPolicy;
  /** `frame()` of encoded records. */
  readonly records: Uint8Array;
  /** One per record. The home queue itself stands here like any other. */
  readonly targets: readonly Target[];
  readonly keyed?: Keyed;
  /** Nothing is to be prepared: what was answered to the key before, or else this. */
  readonly overdue?: Refusal;
}

export type TransactionState = "prepared" | "committed" | "rolledBack" | "discarded";
export type Decider = "producer" | "check" | "operator";

export interface Prepared {
  readonly transactionId: string;
  readonly producerGroup: string;
  readonly check: CheckPolicy;
  readonly nextCheckAt: number;
  readonly messageIds: readonly string[];
  readonly replayed: boolean;
}

export type Decision = "commit" | "rollback" | "unknown" | "resume";

export interface DecideCall {
  readonly stamp: Stamp;
  readonly position: number;
  readonly decision: Decision;
  readonly by: Decider;
  /** The check that is answered, where a check is answered: `unknown` counts from the newest only. */
  readonly attempt?: number;
  readonly keyed?: Keyed;
}

export interface TransactionMessage {
  readonly id: string;
  /** Absent when it is the home topic. */
  readonly topic?: string;
  readonly queue: number;
  readonly offset?: number;
  /** Set after a commit while it waits for its delay. */
  readonly deliverAt?: number;
  /** Its target was deleted before it could be forwarded. */
  readonly undeliverable?: boolean;
}

export interface Decided {
  readonly transactionId: string;
  readonly state: TransactionState;
  readonly repeated: boolean;
  readonly messages: readonly TransactionMessage[];
  readonly nextCheckAt?: number;
  readonly replayed: boolean;
}

/** A check that decided nothing. */
export interface LastCheck {
  readonly at: number;
  /** `unknown` when that was the answer, else why there was none: `timeout`, `status`, `no_such_binding`, `failed` … */
  readonly outcome: string;
  /** The HTTP status, where one came. */
  readonly status?: number;
}

export interface TransactionView {
  readonly transactionId: string;
  readonly topic: string;
  readonly queue: number;
  readonly producerGroup: string;
  readonly state: TransactionState;
  readonly checks: number;
  /** The last one that decided nothing; absent when there was none. */
  readonly lastCheck?: LastCheck;
  readonly check: CheckPolicy;
  readonly nextCheckAt?: number;
  readonly decidedBy?: Decider;
  readonly preparedAt: number;
  readonly decidedAt?: number;
  readonly messages: readonly TransactionMessage[];
}

// ---------------------------------------------------------------- queue: checks (asked for by a coordinator)

/** A transaction that is due for a check, as the queue offers it to the coordinator of its producer group. */
export interface CheckOffer {
  readonly topic: string;
  readonly incarnation: number;
  readonly queue: number;
  readonly position: number;
  /** The number that this check will have when it is begun, from 1. */
  readonly attempt: number;
}

/** A check that has begun: it counts, and the queue waits for its end or `openUntil` before the next. */
export interface CheckBegun {
  readonly transactionId: string;
  readonly topic: string;
  readonly queue: number;
  readonly producerGroup: string;
  readonly attempt: number;
  readonly maxChecks: number;
  readonly preparedAt: number;
  /** `frame()` of entries: the half messages with their ids. */
  readonly entries: Uint8Array;
  /** One per entry. */
  readonly targets: readonly Target[];
}

// ---------------------------------------------------------------- queue: from other queues

/** Committed messages of a transaction whose home is elsewhere, numbered per (home, target) without a hole. */
export interface ForwardCall {
  /** `<namespace>/<topic>/<queue>#<incarnation>` of the sender. */
  readonly home: string;
  readonly incarnation: number;
  /** Number of the first one. */
  readonly first: number;
  /** `frame()` of entries that carry id, sentAt and transactionId. */
  readonly entries: Uint8Array;
}

export interface Forwarded {
  /** The highest number taken so far. */
  readonly taken: number;
  /** Where those up to `taken` stand, in order; shorter by the oldest when they were taken before and are not known. */
  readonly placed: readonly ForwardPlace[];
  /** The queue that each of the rest belongs to, when the first of them belongs to another one since a growth. */
  readonly owners?: readonly number[];
}

/** Where a forwarded message stands in the queue that took it. Neither: it was a duplicate, or nothing. */
export interface ForwardPlace {
  readonly offset?: number;
  /** Position in the log of delayed messages. */
  readonly delayed?: number;
  readonly deliverAt?: number;
  /** Another message with its dedup id was there first. */
  readonly duplicateOf?: string;
}
