/**
 * What the Worker and the objects say to each other: the interfaces of the Durable Object classes, as plain data.
 * Everything here survives structured cloning; refusals are values; instants are epoch milliseconds.
 * These shapes are private to one deployed version: docs/PROTOCOL.md is the public contract.
 */
import type { AuditQuery, QueueAudit } from "./auditing.ts";
import type { Facts, Outcome } from "./errors.ts";
import type {
  BellCall,
  BlockedView,
  DeadLetters,
  Delivered,
  DrainedCall,
  HeldDecision,
  JoinCall,
  Joined,
  Located,
  MessageCall,
  MessageView,
  PeekCall,
  Peeked,
  QueueStats,
  ReceiveCall,
  RedriveOrder,
  RedriveProgress,
  RingCall,
  Rung,
  SeekTo,
  SettleCall,
  Settled,
} from "./consuming.ts";
import type {
  CheckBegun,
  CheckOffer,
  DecideCall,
  Decided,
  ForwardCall,
  Forwarded,
  Keyed,
  PrepareCall,
  Prepared,
  ProducerOf,
  ProducerSeat,
  SendCall,
  SentMessage,
  Stored,
  TransactionState,
  TransactionView,
} from "./producing.ts";
import type { Stamp, TopicRoute } from "./route.ts";
import type { PushRecord } from "./delivering.ts";
import type { Page } from "./page.ts";
import type { CheckTarget, GroupPatch, TopicPatch } from "./topic.ts";

export type * from "./auditing.ts";
export type * from "./consuming.ts";
export type * from "./env.ts";
export * from "./delivering.ts";
export type * from "./page.ts";
export type * from "./producing.ts";
export * from "./route.ts";
export * from "./scheduling.ts";

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

  /**
   * Large bodies will be put into the bucket under these keys, and messages that refer to them sent or prepared here; what
   * is not referred to within the hour is deleted. A key is expected once, ever. `storage_full` and `overloaded` before anything is put.
   */
  expectBodies(stamp: Stamp, keys: readonly Uint8Array[]): Promise<Outcome<undefined>>;
  /** Without records it takes the key for its body, whose messages go to other queues. */
  send(call: SendCall): Promise<Outcome<Stored>>;
  /** The stored answer of an earlier keyed request, if this queue has it. */
  replay(stamp: Stamp, keyed: Keyed): Promise<Outcome<Stored | undefined>>;
  /** Forgets a key that was taken without records, if it is this body's. */
  releaseKey(stamp: Stamp, keyed: Keyed): Promise<Outcome<{ released: boolean }>>;
  /** Of each dedup id, the message that had it first, if this queue has one within the window. */
  duplicates(
    stamp: Stamp,
    asked: readonly { readonly messageGroup?: string; readonly dedupId: string }[],
  ): Promise<Outcome<readonly (SentMessage | undefined)[]>>;
  /** Of each producer, the last message that this queue has taken within the window. */
  producers(
    stamp: Stamp,
    asked: readonly ProducerOf[],
  ): Promise<Outcome<readonly (ProducerSeat | undefined)[]>>;
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
    /** Why it is unknown though nobody said so. */
    why?: { readonly failure: string; readonly status?: number },
  ): Promise<Outcome<{ state: TransactionState }>>;

  /** A long poll ends with `topic_not_found` or `group_not_found` when what it waits for is deleted. */
  receive(call: ReceiveCall): Promise<Outcome<Delivered>>;
  /** The client of a long poll is gone: the wait under that id ends now, or, when it has not begun, as soon as it does. */
  cancelWait(waitId: string): Promise<Outcome<{ cancelled: boolean }>>;
  settle(call: SettleCall): Promise<Outcome<readonly Settled[]>>;
  /** On queue 0 only: waits until a queue of the topic has something for the group; answers which, or none at the end. */
  waitAtBell(call: BellCall): Promise<Outcome<Rung>>;
  /**
   * A consumer belongs to a broadcast group, at this queue, from now on; idempotent. Queue 0 is asked first, and without a
   * membership: `invalid_request` when the group is full.
   */
  join(call: JoinCall): Promise<Outcome<Joined>>;
  /**
   * On queue 0 only: another queue has something for a group. Who waits, pushes or streams is told; answers how many who
   * wait might be woken still.
   */
  ring(call: RingCall): Promise<number>;
  /** On queue 0 only: the group's gateway is told like a pusher, until it answers that nobody listens. Idempotent. */
  listen(stamp: Stamp, group: string): Promise<Outcome<{ listening: true }>>;
  /** Here and below: without `consumerId`, all consumers of a broadcast group. */
  seek(
    stamp: Stamp,
    group: string,
    to: SeekTo,
    consumerId?: string,
  ): Promise<Outcome<{ offset: number }>>;

  peek(call: PeekCall): Promise<Outcome<Peeked>>;
  /** How long the log is, once it is longer than `offset`, the topic has changed, or `waitMs` are over. */
  grown(stamp: Stamp, offset: number, waitMs: number): Promise<Outcome<{ next: number }>>;
  message(call: MessageCall): Promise<Outcome<MessageView>>;
  stats(stamp: Stamp): Promise<Outcome<QueueStats>>;
  audit(stamp: Stamp, query: AuditQuery): Promise<Outcome<QueueAudit>>;
  deadLetters(
    stamp: Stamp,
    group: string,
    query: { cursor?: string; limit: number; bytesMax: number; consumerId?: string },
  ): Promise<Outcome<DeadLetters>>;
  redrive(
    stamp: Stamp,
    group: string,
    ids?: readonly string[],
  ): Promise<Outcome<{ redriven: number }>>;
  /** A redrive at a rate, of which a group has one at most. */
  pacedRedrive(stamp: Stamp, group: string, order: RedriveOrder): Promise<Outcome<RedriveProgress>>;
  purgeDeadLetters(
    stamp: Stamp,
    group: string,
    which: { readonly consumerId?: string; readonly ids?: readonly string[] },
  ): Promise<Outcome<{ purged: number }>>;
  /** What holds messages of the group back, by offset, behind the one whose cursor is `after`. */
  blocked(
    stamp: Stamp,
    group: string,
    query: { after?: string; limit: number },
  ): Promise<Outcome<{ items: readonly BlockedView[]; next?: string }>>;
  /** Poisoned messages go on: delivered again in their place, or as dead letters. Without ids, all of them. */
  decideHeld(
    stamp: Stamp,
    group: string,
    decision: HeldDecision,
  ): Promise<Outcome<{ decided: number }>>;

  forward(call: ForwardCall): Promise<Outcome<Forwarded>>;
  /** Answers whether that is noted; a queue that does not know the group, or the consumer, yet is told again. */
  drained(call: DrainedCall): Promise<boolean>;
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
  readonly limits?: SendLimits;
  readonly createdAt: number;
}

