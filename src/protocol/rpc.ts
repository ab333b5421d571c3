/**
 * What the Worker and the objects say to each other: the interfaces of the three Durable Object classes, as plain data.
 * Everything here survives structured cloning; refusals are values; instants are epoch milliseconds.
 * These shapes are private to one deployed version: docs/PROTOCOL.md is the public contract.
 */
import type { Facts, Outcome, ReceiptCode } from "./errors.ts";
import type { CheckPolicy, CheckTarget, GroupSettings, TopicSettings } from "./topic.ts";

// ---------------------------------------------------------------- names of objects

/** The name of a queue's object. Names hold no slash, so this is unambiguous. */
export const queueObjectName = (namespace: string, topic: string, queue: number): string =>
  `${namespace}/${topic}/${queue}`;
/** One registry per namespace. */
export const registryObjectName = (namespace: string): string => namespace;
export const coordinatorObjectName = (namespace: string, producerGroup: string): string =>
  `${namespace}/${producerGroup}`;

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
}

export interface SentMessage {
  readonly id: string;
  /** The queue it stands in; only for `duplicate` may it be another than the one asked. */
  readonly queue: number;
  /** Absent while delayed. */
  readonly offset?: number;
  readonly state: "ready" | "delayed" | "duplicate";
  readonly deliverAt?: number;
}

export interface Sent {
  readonly messages: readonly SentMessage[];
  /** The answer of an earlier request with the same key. */
  readonly replayed: boolean;
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

export interface TransactionView {
  readonly transactionId: string;
  readonly topic: string;
  readonly queue: number;
  readonly producerGroup: string;
  readonly state: TransactionState;
  readonly checks: number;
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

// ---------------------------------------------------------------- queue: consuming

export interface ReceiveCall {
  readonly stamp: Stamp;
  readonly group: string;
  readonly maxMessages: number;
  readonly invisibleMs: number;
  /** Held open in the object until something is visible; only for topics of one queue. */
  readonly waitMs: number;
  readonly bytesMax: number;
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
  /** Messages that are visible right now beyond these, as far as known without a scan. */
  readonly more: boolean;
}

export interface SettleCall {
  readonly stamp: Stamp;
  readonly group: string;
  /** `release`: the answer with them never left; they are visible again as if they had not been delivered. */
  readonly verb: "ack" | "nack" | "extend" | "release";
  readonly receipts: readonly string[];
  /** nack */
  readonly delayMs?: number;
  readonly reason?: string;
  readonly retry?: boolean;
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

export interface BellCall {
  readonly stamp: Stamp;
  readonly group: string;
  readonly waitMs: number;
  /** Names this wait for `cancelWait`. */
  readonly waitId?: string;
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
  }[];
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
    };

export interface QueueStats {
  readonly queue: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
  readonly bytes: number;
  readonly prepared: number;
  readonly delayed: number;
  /** Messages of committed transactions still to be forwarded to other queues. */
  readonly forwarding: number;
  readonly groups: readonly {
    readonly group: string;
    readonly lag: number;
    readonly lagExact: boolean;
    readonly inFlight: number;
    readonly retrying: number;
    readonly deadLetters: number;
    readonly expired: number;
    readonly oldestUnackedAgeMs: number;
    readonly consumers: readonly { readonly consumerId: string; readonly lastSeenAt: number }[];
    readonly lastSeenAt?: number;
  }[];
  readonly transactions: Readonly<Record<TransactionState, number>>;
}

interface DeadLetterView {
  readonly offset: number;
  readonly storedAt: number;
  readonly deadAt: number;
  readonly attempts: number;
  readonly reason: string;
}

export interface DeadLetters {
  /** `frame()` of entries. */
  readonly entries: Uint8Array;
  readonly items: readonly DeadLetterView[];
  readonly cursor?: string;
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

// ---------------------------------------------------------------- the objects

/** RPC of `QueueObject`. Every call but `configure`, `drop` and `poke` carries what the caller believes of the topic. */
export interface QueueRpc {
  /** Written through by the registry before it answers; an older version than the known one is ignored. Idempotent. */
  configure(route: TopicRoute, queue: number): Promise<Outcome<{ nextOffset: number }>>;
  /**
   * What would be lost by a delete. `hold`: nothing more is taken in until the next `inUse` without it, or for ten
   * seconds, so that what nobody counted is not dropped.
   */
  inUse(
    incarnation: number,
    hold: boolean,
  ): Promise<Outcome<{ prepared: number; delayed: number; forwarding: number }>>;
  /** Deletes everything of that incarnation; pending forwards are sent first, storage goes when they are. Idempotent. */
  drop(incarnation: number): Promise<Outcome<{ dropped: boolean }>>;
  /** Runs whatever is due; the watchdog's call. */
  poke(): Promise<void>;

