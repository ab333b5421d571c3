/** Messages after they were sent: what the broker answers of them, and how a delayed one is taken back. */
import { isHalfmqError } from "./error.ts";
import type { CallOptions, Http } from "./http.ts";
import { path } from "./path.ts";
import type { TraceEvent } from "../protocol/consuming.ts";

export type { TraceEvent };

/** What became of a sent message. */
export interface SentMessage {
  /** Absent only for a `duplicate` of a numbered `producer` whose first place the broker has forgotten. */
  readonly id: string;
  readonly queue: number;
  /** Absent while delayed. */
  readonly offset?: number;
  /** `duplicate`: the broker had it already, under this id. */
  readonly state: "ready" | "delayed" | "duplicate";
  readonly deliverAt?: number;
}

/** Where a message stands with each group. */
export interface MessageStatus {
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
    /** When its lease ends, or when it comes again. */
    readonly dueAt?: number;
    /** Of a broadcast group, each of its consumers. */
    readonly consumerId?: string;
  }[];
  /** On a topic with `trace`: what happened to it, in order. */
  readonly events?: readonly TraceEvent[];
}

/** A recall whose answer was lost is asked again, and then finds its own work done. */
export async function recall(http: Http, id: string, options: CallOptions): Promise<void> {
  try {
    await http.call({ method: "DELETE", path: path`/v1/messages/${id}`, ...options });
  } catch (error) {
    const isOurs = isHalfmqError(error, "already_recalled") && error.attempts > 1;
    if (!isOurs) throw error;
  }
}
