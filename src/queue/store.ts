/**
 * Everything that one queue keeps, put together: the three logs, the groups, the links and the keys over one journal.
 * It wakes from storage, places messages, and writes a flush's rows; verbs that callers know are in the files beside it.
 */
import { BlockMemory } from "./cold/block-memory.ts";
import { messageId } from "../core/ids.ts";
import { decodeEntry, entryView } from "../core/entry.ts";
import { readRecordHead, type BodyRef, type RecordHead } from "../core/record.ts";
import { ByteReader } from "../core/bytes.ts";
import type { TopicRoute } from "../protocol/rpc.ts";
import { Bodies, type BodyPlace } from "./bodies/bodies.ts";
import { BOUNDS, type QueueBounds } from "./bounds.ts";
import { BlockRows } from "./cold/block-rows.ts";
import { Delayed } from "./delayed/delayed.ts";
import { DeadLetters } from "./delivery/dead-letters.ts";
import { Group } from "./delivery/group.ts";
import { Groups } from "./delivery/groups.ts";
import type { GroupState } from "./delivery/state.ts";
import { DueIndex } from "./delayed/due-index.ts";
import { Halves } from "./halves/halves.ts";
import type { Placed } from "./halves/page.ts";
import { awaitsFormer, formerOf, ownerOf, type Identity } from "./identity.ts";
import { Journal } from "./storage/journal.ts";
import { KeyIndex } from "./keys/key-index.ts";
import { LongBodies } from "./log/long-bodies.ts";
import { groupMark, Links, type Parcel } from "./links/links.ts";
import { Producers } from "./duplicates/producers.ts";
import { SoftIds } from "./soft.ts";
import { Trace } from "./trace/trace.ts";
import { StorageGauge } from "./storage/gauge.ts";
import type { Facts } from "./storage/facts.ts";
import { openStorage } from "./storage/schema.ts";
import { MessageLog } from "./log/message-log.ts";
import { StandIns } from "./duplicates/stand-ins.ts";
import type { Sql } from "./storage/storage.ts";

/** A message on its way into a log. */
export interface Arrival {
  readonly record: Uint8Array;
  readonly id?: string;
  readonly sentAt?: number;
  readonly transactionId?: string;
  readonly expiresAt?: number;
  /** Where its content stands here, from which it can be sent on to another queue of this topic. */
  readonly source?: Pick<Parcel, "from" | "position" | "index">;
}

export interface StorePorts {
  random(): number;
  dead(group: Group, offset: number, reason: string): void;
  held(group: Group, offset: number, reason: string): void;
  /** A group, or a consumer of a broadcast group, is no more. */
  gone(group: Group): void;
  /** Messages that retention took from a group unread. */
  expired(group: Group, expired: number): void;
  /** Of all queues of the process; absent: this one's alone. */
  readonly blockMemory?: BlockMemory | undefined;
}

/** Of operations and keys, which may come to stand in one row of at most 2 MB. */
const FULL_BYTES = 400_000;

export class QueueStore {
  readonly sql: Sql;
  readonly facts: Facts;
  readonly journal: Journal;
  readonly messages: MessageLog;
  readonly halves: Halves;
  readonly delayed: Delayed;
  readonly links: Links;
  readonly deadLetters: DeadLetters;
  readonly bodies: Bodies;
  readonly keys: KeyIndex;
  readonly producers: Producers;
  readonly trace: Trace;
  readonly standIns: StandIns;
  readonly groups: Groups;
  identity: Identity | undefined;
  readonly bounds: QueueBounds;
  readonly gauge: StorageGauge;
  readonly ports: StorePorts;
  #keysAwake = false;
  readonly #softIds: SoftIds;

