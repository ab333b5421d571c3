/** The question of a check-back, and what counts as its answer. */
import type { MessageData } from "./message.ts";
import type { Resolution } from "./transaction.ts";

/** "How did this local transaction end?" The same for webhooks and polls. */
export interface Check<T = unknown> {
  readonly transactionId: string;
  readonly topic: string;
  readonly queue: number;
  readonly producerGroup: string;
  /** From 1. */
  readonly attempt: number;
  /** After this many without a decision the transaction is discarded. */
  readonly maxChecks: number;
  readonly preparedAt: number;
  /** The half messages with the ids that their consumers would see. */
  readonly messages: readonly CheckedMessage<T>[];
}

/** A half message that is asked after. */
export type CheckedMessage<T = unknown> = MessageData<T>;

/**
 * Looks into the database: `"commit"` when the local work is there, `"rollback"` when it is not and never will be, `"unknown"`
 * (or nothing, or an error) when that cannot be said yet. It may be asked several times, by any process of the producer group.
 */
export type CheckFunction<T = unknown> = (
  check: Check<T>,
) => Resolution | undefined | void | Promise<Resolution | undefined | void>;

/** What a listener's or a check's answer means: only the two words decide. */
export function resolutionOf(answer: unknown): Resolution {
  return answer === "commit" || answer === "rollback" ? answer : "unknown";
}
