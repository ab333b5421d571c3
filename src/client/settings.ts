/** Topics, groups and producer groups as a program writes and reads them; the shapes come from the protocol. */
import type { PushState } from "../protocol/delivering.ts";
import type {
  Backoff,
  CheckPolicy,
  CheckTarget,
  Filter,
  GroupSettings,
  PushFormat,
  PushSettings,
  TopicPatch,
  TopicSettings,
} from "../protocol/topic.ts";

/** What `PUT` of a topic takes; what is left out keeps its value, or the broker's default for a new one. */
export type TopicInput = Partial<
  Omit<TopicPatch, "transaction"> & { readonly transaction: Partial<CheckPolicy> }
>;

/** A topic as the broker shows it. */
export interface Topic extends TopicSettings {
  readonly topic: string;
}

/** Where a group's messages are pushed to, and how fast. */
export interface PushTarget {
  /** Exactly one of `url` and `binding`. */
  readonly url?: string;
  readonly binding?: string;
  readonly maxMessages?: number;
  readonly concurrency?: number;
  readonly timeoutMs?: number;
  readonly ratePerSecond?: number;
  /** What a URL is sent: batches of messages, or one event of CloudEvents a call. Default `messages`. */
  readonly format?: PushFormat;
  /** A host name, by which a URL is asked whether it wants to be called, before the first call. Default: it is not asked. */
  readonly handshakeOrigin?: string;
}

/** What `PUT` of a group takes; what is left out keeps its value, or the broker's default for a new one. */
export interface GroupInput extends Partial<Omit<GroupSettings, "push">> {
  readonly push?: PushTarget;
}

/** A consumer group as the broker shows it. */
export interface Group extends GroupSettings {
  readonly group: string;
  /** Signs the pushes; shown when `push.url` is set for the first time, and when it is rotated. */
  readonly secret?: string;
  /** How the push is doing; shown when one group is read. */
  readonly pushState?: PushState;
}

/** Who is asked how a transaction ended; `timeoutMs` may be left out. */
export type CheckTargetInput =
  | { readonly url: string; readonly timeoutMs?: number }
  | { readonly binding: string; readonly timeoutMs?: number };

/** A producer group as the broker shows it. */
export interface ProducerGroup {
  readonly group: string;
  readonly check?: CheckTarget;
  /** Signs the checks; shown when it is made or rotated. */
  readonly secret?: string;
}

export type {
  Backoff,
  CheckPolicy,
  CheckTarget,
  Filter,
  GroupSettings,
  PushFormat,
  PushSettings,
  PushState,
  TopicSettings,
};