  constructor(sql: Sql, ports: StorePorts, bounds: QueueBounds = BOUNDS) {
    this.bounds = bounds;
    this.gauge = new StorageGauge(bounds);
    this.sql = sql;
    this.ports = ports;
    const schemas = [KeyIndex, DueIndex, LongBodies, Bodies, BlockRows].map(({ schema }) => schema);
    const storage = openStorage(sql, schemas.flat());
    this.facts = storage.facts;
    const identity = this.facts.get("identity");
    this.identity = identity === undefined ? undefined : (JSON.parse(identity) as Identity);
    this.journal = new Journal(sql, bounds.ringDeltas);
    const messagePorts = {
      isHeld: (from: number, to: number) => this.groups.holdsBetween(from, to),
      hasRoom: () => !this.gauge.isFull,
    };
    const { blockMemory = new BlockMemory() } = ports;
    this.messages = new MessageLog(storage, messagePorts, bounds.fetchedBytesMax, blockMemory);
    this.halves = new Halves(storage, this.journal);
    this.delayed = new Delayed(storage, this.journal);
    this.links = new Links(this.journal);
    this.deadLetters = new DeadLetters(sql);
    this.bodies = new Bodies(sql);
    this.#softIds = new SoftIds(this.facts);
    this.keys = new KeyIndex(sql, { keysMax: bounds.keysMax });
    this.trace = new Trace(sql, this.journal);
    this.trace.enabled = this.identity?.route.settings.trace === true;
    this.producers = new Producers(this.journal, bounds.producersMax);
    this.standIns = new StandIns(this.journal);
    this.groups = new Groups({
      make: (route, number) => this.#newGroup(route, number),
      startOf: ({ settings: { startFrom } }) => {
        if (startFrom === "earliest") return this.messages.first;
        return startFrom === "latest" ? this.messages.next : this.messages.positionAt(startFrom);
      },
      nextConsumer: () => this.#nextConsumer(),
      gone: (group) => {
        this.deadLetters.forget(group.number);
        ports.gone(group);
      },
    });
    this.#wake();
  }

  // ------------------------------------------------------------ waking

  #wake(): void {
    this.groups.wake(this.identity?.route.groups ?? []);
    const { pages, deltas, hasTraces } = this.journal.load();
    this.trace.hasPages ||= hasTraces;
    const past = Groups.past(new Journal(this.sql, this.bounds.ringDeltas));
    // Heads first: they say which pages still count.
    for (const { name, seq, data } of pages) {
      if (name === "h") this.halves.restoreHead(data, seq);
      else if (name === "d") this.delayed.restoreHead(data, seq);
      else if (name === "l") this.links.restore(data, seq);
      else if (name === "p") this.producers.restoreHead(data, seq);
      else if (name === "s") this.standIns.restore(new ByteReader(data), seq);
      else if (/^g\d+$/.test(name)) this.groups.restoreHead(Number(name.slice(1)), data, seq);
    }
    for (const { name, seq, data } of pages) {
      const [owner = "", number] = name.split(":");
      if (number === undefined) continue;
      if (owner === "h") this.halves.restorePage(Number(number), data, seq);
      else this.groups.restorePage(Number(owner.slice(1)), Number(number), data, seq);
    }
    for (const delta of deltas) {
      Journal.replay(delta, (reader, seq) => this.#apply(reader, seq, past));
    }
    this.halves.settle();
    this.delayed.settle();
    this.groups.settle();
  }

