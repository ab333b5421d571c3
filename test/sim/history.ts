/**
 * What clients saw, in order: the only thing that the checker reads. An operation is invoked, and ends `ok` with an answer,
 * `refused` with a code, or `lost`, when nobody can say whether it was done. Wall instants are the server's clock.
 */
import type { Calendar } from "./checker/calendar.ts";
import type { GroupAudit, ProducerAudit, TransactionState } from "../../src/protocol/rpc.ts";

export interface SentMessage {
  /** Written into the body, and never twice. */
  readonly mark: string;
  readonly topic: string;
  readonly messageGroup?: string;
  readonly tag?: string;
  readonly dedupId?: string;
  readonly deliverAt?: number;
  /** Its time to live, from when it is stored; or its end. */
  readonly ttlMs?: number;
  readonly expiresAt?: number;
  readonly producer?: { readonly id: string; readonly epoch: number; readonly sequence: number };
}

/** What was asked, by kind. */
export type Request =
  | {
      readonly is: "send";
      readonly topic: string;
      readonly messages: readonly SentMessage[];
      readonly keyed: boolean;
    }
  | {
      readonly is: "prepare";
      readonly topic: string;
      readonly messages: readonly SentMessage[];
      readonly check: {
        readonly timeoutMs: number;
        readonly intervalMs: number;
        readonly maxChecks: number;
      };
    }
  | {
      readonly is: "decide";
      readonly transactionId: string;
      readonly decision: "commit" | "rollback" | "unknown" | "resume";
    }
  | { readonly is: "recall"; readonly id: string; readonly mark: string }
  | {
      readonly is: "retime";
      readonly id: string;
      readonly mark: string;
      readonly deliverAt: number;
    }
  | {
      readonly is: "receive";
      readonly topic: string;
      readonly group: string;
      /** Of a broadcast group. */
      readonly consumerId?: string;
      /** 0: nobody knows how long it was leased for. */
      readonly invisibleMs: number;
      /** By a line, which may give back what it holds as if it had not been delivered. */
      readonly isLine?: true;
      /** By a socket, which lets so many be held at a time. */
      readonly socket?: { readonly id: number; readonly credit: number };
      readonly attemptId?: string;
      readonly maxMessages: number;
    }
  | {
      readonly is: "settle";
      readonly topic: string;
      readonly group: string;
      readonly consumerId?: string;
      readonly verb: "ack" | "nack" | "extend";
      readonly receipts: readonly string[];
      readonly invisibleMs?: number;
    }
  | {
      readonly is: "seek";
      readonly topic: string;
      readonly group: string;
      /** Absent: to the beginning. */
      readonly to?: SeekTarget;
    }
  | {
      readonly is: "redrive";
      readonly topic: string;
      readonly group: string;
      /** Absent: all of them. */
      readonly ids?: readonly string[];
      readonly ratePerSecond?: number;
    }
  /** What a topic still has. */
  | { readonly is: "look"; readonly topic: string }
  | { readonly is: "grow"; readonly topic: string; readonly queues: number }
  | {
      readonly is: "pause";
      readonly topic: string;
      readonly group: string;
      readonly paused: boolean;
    }
  /** Of the schedule of that name; a mark: it is set, to send that. */
  | {
      readonly is: "schedule";
      readonly name: string;
      readonly verb: "put" | "pause" | "resume" | "delete";
      readonly mark?: string;
      readonly stepMs?: number;
    };

/** An end, an instant, or offsets by queue. */
export type SeekTarget = "earliest" | "latest" | number | Readonly<Record<string, number>>;

interface Placed {
  /** Absent of a duplicate whose first is not known any more. */
  readonly id?: string;
  readonly queue: number;
  readonly offset?: number;
  readonly state: "ready" | "delayed" | "duplicate";
}

export interface Delivery {
  readonly mark: string;
  readonly isIntact: boolean;
  readonly id: string;
  readonly queue: number;
  readonly offset: number;
  readonly storedAt: number;
  readonly deliveryAttempt: number;
  readonly receipt: string;
  readonly invisibleUntil: number;
  readonly transactionId?: string;
}

/** What was answered, by kind of request. */
export type Answer =
  | { readonly is: "sent"; readonly placed: readonly Placed[] }
  | { readonly is: "prepared"; readonly transactionId: string; readonly ids: readonly string[] }
  | { readonly is: "decided"; readonly state: TransactionState; readonly repeated: boolean }
  | { readonly is: "received"; readonly deliveries: readonly Delivery[] }
  | {
      readonly is: "settled";
      readonly results: readonly {
        readonly ok: boolean;
        readonly code?: string;
        readonly receipt: string;
        readonly invisibleUntil?: number;
      }[];
    }
  /** By queue. */
  | { readonly is: "looked"; readonly firstOffsets: readonly number[] }
  | { readonly is: "done" };

