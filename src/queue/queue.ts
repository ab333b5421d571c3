/**
 * The queue: every verb as a command of the group commit, the agenda behind the one alarm, and the calls to other objects
 * that follow from a flush. Long polls are waits.ts's. It is given storage, clock and ports, so that it runs anywhere;
 * object.ts is its shell in a Durable Object.
 *
 * [Q1] The armed alarm is never later than the earliest thing due. [Q2] Nothing is awaited between a read and its write:
 * a command runs in one stretch. [Q3] Outgoing calls follow a flush and come back as commands of their own.
 */
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type {
  CheckOffer,
  DecideCall,
  Decided,
  ForwardCall,
  Forwarded,
  GroupRoute,
  Stamp,
  Target,
  TopicRoute,
} from "../protocol/rpc.ts";
import { nextDueAt } from "./agenda.ts";
import { Attendants, type AttendantPorts } from "./waiting/attendants.ts";
import type { BodyStore } from "../bodies/bucket.ts";
import { BucketWork } from "./bucket-work.ts";
import type { QueueBounds } from "./bounds.ts";
import { BlockMemory } from "./cold/block-memory.ts";
import { decideAndArrive, type CommittingPorts } from "./committing.ts";
import { sweep } from "./checking.ts";
import type { Group } from "./delivery/group.ts";
import { Drains, type DrainedPort } from "./links/drains.ts";
import { Flush, type FlushPorts } from "./flush.ts";
import { Hold } from "./hold.ts";
import type { Identity } from "./identity.ts";
import { Outbox } from "./links/outbox.ts";
import type { RingPort } from "./waiting/rings.ts";
import { Redrives } from "./redriving.ts";
import { moveDue } from "./sending.ts";
import { dropOld, retain, sweepBodies } from "./retention.ts";
import { storeLog, whose } from "./store-log.ts";
import { QueueStore } from "./store.ts";
import type { Sql } from "./storage/storage.ts";
import { groupGone, TOPIC_GONE, Waits } from "./waiting/waits.ts";

const SWEEP_MAX = 256;
const RETENTION_EVERY_MS = 10_000;

export interface QueuePorts extends FlushPorts, AttendantPorts {
  /** How much the queue holds; absent: the product's own numbers. */
  readonly bounds?: QueueBounds;
  /** Earliest alarm known to the platform at start. */
  readonly armedAt: number | undefined;
  /** 0 to below 1, to spread retries. */
  random(): number;
  /** Bytes of the object's storage. */
  storedBytes(): number;
  setAlarm(atMs: number): void;
  deleteAll(): void;
  offer(namespace: string, producerGroup: string, offers: readonly CheckOffer[]): Promise<void>;
  forward(namespace: string, target: Target, call: ForwardCall): Promise<Outcome<Forwarded>>;
  ring: RingPort;
  drained: DrainedPort;
  /** Where large bodies and old segments are; absent: there is none. */
  readonly bucket?: BodyStore | undefined;
  /** What the queues of the process hold of old segments; absent: it is the only one. */
  readonly blockMemory?: BlockMemory;
}

export class Queue {
  readonly #flush: Flush;
  readonly #ports: QueuePorts;
  readonly #log: Log;
  readonly #sql: Sql;
  readonly #blockMemory: BlockMemory;
  store: QueueStore;
  #armedAt: number | undefined;
  #retainAt = 0;
  #more = false;
  #erased = false;
  /** Begun and ended by who may delete the topic. */
  readonly hold = new Hold();
  readonly #outbox: Outbox;
  readonly bucketWork: BucketWork;
  /** Long polls, here and at the bell. */
  readonly waits: Waits;
  /** Pushers and gateways of groups. */
  readonly attendants: Attendants;
  readonly #drains: Drains;
  /** Redrives at a rate. */
  readonly redrives: Redrives;

