/**
 * The waist: the only thing that a dialect (the native HTTP API, an adapter) calls. It speaks of topics, groups and ids;
 * how many objects stand behind a name, and which one answers, is known below this line only.
 * Every verb answers a value or a refusal; `stale_route` never comes through.
 */
import type { Delivery, Message } from "../core/message.ts";
import type { Content } from "../core/record.ts";

import type { Outcome, Refusal } from "../protocol/errors.ts";
import type {
  BlockedView,
  ChangeEvent,
  CheckBegun,
  Decided,
  Decider,
  Decision,
  GroupRoute,
  HeldDecision,
  Keyed,
  KeyMark,
  KeyRecord,
  MessageView,
  Page,
  Prepared,
  ProducerGroupRecord,
  PushState,
  QueueStats,
  RedriveProgress,
  ScheduleRule,
  ScheduleView,
  Scope,
  SendLimits,
  Sent,
  Settled,
  TopicRoute,
  TransactionState,
  TransactionView,
  TopicAudit,
} from "../protocol/rpc.ts";
import type { CheckPolicy, CheckTarget, GroupPatch, TopicPatch } from "../protocol/topic.ts";

export type { Delivery, Message };

export interface TopicName {
  readonly namespace: string;
  readonly topic: string;
}

export interface GroupName extends TopicName {
  readonly group: string;
}

/** Something that is found by its id. Whether the caller may touch it is known only when its topic is. */
export interface ById {
  readonly namespace: string;
  readonly id: string;
  /** Asked with the topic that the id leads to, before anything is done. */
  readonly permit: (topic: string) => Refusal | undefined;
}

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string;
}

/** Of a broadcast group, one consumer; absent: all. */
export interface OfConsumer {
  readonly consumerId?: string;
}

/** Dead letters that come back a few at a time: the named ones, or all that are dead. */
export interface PacedRedrive {
  readonly ids?: readonly string[];
  readonly ratePerSecond: number;
}

export interface DeadLetter extends Message, OfConsumer {
  readonly deadAt: number;
  readonly attempts: number;
  readonly reason: string;
}

export interface SendRequest {
  readonly messages: readonly Content[];
  readonly keyed?: Keyed;
  /** Too late to be done by now: only what was answered to its key before is answered, or else this. */
  readonly overdue?: Refusal;
  /** A topic that is not there is refused, whatever the deployment says. */
  readonly onlyKnownTopic?: true;
}

export interface PrepareRequest {
  readonly producerGroup: string;
  readonly messages: readonly { readonly topic?: string; readonly content: Content }[];
  /** What is set wins over the topic's own policy. */
  readonly check?: { readonly [K in keyof CheckPolicy]?: number | undefined };
  readonly keyed?: Keyed;
  /** As of a send. */
  readonly overdue?: Refusal;
}

export interface DecideRequest {
  readonly decision: Decision;
  readonly by: Decider;
  readonly attempt?: number;
  readonly keyed?: Keyed;
}

export interface ReceiveRequest {
  readonly maxMessages: number;
  readonly waitMs: number;
  readonly invisibleMs?: number;
  readonly attemptId?: string;
  /** Whether the attempt was made before; absent: nobody knows. */
  readonly repeat?: boolean;
  readonly consumerId?: string;
  /** The client went away: the wait ends. */
  readonly signal?: AbortSignal;
  /** Takes work that goes on behind the answer; without it such work may be cut off. */
  readonly outlive?: (work: Promise<unknown>) => void;
}

interface StreamRequest {
  readonly consumerId?: string;
  /** Looked at again while the stream lives; absent: the root key. */
  readonly key?: KeyMark;
  /** The client offered the subprotocol. */
  readonly protocol: boolean;
}

/** Where a tail begins: what comes from now on, everything, what was stored since an instant, or a tail's own place. */
export type TailStart =
  | "latest"
  | "earliest"
  | { readonly at: number }
  | { readonly place: string };

export interface TailEvent {
  readonly message: Message;
  /** Messages of its queue before it that retention took before the tail got there. */
  readonly missed: number;
  /** Behind it: where a tail goes on that comes back. */
  readonly place: string;
}

export interface Tail {
  readonly place: string;
  /** What comes next, at once or within `waitMs`, else nothing. A refusal is the tail's end. */
  next(waitMs: number): Promise<Outcome<readonly TailEvent[]>>;
}

export interface Received {
  readonly messages: readonly Delivery[];
  readonly paused: boolean;
  /** For a client that turns out to be gone: ends the leases, which counts no attempt. Absent without messages. */
  readonly giveBack?: () => Promise<unknown>;
}