  send(call: SendCall): Promise<Outcome<Sent>>;
  /** The stored answer of an earlier keyed request, if this queue has it. */
  replay(stamp: Stamp, keyed: Keyed): Promise<Outcome<Sent | undefined>>;
  /** Of each dedup id, the message that had it first, if this queue has one within the window. */
  duplicates(
    stamp: Stamp,
    asked: readonly { readonly messageGroup?: string; readonly dedupId: string }[],
  ): Promise<Outcome<readonly (SentMessage | undefined)[]>>;
  /** Where to ask for the message. */
  locate(call: MessageCall): Promise<Outcome<Located>>;
  recall(call: MessageCall): Promise<Outcome<{ id: string }>>;
  retime(call: MessageCall, deliverAt: number): Promise<Outcome<{ id: string; deliverAt: number }>>;

  prepare(call: PrepareCall): Promise<Outcome<Prepared>>;
  decide(call: DecideCall): Promise<Outcome<Decided>>;
  transaction(stamp: Stamp, position: number): Promise<Outcome<TransactionView>>;
  transactions(
    stamp: Stamp,
    query: { state?: TransactionState; from: number; limit: number },
  ): Promise<Outcome<{ items: readonly TransactionView[]; next?: number }>>;

  /**
   * Begins the checks that are still due, counting each; the others are left out. `openUntil` 0 means that nothing is
   * awaited (laid in a mailbox): the next one comes after the interval. Content is included when `withContent`.
   */
  beginChecks(
    incarnation: number,
    checks: readonly { position: number; attempt: number; openUntil: number }[],
    withContent: boolean,
  ): Promise<Outcome<readonly CheckBegun[]>>;
  /** Content of open checks for a poller; decided ones are left out. */
  readChecks(
    incarnation: number,
    positions: readonly number[],
  ): Promise<Outcome<readonly CheckBegun[]>>;
  /** The end of a check, answered or not (`unknown`). Refusals are of no use to the caller and come back only to be logged. */
  endCheck(
    incarnation: number,
    position: number,
    attempt: number,
    resolution: "commit" | "rollback" | "unknown",
  ): Promise<Outcome<{ state: TransactionState }>>;

  /** A long poll ends with `topic_not_found` or `group_not_found` when what it waits for is deleted. */
  receive(call: ReceiveCall): Promise<Outcome<Delivered>>;
  /** The client of a long poll is gone: the wait under that id ends now, or, when it has not begun, as soon as it does. */
  cancelWait(waitId: string): Promise<Outcome<{ cancelled: boolean }>>;
  settle(call: SettleCall): Promise<Outcome<readonly Settled[]>>;
  /** On queue 0 only: waits until a queue of the topic has something for the group; answers which, or none at the end. */
  waitAtBell(call: BellCall): Promise<Outcome<{ queues: readonly number[] }>>;
  /** On queue 0 only: another queue has `count` visible messages for the group. Answers how many still wait. */
  ring(incarnation: number, group: number, queue: number, count: number): Promise<number>;
  seek(
    stamp: Stamp,
    group: string,
    to: "earliest" | "latest" | { at: number } | { offset: number },
  ): Promise<Outcome<{ offset: number }>>;

  peek(call: PeekCall): Promise<Outcome<Peeked>>;
  message(call: MessageCall): Promise<Outcome<MessageView>>;
  stats(stamp: Stamp): Promise<Outcome<QueueStats>>;
  deadLetters(
    stamp: Stamp,
    group: string,
    query: { cursor?: string; limit: number },
  ): Promise<Outcome<DeadLetters>>;
  redrive(
    stamp: Stamp,
    group: string,
    ids?: readonly string[],
  ): Promise<Outcome<{ redriven: number }>>;
  purgeDeadLetters(stamp: Stamp, group: string): Promise<Outcome<{ purged: number }>>;

  forward(call: ForwardCall): Promise<Outcome<Forwarded>>;
  /** Queue `from` has finished everything that stood below its fence for this ordered group. */
  drained(incarnation: number, group: string, from: number): Promise<void>;
}

/** What the wire shows of a producer group, and its secrets, newest first. */
export interface ProducerGroupRecord {
  readonly group: string;
  readonly check?: CheckTarget;
  readonly secrets: readonly { readonly secret: string; readonly untilAt?: number }[];
  readonly createdAt: number;
  readonly version: number;
}

export interface KeyRecord {
  readonly name: string;
  readonly namespace: string;
  readonly scopes: readonly Scope[];
  readonly topics?: readonly string[];
  readonly expiresAt?: number;
  readonly createdAt: number;
}

export type Scope = "send" | "transact" | "consume" | "manage";

export interface ChangeEvent {
  readonly sequence: number;
  readonly at: number;
  readonly type:
    | "topic.created"
    | "topic.updated"
    | "topic.deleted"
    | "group.created"
    | "group.updated"
    | "group.deleted"
    | "producerGroup.updated"
    | "producerGroup.deleted"
    | "route.changed"
    | "key.updated"
    | "key.deleted";
  readonly data: Facts;
}

/** A page of a list: items and where to go on. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor?: string;
}

/** RPC of `RegistryObject`: one per namespace. Each change is on disk and in every queue object before it answers. */
export interface RegistryRpc {
  /** The route; with `create`, an unknown topic is made with defaults (unless its name was deleted within 60 s). */
  topic(name: string, create: boolean): Promise<Outcome<TopicRoute>>;
  topicByIncarnation(incarnation: number): Promise<Outcome<TopicRoute>>;
  putTopic(
    name: string,
    patch: Partial<TopicSettings>,
  ): Promise<Outcome<{ route: TopicRoute; created: boolean }>>;
  listTopics(query: { limit: number; cursor?: string }): Promise<Outcome<Page<TopicRoute>>>;
  deleteTopic(name: string, force: boolean): Promise<Outcome<{ deleted: true }>>;