  constructor(sql: Sql, ports: QueuePorts, clock: Clock, log: Log) {
    this.#sql = sql;
    this.#ports = ports;
    this.#log = log;
    this.#armedAt = ports.armedAt;
    this.#blockMemory = ports.blockMemory ?? new BlockMemory();
    this.store = this.#open();
    this.#flush = new Flush(ports, clock, {
      begin: (nowMs) => this.#sweep(nowMs),
      end: (nowMs) => this.#end(nowMs),
      isFull: () => this.store.isFull,
    });
    this.attendants = new Attendants(ports, {
      store: () => this.store,
      run: (command) => this.run(command),
    });
    this.waits = new Waits({
      clock,
      random: () => ports.random(),
      attendants: this.attendants,
      store: () => this.store,
      run: (command) => this.run(command),
      grouped: (stamp, name, command) => this.grouped(stamp, name, command),
      stale: (stamp) => this.#stale(stamp),
      after: (effect) => this.#flush.after(effect),
      answers: this.#flush,
      arrival: (block) => this.bucketWork.arrival(block),
      ring: (route, ring) => ports.ring(route, ring),
    });
    this.#drains = new Drains({
      clock,
      store: () => this.store,
      run: (command) => this.run(command),
      drained: (route, drained, to) => ports.drained(route, drained, to),
    });
    this.redrives = new Redrives(() => this.store);
    this.#outbox = new Outbox({
      clock,
      log,
      store: () => this.store,
      run: (command) => this.run(command),
      after: (effect) => this.#flush.after(effect),
      forward: (namespace, target, call) => ports.forward(namespace, target, call),
      emptied: (nowMs) => this.#endDrop(nowMs),
    });
    this.bucketWork = new BucketWork({
      clock,
      log,
      store: () => this.store,
      bucket: ports.bucket,
      blockMemory: this.#blockMemory,
      run: (command) => this.run(command),
      emptied: (nowMs) => this.#endDrop(nowMs),
    });
    this.#flush.spacingMs = this.store.identity?.route.settings.flushSpacingMs ?? 0;
    const { identity, links, bodies } = this.store;
    // Killed between the answer to a delete and the erasure.
    if (identity?.dropping === true && links.pending === 0 && bodies.isEmpty) this.#erase();
    // On wake, whatever is due or unarmed is looked at once.
    if (this.store.identity !== undefined) void this.run(() => accept(undefined));
  }

  #open(): QueueStore {
    const store = (): QueueStore => this.store;
    const ports = {
      random: () => this.#ports.random(),
      ...storeLog(this.#log, store),
      gone: (group: Group) => this.#gone(group),
      blockMemory: this.#blockMemory,
    };
    return new QueueStore(this.#sql, ports, this.#ports.bounds);
  }

  /** Whoever waits is told why it is gone, and not sent to read the route again: that would make the group anew. */
  #gone(group: Group): void {
    const { name } = group.route;
    if (this.store.groups.route(name) !== undefined)
      this.#log.info("consumer.forgotten", whose(this.store, group));
    const why = this.store.identity?.dropping === true ? TOPIC_GONE : groupGone(name);
    this.#flush.after(this.waits.close(group, why));
  }

  // ------------------------------------------------------------ commands

  /** Runs a command in the next flush, without looking at who asks. */
  run<T>(command: (nowMs: number) => Outcome<T>, bytes = 0): Promise<Outcome<T>> {
    return this.#flush.run(command, bytes);
  }

  /** What the answers of the flush under way may carry. */
  get answers(): Pick<Flush, "hasRoom" | "spend"> {
    return this.#flush;
  }

  /** Runs a command if the caller's idea of the topic is not older than ours. */
  stamped<T>(stamp: Stamp, command: (nowMs: number) => Outcome<T>, bytes = 0): Promise<Outcome<T>> {
    return this.run((nowMs) => this.#stale(stamp) ?? command(nowMs), bytes);
  }

  /**
   * The same for a call that adds to the topic: it waits while a delete is being decided. `mayBeLost`: it is done now and
   * answered before the disk.
   */
  adding<T>(
    { stamp, records }: { readonly stamp: Stamp; readonly records: Uint8Array },
    command: (nowMs: number) => Outcome<T>,
    mayBeLost = false,
  ): Promise<Outcome<T>> {
    const run = (nowMs: number): Outcome<T> =>
      this.#stale(stamp) ?? this.hold.refusal(nowMs) ?? command(nowMs);
    if (!mayBeLost || this.#flush.owesMuch) return this.run(run, records.length);
    return Promise.resolve(this.#flush.early(run, records.length));
  }

  /** The same for a command that needs a group. */
  grouped<T>(
    stamp: Stamp,
    name: string,
    command: (route: GroupRoute, nowMs: number) => Outcome<T>,
  ): Promise<Outcome<T>> {
    return this.stamped(stamp, (nowMs) => {
      const route = this.store.groups.route(name);
      return route === undefined
        ? refuse("stale_route", "The group is not known here.")
        : command(route, nowMs);
    });
  }

  #stale(stamp: Stamp): ReturnType<typeof refuse> | undefined {
    const { identity } = this.store;
    if (
      identity === undefined ||
      identity.dropping === true ||
      identity.route.incarnation !== stamp.incarnation
    ) {
      return refuse("stale_route", "The topic is another one by now.");
    }
    return stamp.version < identity.route.version
      ? refuse("stale_route", "The topic has changed.")
      : undefined;
  }

  configure(route: TopicRoute, queue: number): Promise<Outcome<{ nextOffset: number }>> {
    return this.run((nowMs) => {
      const before = this.store.identity;
      if (
        before !== undefined &&
        before.route.incarnation === route.incarnation &&
        before.route.version >= route.version
      ) {
        return accept({ nextOffset: this.store.messages.next });
      }
      if (before !== undefined && before.route.incarnation > route.incarnation) {
        return refuse("stale_route", "The topic is another one by now.");
      }
      if (before !== undefined && before.route.incarnation < route.incarnation) {
        // A deleted topic of this name still has messages to forward; its storage goes when they are.
        return refuse("unavailable", "The former topic of this name is still being deleted.");
      }
      this.#adopt({ route, queue }, nowMs);
      return accept({ nextOffset: this.store.messages.next });
    });
  }

  #adopt({ route, queue }: Pick<Identity, "route" | "queue">, nowMs: number): void {
    const before = this.store.identity;
    if (this.#erased) {
      this.#erased = false;
      this.hold.end();
      this.#drains.clear();
      this.waits.forgetRings();
      this.attendants.clear();
      this.store = this.#open();
      this.redrives.wake();
    }
    const { store } = this;
    const fences = [...(before?.fences ?? [])];
    for (const { from, to } of route.growths) {
      if (queue < from && !fences.some((fence) => fence.to === to))
        fences.push({ from, to, offset: store.messages.next });
    }
    if (before !== undefined && before.route.settings.queues !== route.settings.queues) {
      // Who waits here alone reads the route again and waits at the bell.
      const refusal = refuse("stale_route", "The topic has other queues now.");
      this.#flush.after(this.waits.turnAway(refusal));
    }
    store.saveIdentity({ route, queue, fences });
    this.#flush.spacingMs = route.settings.flushSpacingMs;
    store.groups.adopt(route.groups, nowMs);
  }

  drop(incarnation: number): Promise<Outcome<{ dropped: boolean }>> {
    return this.run((nowMs): Outcome<{ dropped: boolean }> => {
      const { identity } = this.store;
      if (identity === undefined || identity.route.incarnation !== incarnation)
        return accept({ dropped: true });
      this.store.saveIdentity({ ...identity, dropping: true });
      this.store.groups.clear();
      return accept({ dropped: this.#endDrop(nowMs) });
    });
  }

  /** A deleted topic is erased once everything is forwarded and the bucket has nothing of it. Answers whether that is so. */
  #endDrop(nowMs: number): boolean {
    const { identity, links } = this.store;
    if (identity?.dropping !== true || links.pending > 0) return false;
    if (!this.bucketWork.isGone(nowMs)) return false;
    this.#flush.after(() => this.#erase());
    return true;
  }

  /** Nothing is left; the next `configure` begins with empty tables. */
  #erase(): void {
    this.#ports.deleteAll();
    this.#erased = true;
    this.#armedAt = undefined;
    this.store.identity = undefined;
  }

  // ------------------------------------------------------------ the agenda

  #sweep(nowMs: number): void {
    const { store } = this;
    if (store.identity === undefined) return;
    store.begin(nowMs, () => this.#ports.storedBytes());
    this.#more = false;
    if (store.identity.dropping === true) return;
    for (const group of store.groups) group.promote(nowMs);
    store.groups.review(nowMs);
    this.redrives.advance(nowMs);
    if (moveDue(store, nowMs, SWEEP_MAX)) this.#more = true;
    const { offers, discarded } = sweep(store, nowMs, SWEEP_MAX);
    for (const id of discarded)
      this.#log.error("transaction.discarded", { topic: store.route.topic, transactionId: id });
    for (const [producerGroup, checks] of offers) {
      this.#flush.after(() => {
        this.#ports
          .offer(store.route.namespace, producerGroup, checks)
          .catch((error: unknown) =>
            this.#log.error("checks.offer.failed", { producerGroup, error: String(error) }),
          );
      });
    }
    if (nowMs >= this.#retainAt) this.#retain(nowMs);
    if (sweepBodies(store, nowMs, SWEEP_MAX)) this.#more = true;
  }

  #retain(nowMs: number): void {
    // A queue may write segments faster than one sweep in ten seconds drops them.
    const more = retain(this.store, nowMs, SWEEP_MAX);
    this.#retainAt = more ? nowMs : nowMs + RETENTION_EVERY_MS;
    dropOld(this.store, nowMs);
  }

  #end(nowMs: number): void {
    const { store } = this;
    if (store.identity === undefined) return;
    this.waits.serve(nowMs);
    store.commit(nowMs);
    this.bucketWork.pick(nowMs);
    this.#arm(nowMs);
    this.#flush.after(() => this.#follow());
  }

  /** [Q1] */
  #arm(nowMs: number): void {
    const [drains, retainAt] = [this.#drains, this.#retainAt];
    const { store, attendants, redrives, bucketWork } = this;
    let next = nextDueAt({ store, attendants, drains, redrives, bucketWork, retainAt }, nowMs);
    if (next === Infinity) return;
    next = Math.max(next, this.#more ? nowMs : 0);
    if (this.#armedAt !== undefined && this.#armedAt <= next && this.#armedAt > nowMs) return;
    this.#armedAt = Math.max(next, nowMs);
    this.#ports.setAlarm(this.#armedAt);
  }

  /** The platform's alarm went off: what is due runs in a flush, which arms it again. */
  async alarm(): Promise<void> {
    this.#armedAt = undefined;
    this.waits.forgetRings();
    await this.run(() => accept(undefined));
  }

  /** Calls that follow a flush. */
  #follow(): void {
    const { store } = this;
    this.#outbox.send();
    this.bucketWork.send();
    if (store.identity === undefined || store.identity.dropping === true) return;
    const isGrown = store.route.settings.queues > 1;
    this.waits.ringFor((route) => isGrown || this.attendants.has(route));
    for (const group of store.groups) this.#drains.tell(group);
  }

  // ------------------------------------------------------------ transactions

  decide(call: DecideCall): Promise<Outcome<Decided>> {
    const ports: CommittingPorts = {
      store: () => this.store,
      stamped: (stamp, command) => this.stamped(stamp, command),
      arrived: (position) => this.#outbox.arrived(position),
    };
    return decideAndArrive(ports, call);
  }
}