export interface SettleRequest {
  readonly verb: "ack" | "nack" | "extend";
  readonly receipts: readonly string[];
  readonly delayMs?: number;
  readonly reason?: string;
  readonly retry?: boolean;
  readonly invisibleMs?: number;
}

export type SeekTarget =
  | "earliest"
  | "latest"
  | { readonly at: number }
  | { readonly offsets: readonly { readonly queue: number; readonly offset: number }[] };

export interface PeekQuery extends PageQuery {
  readonly queue?: number;
  /** Only with `queue`, or on a topic of one queue. */
  readonly offset?: number;
  readonly key?: string;
  readonly from?: number;
  readonly to?: number;
}

export interface TopicStats {
  readonly queues: readonly QueueStats[];
  readonly groups: readonly (QueueStats["groups"][number] & { readonly push?: PushState })[];
  readonly transactions: Readonly<Record<TransactionState, number>>;
}

export interface ChecksQuery {
  readonly maxMessages: number;
  readonly waitMs: number;
  readonly consumerId?: string;
  readonly signal?: AbortSignal;
}

export interface KeySettings {
  readonly scopes: readonly Scope[];
  readonly topics?: readonly string[];
  readonly expiresAt?: number;
  readonly limits?: SendLimits;
}

/** Messages and what becomes of them. */
interface Messaging {
  /**
   * Stores messages, each in the queue of its word. When some queues fail, the refusal's `messages` fact says what is
   * stored, in request order, `{error}` standing for the others; repeating the request with its key completes it.
   */
  send(at: TopicName, request: SendRequest): Promise<Outcome<Sent>>;
  /** Stores half messages in a home queue of the topic. The caller's right to every named topic is already checked. */
  prepare(at: TopicName, request: PrepareRequest): Promise<Outcome<Prepared>>;
  decide(at: ById, request: DecideRequest): Promise<Outcome<Decided>>;
  transaction(at: ById): Promise<Outcome<TransactionView>>;
  /** Oldest prepare first. */
  transactions(
    at: TopicName,
    query: PageQuery & { readonly state?: TransactionState },
  ): Promise<Outcome<Page<TransactionView>>>;
  /** Takes checks out of a producer group's mailbox, waiting for the first. */
  checks(
    namespace: string,
    producerGroup: string,
    query: ChecksQuery,
  ): Promise<Outcome<{ readonly checks: readonly CheckBegun[] }>>;

  /** Leases a batch, waiting up to `waitMs` for the first message. An unknown group is made. */
  receive(at: GroupName, request: ReceiveRequest): Promise<Outcome<Received>>;
  /**
   * Opens a stream: 101 with the client's end of the socket, or the gateway's refusal as it is. An unknown group is made.
   */
  openStream(at: GroupName, request: StreamRequest): Promise<Outcome<Response>>;
  /** Results in the order of the receipts. */
  settle(at: GroupName, request: SettleRequest): Promise<Outcome<readonly Settled[]>>;
  /** Where the group stands now, per queue. Here and below: without `consumerId`, all consumers of a broadcast group. */
  seek(
    at: GroupName,
    to: SeekTarget,
    consumerId?: string,
  ): Promise<Outcome<readonly { readonly queue: number; readonly offset: number }[]>>;
  deadLetters(at: GroupName, query: OfConsumer & PageQuery): Promise<Outcome<Page<DeadLetter>>>;
  /** Absent ids: all of them. */
  redrive(at: GroupName, ids?: readonly string[]): Promise<Outcome<{ readonly redriven: number }>>;
  /** Goes on by itself, in place of one that runs; absent ids: all that are dead now. */
  startRedrive(at: GroupName, redrive: PacedRedrive): Promise<Outcome<RedriveProgress>>;
  redriveProgress(at: GroupName): Promise<Outcome<RedriveProgress>>;
  stopRedrive(at: GroupName): Promise<Outcome<RedriveProgress>>;
  /** Absent ids: all of them. */
  purgeDeadLetters(
    at: GroupName,
    which: OfConsumer & { readonly ids?: readonly string[] },
  ): Promise<Outcome<{ readonly purged: number }>>;
  /** What holds messages of the group back, and why; oldest first. */
  blocked(at: GroupName, query: PageQuery): Promise<Outcome<Page<BlockedView>>>;
  /** Poisoned messages go on; absent ids: all of them. */
  decideHeld(at: GroupName, decision: HeldDecision): Promise<Outcome<{ readonly decided: number }>>;

