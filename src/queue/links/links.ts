/**
 * Ordered links from this queue to others: committed messages whose place is elsewhere go out numbered 1, 2, 3 … per
 * target, and a target takes from each home only the next number. So each arrives exactly once and in order, whatever
 * crashes or is answered twice. It holds references, not bodies; sending is outbox.ts's.
 *
 * [L1] A number means one parcel for ever, or nothing (void): a call that comes late cannot bring another one in.
 * [L2] Parcels of a message group leave in the order of their commits, also when the group moved to another queue: while
 * some of it still waits for the former one, the next ones queue up behind it there.
 */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import { hash32 } from "../../core/route.ts";
import type { ForwardPlace, Target } from "../../protocol/rpc.ts";
import type { Journal, Page } from "../storage/journal.ts";
import { OPERATION } from "../storage/operations.ts";

/** A call to a target that has not answered by then has failed; one that answers later does no harm. */
export const CALL_MS = 30_000;

const VERSION = 2;
const SOURCES = ["half", "delayed", "void"] as const;

/** A message that is on its way: where its content stands here, and when it is due there (0: at once). */
export interface Parcel {
  /** `void`: nothing any more, its number only. */
  readonly from: (typeof SOURCES)[number];
  readonly position: number;
  readonly index: number;
  readonly deliverAt: number;
  /** Hash of its message group; 0 without one. */
  readonly group: number;
}

const VOID: Parcel = { from: "void", position: 0, index: 0, deliverAt: 0, group: 0 };

/** A parcel's `group` for a message group. */
export const groupMark = (messageGroup: string | undefined): number =>
  messageGroup === undefined ? 0 : hash32(messageGroup) || 1;

/** What was taken last from a home: the number, and where the last call's messages stand. */
interface Taken {
  readonly last: number;
  readonly places: readonly ForwardPlace[];
}

export interface Link {
  readonly number: number;
  readonly target: Target;
  /** Number of the first parcel that waits. */
  first: number;
  readonly parcels: Parcel[];
  /** How many of them each message group has. Not stored, as all that follows. */
  readonly groups: Map<number, number>;
  /** When to send (again): the end of a pause, or of the time that a call under way has. */
  retryAt: number;
  failures: number;
}

export class Links implements Page {
  readonly name = "l";
  savedSeq = 0;
  dirtySeq = 0;
  readonly #journal: Journal;
  readonly #out = new Map<string, Link>();
  readonly #byNumber: Link[] = [];
  /** By home. */
  readonly #taken = new Map<string, Taken>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get pending(): number {
    let count = 0;
    for (const link of this.#byNumber) count += link.parcels.length;
    return count;
  }

  get links(): readonly Link[] {
    return this.#byNumber;
  }

  /** When a link that has something must be looked at. What is due at `nowMs` is sent then, and has its time from there. */
  nextDueAt(nowMs: number): number | undefined {
    let next: number | undefined;
    for (const { parcels, retryAt } of this.#byNumber) {
      if (parcels.length === 0) continue;
      next = Math.min(next ?? Infinity, retryAt <= nowMs ? nowMs + CALL_MS : retryAt);
    }
    return next;
  }

  /** Sends a parcel on its way to the target, or behind what its message group has on its way to a former queue. [L2] */
  push(target: Target, parcel: Parcel): void {
    const former = parcel.group === 0 ? undefined : this.#formerLink(target, parcel.group);
    this.#pushOn(former ?? this.#linkTo(target), parcel);
  }