export type Event =
  | {
      readonly at: number;
      readonly wall: number;
      readonly is: "invoke";
      readonly op: number;
      readonly client: string;
      readonly request: Request;
    }
  | {
      readonly at: number;
      readonly wall: number;
      readonly is: "ok";
      readonly op: number;
      readonly answer: Answer;
      /** It was asked before, and that may still be at work. */
      readonly isRepeated?: true;
    }
  | {
      readonly at: number;
      readonly wall: number;
      readonly is: "refused";
      readonly op: number;
      readonly code: string;
      readonly state?: string;
    }
  | { readonly at: number; readonly wall: number; readonly is: "lost"; readonly op: number }
  /** A queue counted a check. */
  | {
      readonly at: number;
      readonly wall: number;
      readonly is: "begun";
      readonly transactionId: string;
      readonly attempt: number;
    }
  /** A queue's flush commits the transaction. What of it a crash takes back is followed by another one. */
  | {
      readonly at: number;
      readonly wall: number;
      readonly is: "committed";
      readonly transactionId: string;
    }
  /** A producer was asked, and what it said. */
  | {
      readonly at: number;
      readonly wall: number;
      readonly is: "asked";
      readonly transactionId: string;
      readonly attempt: number;
      readonly said: string;
    }
  | { readonly at: number; readonly wall: number; readonly is: "fault"; readonly fault: string };

/** Something in the bucket: when it was named, just before a queue came to expect it, and when it was there at last. */
export interface Uploaded {
  readonly key: string;
  readonly namedAt: number;
  readonly namedWall: number;
  readonly landedAt: number;
}

/** What everything looks like when it has come to rest. */
export interface Rest {
  readonly topics: readonly {
    readonly topic: string;
    readonly queues: readonly {
      readonly queue: number;
      readonly firstOffset: number;
      readonly nextOffset: number;
      readonly prepared: number;
      readonly delayed: number;
      readonly forwarding: number;
    }[];
    readonly groups: readonly {
      readonly group: string;
      readonly lag: number;
      readonly inFlight: number;
      readonly retrying: number;
      readonly deadLetters: number;
      readonly expired: number;
    }[];
    readonly log: readonly {
      readonly mark: string;
      readonly id: string;
      readonly queue: number;
      readonly offset: number;
      readonly isIntact: boolean;
      readonly storedAt?: number;
    }[];
    readonly transactions: readonly {
      readonly transactionId: string;
      readonly state: TransactionState;
      readonly checks: number;
    }[];
    readonly counted: Readonly<Record<TransactionState, number>>;
    /** What the topic's own audit cannot account for. */
    readonly faults: readonly string[];
    /** What the audit counts, where it was asked. */
    readonly audit?: {
      readonly groups: readonly GroupAudit[];
      readonly producers: readonly ProducerAudit[];
    };
    readonly deadLetters: readonly {
      readonly group: string;
      readonly consumerId?: string;
      readonly deadAt?: number;
      readonly mark: string;
      readonly attempts: number;
    }[];
  }[];
  /** Large bodies: what the bucket has, and what each queue answers for, with what its row stands for. */
  readonly bucket: readonly Uploaded[];
  readonly answered: readonly {
    readonly queue: string;
    readonly key: string;
    readonly state: number;
  }[];
  /** False: something was still on its way when the time was up. */
  readonly isDrained: boolean;
  readonly why?: string;
}

export interface History {
  readonly seed: number;
  /** Nothing was struck, and the platform did its best. */
  readonly isCalm: boolean;
  readonly groups: readonly GroupPlan[];
  /** Topics whose messages go before everybody has read them. */
  readonly fleeting?: readonly string[];
  /** And when, where it is known. */
  readonly retentions?: readonly RetentionPlan[];
  readonly events: readonly Event[];
  readonly rest: Rest;
  /** Where there are schedules. */
  readonly calendar?: Calendar;
}

export interface RetentionPlan {
  readonly topic: string;
  readonly retentionMs: number;
  /** Of each queue; infinite when only age counts. */
  readonly retentionBytes: number;
}

/** Of a broadcast group, each of its consumers by itself. */
export interface GroupPlan {
  readonly topic: string;
  readonly group: string;
  readonly consumerId?: string;
  readonly ordered: boolean;
  readonly maxAttempts: number;
  readonly tags?: readonly string[];
}

/** What the checker calls it. */
export const nameOf = ({
  topic,
  group,
  consumerId,
}: Pick<GroupPlan, "topic" | "group" | "consumerId">): string =>
  consumerId === undefined ? `${topic}/${group}` : `${topic}/${group}/${consumerId}`;