  peek(at: TopicName, query: PeekQuery): Promise<Outcome<Page<Message>>>;
  /** Follows a topic that is there, over all its queues, without a group. */
  tail(at: TopicName, start: TailStart): Promise<Outcome<Tail>>;
  message(at: ById): Promise<Outcome<MessageView>>;
  recall(at: ById): Promise<Outcome<{ readonly id: string }>>;
  retime(
    at: ById,
    deliverAt: number,
  ): Promise<Outcome<{ readonly id: string; readonly deliverAt: number }>>;
  stats(at: TopicName): Promise<Outcome<TopicStats>>;
  /** What was stored and what became of it, counted in ways that must agree; pages of producers. */
  audit(at: TopicName, query: PageQuery): Promise<Outcome<TopicAudit>>;
}

/** What exists, and how it is set. Reads are never older than a second. */
export interface Catalogue {
  topic(at: TopicName): Promise<Outcome<TopicRoute>>;
  topics(namespace: string, query: PageQuery): Promise<Outcome<Page<TopicRoute>>>;
  putTopic(
    at: TopicName,
    patch: TopicPatch,
  ): Promise<Outcome<{ readonly route: TopicRoute; readonly created: boolean }>>;
  deleteTopic(at: TopicName, force: boolean): Promise<Outcome<{ readonly deleted: true }>>;

  group(at: GroupName): Promise<Outcome<GroupRoute>>;
  groups(at: TopicName, query: PageQuery): Promise<Outcome<Page<GroupRoute>>>;
  putGroup(
    at: GroupName,
    patch: GroupPatch,
  ): Promise<
    Outcome<{
      readonly group: GroupRoute;
      readonly created: boolean;
      /** Of a push whose URL was set for the first time. */
      readonly secret?: string;
    }>
  >;
  /** The group without its push; its secret is forgotten. */
  deletePush(at: GroupName): Promise<Outcome<GroupRoute>>;
  rotatePushSecret(
    at: GroupName,
  ): Promise<Outcome<{ readonly group: GroupRoute; readonly secret: string }>>;
  /** How the push is doing; undefined for a group without one. */
  pushState(at: GroupName, group: GroupRoute): Promise<PushState | undefined>;
  pause(at: GroupName, paused: boolean): Promise<Outcome<GroupRoute>>;
  deleteGroup(at: GroupName): Promise<Outcome<{ readonly deleted: true }>>;

  producerGroup(namespace: string, group: string): Promise<Outcome<ProducerGroupRecord>>;
  producerGroups(namespace: string, query: PageQuery): Promise<Outcome<Page<ProducerGroupRecord>>>;
  putProducerGroup(
    namespace: string,
    group: string,
    patch: { readonly check?: CheckTarget },
  ): Promise<Outcome<{ readonly record: ProducerGroupRecord; readonly created: boolean }>>;
  rotateProducerSecret(namespace: string, group: string): Promise<Outcome<ProducerGroupRecord>>;
  deleteProducerGroup(
    namespace: string,
    group: string,
  ): Promise<Outcome<{ readonly deleted: true }>>;

  key(namespace: string, name: string): Promise<Outcome<KeyRecord>>;
  keys(namespace: string, query: PageQuery): Promise<Outcome<Page<KeyRecord>>>;
  putKey(
    namespace: string,
    name: string,
    settings: KeySettings,
  ): Promise<Outcome<{ readonly record: KeyRecord; readonly key: string }>>;
  deleteKey(namespace: string, name: string): Promise<Outcome<{ readonly deleted: true }>>;

  schedule(namespace: string, name: string): Promise<Outcome<ScheduleView>>;
  schedules(namespace: string, query: PageQuery): Promise<Outcome<Page<ScheduleView>>>;
  /** An unknown topic is made, as by a send. */
  putSchedule(
    namespace: string,
    name: string,
    rule: ScheduleRule,
    content: Content,
  ): Promise<Outcome<{ readonly schedule: ScheduleView; readonly created: boolean }>>;
  pauseSchedule(namespace: string, name: string, paused: boolean): Promise<Outcome<ScheduleView>>;
  deleteSchedule(namespace: string, name: string): Promise<Outcome<{ readonly deleted: true }>>;

  /** Changes after `after` (-1: from now on), waiting up to `waitMs` for the first. */
  changes(
    namespace: string,
    after: number,
    waitMs: number,
  ): Promise<
    Outcome<{
      readonly events: readonly ChangeEvent[];
      readonly last: number;
      readonly gap: boolean;
    }>
  >;
}

export interface Broker extends Messaging, Catalogue {}