  /** Queues of a message group only rise as a topic grows, so the lowest with some of it is the one that comes first. */
  #formerLink(target: Target, group: number): Link | undefined {
    let lowest: Link | undefined;
    for (const link of this.#byNumber) {
      const { topic, incarnation, queue } = link.target;
      if (link.parcels.length === 0 || queue >= (lowest?.target ?? target).queue) continue;
      if (topic !== target.topic || incarnation !== target.incarnation) continue;
      if (link.groups.has(group)) lowest = link;
    }
    return lowest;
  }

  #linkTo(target: Target): Link {
    const key = keyOf(target);
    return this.#out.get(key) ?? this.#openLink(key, target);
  }

  #pushOn(link: Link, parcel: Parcel): void {
    const writer = this.#journal.change(this).byte(OPERATION.linkPut).uint(link.number);
    writeParcel(writer, parcel);
    hold(link, parcel);
  }

  #openLink(key: string, target: Target): Link {
    this.#journal
      .change(this)
      .byte(OPERATION.linkOpened)
      .text(target.topic)
      .uint(target.incarnation)
      .uint(target.queue);
    return this.#add(key, target);
  }

  #add(key: string, target: Target): Link {
    const link: Link = {
      number: this.#byNumber.length,
      target,
      first: 1,
      parcels: [],
      groups: new Map(),
      retryAt: 0,
      failures: 0,
    };
    this.#byNumber.push(link);
    this.#out.set(key, link);
    return link;
  }

  /** The target has everything below the number. Answers the parcels that this settles. */
  delivered(link: Link, nextNumber: number): Parcel[] {
    const count = Math.min(link.parcels.length, nextNumber - link.first);
    if (count <= 0) return [];
    this.#journal
      .change(this)
      .byte(OPERATION.linkTaken)
      .uint(link.number)
      .uint(link.first + count);
    return release(link, count);
  }

  /** The parcel of this number belongs to another queue of the target's topic by now. Answers whether it was there. */
  redirect(link: Link, number: number, queue: number): boolean {
    const parcel = link.parcels[number - link.first];
    if (parcel === undefined || parcel.from === "void") return false;
    this.#journal.change(this).byte(OPERATION.linkVoided).uint(link.number).uint(number);
    empty(link, number);
    this.#pushOn(this.#linkTo({ ...link.target, queue }), parcel);
    return true;
  }

  takenFrom(home: string): number {
    return this.#taken.get(home)?.last ?? 0;
  }

  /** Where the messages from this number on stand, as far as they came with the last call that brought any. */
  placesFrom(home: string, number: number): readonly ForwardPlace[] {
    const taken = this.#taken.get(home);
    if (taken === undefined || number > taken.last) return [];
    return taken.places.slice(Math.max(0, taken.places.length - (taken.last - number + 1)));
  }

  take(home: string, last: number, places: readonly ForwardPlace[]): void {
    const writer = this.#journal.change(this).byte(OPERATION.linkTook).text(home).uint(last);
    writePlaces(writer, places);
    this.#taken.set(home, { last, places });
  }

  encode(writer: ByteWriter): void {
    writer.byte(VERSION).uint(this.#byNumber.length);
    for (const { target, first, parcels } of this.#byNumber) {
      writer
        .text(target.topic)
        .uint(target.incarnation)
        .uint(target.queue)
        .uint(first)
        .uint(parcels.length);
      for (const parcel of parcels) writeParcel(writer, parcel);
    }
    writer.uint(this.#taken.size);
    for (const [home, { last, places }] of this.#taken) {
      writer.text(home).uint(last);
      writePlaces(writer, places);
    }
  }

  restore(data: Uint8Array, seq: number): void {
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown links version");
    this.savedSeq = seq;
    for (let left = reader.uint(); left > 0; left--) {
      const link = this.#readLink(reader);
      link.first = reader.uint();
      for (let parcels = reader.uint(); parcels > 0; parcels--) hold(link, readParcel(reader));
    }
    for (let left = reader.uint(); left > 0; left--) {
      const home = reader.text();
      this.#taken.set(home, { last: reader.uint(), places: readPlaces(reader) });
    }
  }

  #readLink(reader: ByteReader): Link {
    const target = { topic: reader.text(), incarnation: reader.uint(), queue: reader.uint() };
    return this.#add(keyOf(target), target);
  }

  apply(kind: number, reader: ByteReader, seq: number): void {
    const news = seq > this.savedSeq;
    if (news) this.#journal.restoreDirty(this, seq);
    switch (kind) {
      case OPERATION.linkOpened: {
        const target = { topic: reader.text(), incarnation: reader.uint(), queue: reader.uint() };
        if (news) this.#add(keyOf(target), target);
        return;
      }
      case OPERATION.linkPut: {
        const link = this.#byNumber[reader.uint()];
        const parcel = readParcel(reader);
        if (news && link !== undefined) hold(link, parcel);
        return;
      }
      case OPERATION.linkTaken: {
        const link = this.#byNumber[reader.uint()];
        const first = reader.uint();
        if (news && link !== undefined) release(link, first - link.first);
        return;
      }
      case OPERATION.linkVoided: {
        const link = this.#byNumber[reader.uint()];
        const number = reader.uint();
        if (news && link !== undefined) empty(link, number);
        return;
      }
      case OPERATION.linkTook: {
        const home = reader.text();
        const taken = { last: reader.uint(), places: readPlaces(reader) };
        if (news) this.#taken.set(home, taken);
        return;
      }
      default:
        throw new CodecError(`unknown link operation ${kind}`);
    }
  }
}

const keyOf = ({ topic, incarnation, queue }: Target): string => `${topic}/${incarnation}/${queue}`;

function hold(link: Link, parcel: Parcel): void {
  link.parcels.push(parcel);
  count(link, parcel, 1);
}

function release(link: Link, number: number): Parcel[] {
  link.first += number;
  const gone = link.parcels.splice(0, number);
  for (const parcel of gone) count(link, parcel, -1);
  return gone;
}

function empty(link: Link, number: number): void {
  const [parcel] = link.parcels.splice(number - link.first, 1, VOID);
  if (parcel !== undefined) count(link, parcel, -1);
}

function count(link: Link, { group }: Parcel, by: number): void {
  if (group === 0) return;
  const left = (link.groups.get(group) ?? 0) + by;
  if (left > 0) link.groups.set(group, left);
  else link.groups.delete(group);
}

function writeParcel(writer: ByteWriter, parcel: Parcel): void {
  writer
    .byte(SOURCES.indexOf(parcel.from))
    .uint(parcel.position)
    .uint(parcel.index)
    .uint(parcel.deliverAt)
    .uint(parcel.group);
}

function readParcel(reader: ByteReader): Parcel {
  const from = SOURCES[reader.byte()];
  if (from === undefined) throw new CodecError("unknown source of a parcel");
  const position = reader.uint();
  const index = reader.uint();
  const deliverAt = reader.uint();
  return { from, position, index, deliverAt, group: reader.uint() };
}

function writePlaces(writer: ByteWriter, places: readonly ForwardPlace[]): void {
  writer.uint(places.length);
  for (const { offset, delayed, deliverAt, duplicateOf } of places) {
    writer
      .uint((offset ?? -1) + 1)
      .uint((delayed ?? -1) + 1)
      .uint(deliverAt ?? 0)
      .text(duplicateOf ?? "");
  }
}

function readPlaces(reader: ByteReader): ForwardPlace[] {
  const places: ForwardPlace[] = [];
  for (let left = reader.uint(); left > 0; left--) {
    const offset = reader.uint() - 1;
    const delayed = reader.uint() - 1;
    const deliverAt = reader.uint();
    const duplicateOf = reader.text();
    places.push({
      ...(offset < 0 ? {} : { offset }),
      ...(delayed < 0 ? {} : { delayed }),
      ...(deliverAt === 0 ? {} : { deliverAt }),
      ...(duplicateOf === "" ? {} : { duplicateOf }),
    });
  }
  return places;
}
