/**
 * A topic as its objects and the Worker know it, and the names of the objects. Plain data that survives structured
 * cloning; instants are epoch milliseconds.
 */
import type { GroupSettings, TopicSettings } from "./topic.ts";

// ---------------------------------------------------------------- names of objects

/** The name of a queue's object. Names hold no slash, so this is unambiguous. */
export const queueObjectName = (namespace: string, topic: string, queue: number): string =>
  `${namespace}/${topic}/${queue}`;
/** The root key's namespace unless it names another; its registry keeps the list of all others. */
export const DEFAULT_NAMESPACE = "default";
/** One registry per namespace. */
export const registryObjectName = (namespace: string): string => namespace;
/** One scheduler per namespace. */
export const schedulerObjectName = (namespace: string): string => namespace;
export const coordinatorObjectName = (namespace: string, producerGroup: string): string =>
  `${namespace}/${producerGroup}`;

/** The pusher and the gateway of a group, each in its own namespace of objects. */
export const groupObjectName = (namespace: string, topic: string, group: string): string =>
  `${namespace}/${topic}/${group}`;

// ---------------------------------------------------------------- topics as objects know them

/** What a caller believes of a topic; a queue that knows better refuses with `stale_route`. */
export interface Stamp {
  readonly incarnation: number;
  /** Rises with each change of the topic's settings, queues or groups. */
  readonly version: number;
}

export interface GroupRoute {
  readonly name: string;
  /** Never given twice within an incarnation. */
  readonly number: number;
  readonly settings: GroupSettings;
  readonly paused: boolean;
  /** `startFrom` resolved by the server's clock when the group was made. */
  readonly createdAt: number;
}

/** One growth of a topic: from how many queues to how many, and when. */
export interface Growth {
  readonly from: number;
  readonly to: number;
  readonly at: number;
}

/** Everything of a topic that the Worker caches and every queue of it keeps. */
export interface TopicRoute {
  readonly namespace: string;
  readonly topic: string;
  readonly incarnation: number;
  readonly version: number;
  readonly settings: TopicSettings;
  readonly createdAt: number;
  /** Oldest first. */
  readonly growths: readonly Growth[];
  readonly groups: readonly GroupRoute[];
}
