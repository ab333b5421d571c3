/** What an audit asks of a queue and what that answers: counts that were made apart from one another, side by side. */

/** Offsets that no row of the log holds. */
interface LogHole {
  readonly offset: number;
  readonly count: number;
}

/** What has become of a group's messages, since it began or was moved. */
export interface GroupAudit {
  readonly group: string;
  readonly stored: number;
  /** Delivered at least once. */
  readonly delivered: number;
  readonly acked: number;
  /** Ran out of attempts, or was refused for good: is a dead letter, was one, or holds its place. */
  readonly deadLettered: number;
  readonly expired: number;
  /** Passed over by the group's filter. */
  readonly filtered: number;
  /** Not done. */
  readonly open: number;
  /** Done, and nobody knows why. Not 0 is a fault of the broker. */
  readonly unaccounted: number;
}

/** What one queue took of a producer's present epoch. */
export interface ProducerAudit {
  readonly id: string;
  readonly messageGroup?: string;
  readonly queue: number;
  readonly epoch: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** How many, counted one by one: stored, or known as duplicates by their dedup id. */
  readonly taken: number;
  /** Sequences in between that this queue did not take. */
  readonly missing: number;
  readonly lastSentAt: number;
}

export interface AuditQuery {
  /** Absent: only producers are asked for. */
  readonly summary?: true;
  /** Of the queue's last answer. */
  readonly after?: string;
  readonly limit: number;
}

export interface QueueSummary {
  readonly queue: number;
  readonly firstOffset: number;
  /** How many messages were ever stored. */
  readonly nextOffset: number;
  readonly delayed: number;
  readonly prepared: number;
  /** Rows of the log were looked at from here on. */
  readonly checkedFrom: number;
  readonly holes: readonly LogHole[];
}

export interface QueueAudit {
  readonly summary?: QueueSummary & { readonly groups: readonly GroupAudit[] };
  readonly producers: readonly ProducerAudit[];
  /** Where to go on; absent: there are no more. */
  readonly next?: string;
}

export interface TopicAudit {
  /** On the first page only. */
  readonly summary?: {
    readonly queues: readonly QueueSummary[];
    readonly groups: readonly GroupAudit[];
  };
  readonly producers: readonly ProducerAudit[];
  readonly nextCursor?: string;
}
