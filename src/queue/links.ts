/**
 * Ordered links from this queue to others: committed messages whose place is elsewhere go out numbered 1, 2, 3 … per
 * target, and a target takes from each home only the next number. So each arrives exactly once and in order, whatever
 * crashes or is answered twice. It holds references, not bodies; sending is the queue's.
 */
import { ByteReader, CodecError, type ByteWriter } from "../core/bytes.ts";
import type { Target } from "../protocol/rpc.ts";
import type { Journal, Page } from "./journal.ts";
import { OPERATION } from "./operations.ts";

const VERSION = 1;

/** A message that is on its way: where its content stands here, and when it is due there (0: at once). */
export interface Parcel {
  readonly from: "half" | "delayed";
  readonly position: number;
  readonly index: number;
  readonly deliverAt: number;
}

export interface Link {
  readonly number: number;
  readonly target: Target;
  /** Number of the first parcel that waits. */
  first: number;
  readonly parcels: Parcel[];
  /** Not stored: the call that is under way, and when to try again. */
  busy: boolean;
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
  /** home → the last number taken. */
  readonly #taken = new Map<string, number>();

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

  nextDueAt(): number | undefined {
    let next: number | undefined;
    for (const link of this.#byNumber) {
      if (link.parcels.length > 0) next = Math.min(next ?? Infinity, link.retryAt);
    }
    return next;
  }

  push(target: Target, parcel: Parcel): void {
    const key = `${target.topic}/${target.incarnation}/${target.queue}`;
    const link = this.#out.get(key) ?? this.#openLink(key, target);
    this.#journal.change(this).byte(OPERATION.linkPushed).uint(link.number);
    this.#writeParcel(this.#journal.change(this), parcel);
    link.parcels.push(parcel);
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
      busy: false,
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
    link.first += count;
    return link.parcels.splice(0, count);
  }

  takenFrom(home: string): number {
    return this.#taken.get(home) ?? 0;
  }

  take(home: string, last: number): void {
    this.#journal.change(this).byte(OPERATION.linkIn).text(home).uint(last);
    this.#taken.set(home, last);
  }

  #writeParcel(writer: ByteWriter, parcel: Parcel): void {
    writer
      .byte(parcel.from === "half" ? 0 : 1)
      .uint(parcel.position)
      .uint(parcel.index)
      .uint(parcel.deliverAt);
  }

  #readParcel(reader: ByteReader): Parcel {
    return {
      from: reader.byte() === 0 ? "half" : "delayed",
      position: reader.uint(),
      index: reader.uint(),
      deliverAt: reader.uint(),
    };
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
      for (const parcel of parcels) this.#writeParcel(writer, parcel);
    }
    writer.uint(this.#taken.size);
    for (const [home, last] of this.#taken) writer.text(home).uint(last);
  }

  restore(data: Uint8Array, seq: number): void {
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown links version");
    this.savedSeq = seq;
    for (let left = reader.uint(); left > 0; left--) {
      const link = this.#readLink(reader);
      link.first = reader.uint();
      for (let parcels = reader.uint(); parcels > 0; parcels--)
        link.parcels.push(this.#readParcel(reader));
    }
    for (let left = reader.uint(); left > 0; left--) this.#taken.set(reader.text(), reader.uint());
  }

  #readLink(reader: ByteReader): Link {
    const target = { topic: reader.text(), incarnation: reader.uint(), queue: reader.uint() };
    return this.#add(`${target.topic}/${target.incarnation}/${target.queue}`, target);
  }

  apply(kind: number, reader: ByteReader, seq: number): void {
    const news = seq > this.savedSeq;
    if (news) this.#journal.restoreDirty(this, seq);
    switch (kind) {
      case OPERATION.linkOpened: {
        const target = { topic: reader.text(), incarnation: reader.uint(), queue: reader.uint() };
        if (news) this.#add(`${target.topic}/${target.incarnation}/${target.queue}`, target);
        return;
      }
      case OPERATION.linkPushed: {
        const link = this.#byNumber[reader.uint()];
        const parcel = this.#readParcel(reader);
        if (news) link?.parcels.push(parcel);
        return;
      }
      case OPERATION.linkTaken: {
        const link = this.#byNumber[reader.uint()];
        const first = reader.uint();
        if (!news || link === undefined) return;
        link.parcels.splice(0, first - link.first);
        link.first = first;
        return;
      }
      case OPERATION.linkIn: {
        const home = reader.text();
        const last = reader.uint();
        if (news) this.#taken.set(home, last);
        return;
      }
      default:
        throw new CodecError(`unknown link operation ${kind}`);
    }
  }
}