/** How many messages a key sends or prepares: a second in the long run, and at most at once. */
export interface SendLimits {
  readonly sendsPerSecond: number;
  readonly burst: number;
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
    | "push.disabled"
    | "route.changed"
    | "key.updated"
    | "key.deleted";
  readonly data: Facts;
}

/** RPC of `RegistryObject`: one per namespace. Each change is on disk and in every queue object before it answers. */
export interface RegistryRpc {
  /** The route; with `create`, an unknown topic is made with defaults (unless its name was deleted within 60 s). */
  topic(name: string, create: boolean): Promise<Outcome<TopicRoute>>;
  topicByIncarnation(incarnation: number): Promise<Outcome<TopicRoute>>;
  putTopic(
    name: string,
    patch: TopicPatch,
  ): Promise<Outcome<{ route: TopicRoute; created: boolean }>>;
  listTopics(query: { limit: number; cursor?: string }): Promise<Outcome<Page<TopicRoute>>>;
  deleteTopic(name: string, force: boolean): Promise<Outcome<{ deleted: true }>>;

  /** The topic's route with the group in it; an unknown group is made with `settings` over the defaults. */
  putGroup(
    topic: string,
    group: string,
    patch: GroupPatch,
    options: { createTopic: boolean; onlyIfMissing: boolean },
  ): Promise<Outcome<{ route: TopicRoute; created: boolean; secret?: string }>>;
  pauseGroup(topic: string, group: string, paused: boolean): Promise<Outcome<TopicRoute>>;
  deleteGroup(topic: string, group: string): Promise<Outcome<TopicRoute>>;

  /** Ends the push and forgets its secret; repeating it changes nothing. */
  deletePush(topic: string, group: string): Promise<Outcome<TopicRoute>>;
  rotatePushSecret(
    topic: string,
    group: string,
  ): Promise<Outcome<{ route: TopicRoute; secret: string }>>;
  /** For the pusher itself, when what it knows is old; undefined: there is nothing to push any more. */
  pushRecord(
    topic: string,
    group: string,
    incarnation: number,
  ): Promise<Outcome<PushRecord | undefined>>;
  /** The endpoint is gone for good. Ignored when the push was set anew since the record's `version`. */
  disablePush(
    topic: string,
    group: string,
    what: { incarnation: number; version: number; reason: string },
  ): Promise<Outcome<{ disabled: boolean }>>;

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
    settings: {
      scopes: readonly Scope[];
      topics?: readonly string[];
      expiresAt?: number;
      limits?: SendLimits;
    },
  ): Promise<Outcome<{ record: KeyRecord; key: string }>>;
  key(name: string): Promise<Outcome<KeyRecord>>;
  listKeys(query: { limit: number; cursor?: string }): Promise<Outcome<Page<KeyRecord>>>;
  deleteKey(name: string): Promise<Outcome<{ deleted: true }>>;
  /** The record and the stored hash of a key by name; the caller compares in constant time. */
  keyHash(name: string): Promise<Outcome<{ record: KeyRecord; hash: Uint8Array }>>;

  /** Takes what a limited key may send: `least` messages at least, up to `most`, or a refusal that says when. */
  takeSends(name: string, least: number, most: number): Promise<Outcome<{ granted: number }>>;

  /** Changes after `after`, waiting up to `waitMs` for the first. `after` -1: from now on. */
  changes(
    after: number,
    waitMs: number,
  ): Promise<Outcome<{ events: readonly ChangeEvent[]; last: number; gap: boolean }>>;
  /** Every queue object of the namespace runs what is due; returns how many were poked. */
  watchdog(): Promise<number>;

  /** At `default` only: enters another namespace in the list of them. Idempotent. */
  enterNamespace(name: string): Promise<Outcome<{ known: true }>>;
  /** At `default` only: whether somebody ever made something in that namespace. */
  knowsNamespace(name: string): Promise<Outcome<{ known: boolean }>>;
  /** At `default` only: the other namespaces, oldest first. */
  namespaces(query: { limit: number; cursor?: string }): Promise<Outcome<Page<string>>>;
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
    query: {
      maxMessages: number;
      waitMs: number;
      bytesMax: number;
      consumerId?: string;
      waitId?: string;
    },
  ): Promise<Outcome<{ checks: readonly CheckBegun[] }>>;
  /** The client of a poll is gone: the poll under that id takes nothing out of the mailbox any more. */
  cancelPoll(waitId: string): Promise<void>;
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