  #apply(reader: ByteReader, seq: number, past: GroupState): void {
    const kind = reader.byte();
    if (kind <= 10 || kind > 70) this.groups.apply(kind, reader, seq, past);
    else if (kind <= 20) this.halves.apply(kind, reader, seq);
    else if (kind <= 30) this.delayed.apply(kind, reader, seq);
    else if (kind <= 40) this.links.apply(kind, reader, seq);
    else if (kind <= 50) this.producers.apply(kind, reader, seq);
    else if (kind <= 60) this.standIns.apply(kind, reader, seq);
    else this.trace.apply(reader, seq);
  }

  #newGroup(route: TopicRoute["groups"][number], number: number): Group {
    const note = (offset: number, what: Parameters<Trace["note"]>[2]): void =>
      this.trace.note("log", [offset, 1], { ...what, group: number });
    const group: Group = new Group(
      route,
      {
        log: this.messages,
        journal: this.journal,
        deadLetters: this.deadLetters,
        heldFor: (state, messageGroup) => formerOf(this.#known, state.drainedFrom, messageGroup),
        seat: () => ({ queue: this.queue, queues: this.route.settings.queues }),
        random: () => this.ports.random(),
        lapsed: (offset, attempt) => note(offset, { kind: "leaseExpired", value: attempt }),
        dead: (offset, reason) => {
          note(offset, { kind: "deadLettered", reason });
          this.ports.dead(group, offset, reason);
        },
        held: (offset, reason) => {
          note(offset, { kind: "held", reason });
          this.ports.held(group, offset, reason);
        },
      },
      number,
    );
    return group;
  }

  #nextConsumer(): number {
    const number = Number(this.facts.get("consumers") ?? 0) + 1;
    this.facts.set("consumers", String(number));
    return number;
  }

  // ------------------------------------------------------------ keys

  /** The index of remembered keys, with the youngest fed back on its first use. */
  awakeKeys(): KeyIndex {
    if (this.#keysAwake) return this.keys;
    this.#keysAwake = true;
    const mark = this.keys.lastMark();
    const from =
      mark === undefined
        ? { m: 0, h: 0, d: 0, j: 0 }
        : (JSON.parse(mark) as { m: number; h: number; d: number; j: number });
    this.keys.restore([
      ...this.messages.keyBlobs(from.m),
      ...this.halves.log.keyBlobs(from.h),
      ...this.delayed.log.keyBlobs(from.d),
      ...this.journal.keyBlobs(from.j),
    ]);
    return this.keys;
  }

  // ------------------------------------------------------------ placing

  get #known(): Identity {
    if (this.identity === undefined) throw new Error("a queue without a topic was used");
    return this.identity;
  }

  get route(): TopicRoute {
    return this.#known.route;
  }

  get queue(): number {
    return this.identity?.queue ?? 0;
  }

  get incarnation(): number {
    return this.route.incarnation;
  }

  /** What would be lost by a delete. */
  get usage(): { prepared: number; delayed: number; forwarding: number } {
    const { halves, delayed, links } = this;
    return { prepared: halves.open.size, delayed: delayed.count, forwarding: links.pending };
  }

  saveIdentity(identity: Identity): void {
    this.identity = identity;
    this.trace.enabled = identity.route.settings.trace;
    this.facts.set("identity", JSON.stringify(identity));
  }

  /** Does an ordered group still wait here for any of the queues that were there before this one? */
  awaitsFormer(state: GroupState): boolean {
    return awaitsFormer(this.#known, state.drainedFrom);
  }

  /** Does the message group still belong here, or has a growth moved it? */
  ownerOf(messageGroup: string | undefined): number {
    return ownerOf(this.#known, messageGroup);
  }

  /** When the message may no longer be delivered; counted from when it gets its offset. */
  #expiresAt({ ttlMs, expiresAt }: RecordHead, storedAt: number): number | undefined {
    return expiresAt ?? (ttlMs === undefined ? undefined : storedAt + ttlMs);
  }

  /** Appends to the message log; what belongs to another queue since a growth is sent on instead. */
  append(arrival: Arrival, nowMs: number): Placed {
    const head = readRecordHead(arrival.record);
    const { messageGroup, bodyRef } = head;
    const owner = this.ownerOf(messageGroup);
    if (owner !== this.queue && arrival.source !== undefined) {
      this.links.push(
        { topic: this.route.topic, incarnation: this.incarnation, queue: owner },
        { ...arrival.source, deliverAt: 0, group: groupMark(messageGroup) },
      );
      return { at: "link" };
    }
    const expiresAt = this.#expiresAt(head, this.messages.storedAt(nowMs));
    const id = arrival.id ?? this.softId(this.messages.next);
    this.#placeBody(arrival, bodyRef, { in: "log", at: this.messages.next });
    const entry = entryView({
      ...(id === undefined ? {} : { id }),
      ...(arrival.sentAt === undefined ? {} : { sentAt: arrival.sentAt }),
      ...(arrival.transactionId === undefined ? {} : { transactionId: arrival.transactionId }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(bodyRef === undefined ? {} : { largeBytes: bodyRef.bytes }),
      record: arrival.record,
    });
    return { at: "log", queue: this.queue, offset: this.messages.append(entry, nowMs) };
  }

  /** The id that a message sent now gets at the offset, on a topic that may lose it. */
  softId(offset: number): string | undefined {
    return this.route.settings.durability === "memory"
      ? this.#softIds.at(this.incarnation, this.queue, offset)
      : undefined;
  }

  /** The id of the message at an offset; undefined when it is not known any more, or not at hand. */
  logId(offset: number): string | undefined {
    const { incarnation, queue, messages, route } = this;
    const read = messages.read(offset);
    if (read === "cold") return undefined;
    const id = read === undefined ? undefined : decodeEntry(read.entry).id;
    if (id !== undefined) return id;
    if (read === undefined && route.settings.durability === "memory") return undefined;
    return messageId({ incarnation, queue, origin: "log", position: offset, index: 0 });
  }

  /** Lets the message wait until `deliverAt`. */
  delay(arrival: Arrival, deliverAt: number, nowMs: number): Placed & { at: "delayed" } {
    const entry = entryView({
      ...(arrival.id === undefined ? {} : { id: arrival.id }),
      sentAt: arrival.sentAt ?? nowMs,
      ...(arrival.transactionId === undefined ? {} : { transactionId: arrival.transactionId }),
      record: arrival.record,
    });
    const position = this.delayed.add(entry, deliverAt, nowMs);
    const { bodyRef } = readRecordHead(arrival.record);
    this.#placeBody(arrival, bodyRef, { in: "delayed", at: position });
    return { at: "delayed", position, deliverAt };
  }

  #placeBody({ source }: Arrival, ref: BodyRef | undefined, to: BodyPlace): void {
    const isHere = source !== undefined && source.from !== "void";
    const from = isHere ? { in: source.from, at: source.position } : undefined;
    if (ref !== undefined) this.bodies.place(ref.key, to, from);
  }

  /** When a record with this head that starts counting now is due; undefined for now. */
  static dueAt({ delayMs, deliverAt }: RecordHead, nowMs: number): number | undefined {
    const dueAt = deliverAt ?? (delayMs === undefined ? undefined : nowMs + delayMs);
    return dueAt === undefined || dueAt <= nowMs ? undefined : dueAt;
  }

  delayedId(position: number, entryId: string | undefined): string {
    return (
      entryId ??
      messageId({
        incarnation: this.incarnation,
        queue: this.queue,
        origin: "delayed",
        position,
        index: 0,
      })
    );
  }

  // ------------------------------------------------------------ a flush

  /** A flush begins; the storage is measured once in a while. */
  begin(nowMs: number, storedBytes: () => number): void {
    this.trace.nowMs = this.messages.cold.nowMs = nowMs;
    this.gauge.look(nowMs, storedBytes);
  }

  /** Are the rows that this flush will write so long that it should take no more? A single command stays far below that. */
  get isFull(): boolean {
    return this.journal.bytes + this.keys.unsavedBytes > FULL_BYTES;
  }

  /** Writes everything that the flush changed. */
  commit(nowMs: number): void {
    let keys = this.#keysAwake ? this.keys.takeUnsaved() : undefined;
    for (const log of [this.messages, this.halves.log, this.delayed.log])
      if (log.commit(keys)) keys = undefined;
    this.delayed.commit();
    this.journal.commit(keys);
    this.producers.trim();
    this.trace.trim();
    if ((this.#keysAwake && this.keys.sealDue()) || this.journal.keysAtRisk) this.sealKeys(nowMs);
  }

  /** All keys known stand in runs from here on: rows that carried them may go. Also in the middle of a flush. */
  sealKeys(nowMs: number): void {
    const keys = this.awakeKeys();
    const mark = {
      m: this.messages.nextStored,
      h: this.halves.log.nextStored,
      d: this.delayed.log.nextStored,
      j: this.journal.seq - 1,
    };
    keys.seal(JSON.stringify(mark), nowMs);
    this.journal.keysAreKept();
  }
}