  /** The topic's route with the group in it; an unknown group is made with `settings` over the defaults. */
  putGroup(
    topic: string,
    group: string,
    patch: Partial<GroupSettings>,
    options: { createTopic: boolean; onlyIfMissing: boolean },
  ): Promise<Outcome<{ route: TopicRoute; created: boolean }>>;
  pauseGroup(topic: string, group: string, paused: boolean): Promise<Outcome<TopicRoute>>;
  deleteGroup(topic: string, group: string): Promise<Outcome<TopicRoute>>;

  putProducerGroup(
    group: string,
    patch: { check?: CheckTarget },
  ): Promise<Outcome<{ record: ProducerGroupRecord; created: boolean }>>;
  rotateProducerSecret(group: string): Promise<Outcome<ProducerGroupRecord>>;
  producerGroup(group: string): Promise<Outcome<ProducerGroupRecord>>;
  deleteProducerGroup(group: string): Promise<Outcome<{ deleted: true }>>;
  listProducerGroups(query: {
    limit: number;
    cursor?: string;
  }): Promise<Outcome<Page<ProducerGroupRecord>>>;
  /** Makes a producer group known on its first prepare, without a target. */
  seeProducerGroup(group: string): Promise<Outcome<ProducerGroupRecord>>;

  /** The key's text comes back once, here. */
  putKey(
    name: string,
    settings: { scopes: readonly Scope[]; topics?: readonly string[]; expiresAt?: number },
  ): Promise<Outcome<{ record: KeyRecord; key: string }>>;
  key(name: string): Promise<Outcome<KeyRecord>>;
  listKeys(query: { limit: number; cursor?: string }): Promise<Outcome<Page<KeyRecord>>>;
  deleteKey(name: string): Promise<Outcome<{ deleted: true }>>;
  /** The record and the stored hash of a key by name; the caller compares in constant time. */
  keyHash(name: string): Promise<Outcome<{ record: KeyRecord; hash: Uint8Array }>>;

  /** Changes after `after`, waiting up to `waitMs` for the first. `after` -1: from now on. */
  changes(
    after: number,
    waitMs: number,
  ): Promise<Outcome<{ events: readonly ChangeEvent[]; last: number; gap: boolean }>>;
  /** Every queue object of the namespace runs what is due; returns how many were poked. */
  watchdog(): Promise<number>;
}

/** RPC of `CoordinatorObject`: one per producer group. It asks; it never decides. */
export interface CoordinatorRpc {
  /** Written through by the registry before it answers; undefined: the group was deleted, checks go to the mailbox. */
  configure(record: ProducerGroupRecord | undefined): Promise<void>;
  /** Transactions that are due. Returns at once; each is begun when its turn comes. */
  offer(namespace: string, producerGroup: string, offers: readonly CheckOffer[]): Promise<void>;
  /** Checks laid in the mailbox, waiting up to `waitMs` for the first. */
  poll(
    namespace: string,
    producerGroup: string,
    query: { maxMessages: number; waitMs: number; bytesMax: number; consumerId?: string },
  ): Promise<Outcome<{ checks: readonly CheckBegun[] }>>;
  /** Who asked or was asked, and when. */
  seen(): Promise<{
    lastPolledAt?: number;
    lastCalledAt?: number;
    lastOutcome?: string;
    pollers: readonly { consumerId: string; lastSeenAt: number }[];
    waiting: number;
    open: number;
  }>;
}

/** As much of a Durable Object namespace as is used, so that these shapes need no platform's types. */
interface ObjectNamespace {
  getByName(name: string): unknown;
}

/** The bindings of the deployment, as the Worker and the objects get them. */
export interface Env {
  readonly QUEUE: ObjectNamespace;
  readonly REGISTRY: ObjectNamespace;
  readonly COORDINATOR: ObjectNamespace;
  readonly HALFMQ_ROOT_KEY?: string;
  /** Comma-separated host names or addresses that checks and pushes may also call. */
  readonly HALFMQ_ALLOWED_TARGETS?: string;
  /** "off": unknown topics are refused instead of made. */
  readonly HALFMQ_AUTO_CREATE?: string;
  /** "1": the server listens on loopback only, so loopback targets are allowed. */
  readonly HALFMQ_LOOPBACK?: string;
  readonly HALFMQ_VERSION?: string;
}
