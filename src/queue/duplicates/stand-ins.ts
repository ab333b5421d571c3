/**
 * Messages that stand by: sent while a half message of this queue held their dedup id, each kept among the delayed ones
 * until that half message is decided, and then released or done with. This is the list of who stands by for whom; what
 * follows from a decision is dedup.ts's. It is never longer than what is undecided, or was until a moment ago.
 */
import { CodecError, type ByteReader, type ByteWriter } from "../../core/bytes.ts";
import type { Journal, Page } from "../storage/journal.ts";
import { OPERATION } from "../storage/operations.ts";

const VERSION = 1;

/** A message of an undecided transaction: its place in the half log, and in its transaction. */
export interface HalfPlace {
  readonly position: number;
  readonly index: number;
}

const nameOf = ({ position, index }: HalfPlace): string => `${position} ${index}`;

export class StandIns implements Page {
  readonly name = "s";
  savedSeq = 0;
  dirtySeq = 0;
  readonly #journal: Journal;
  readonly #byHalf = new Map<string, { readonly half: HalfPlace; readonly delayed: number }>();
  /** Positions of those that stand by for nobody any more, until they are due. */
  readonly #released = new Set<number>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Position, in the log of delayed messages, of what stands by for the half message. */
  of(half: HalfPlace): number | undefined {
    return this.#byHalf.get(nameOf(half))?.delayed;
  }

  put(half: HalfPlace, delayed: number): void {
    this.#journal
      .change(this)
      .byte(OPERATION.standInPut)
      .uint(half.position)
      .uint(half.index)
      .uint(delayed);
    this.#byHalf.set(nameOf(half), { half, delayed });
  }

  /** Takes it off the list; what becomes of it is the caller's to say. */
  take(half: HalfPlace): number | undefined {
    const delayed = this.of(half);
    if (delayed === undefined) return undefined;
    this.#journal.change(this).byte(OPERATION.standInTaken).uint(half.position).uint(half.index);
    this.#byHalf.delete(nameOf(half));
    return delayed;
  }

  release(delayed: number): void {
    this.#journal.change(this).byte(OPERATION.standInReleased).uint(delayed);
    this.#released.add(delayed);
  }

  isReleased(delayed: number): boolean {
    return this.#released.has(delayed);
  }

  /** It came back, and is a message like any other, or none. */
  settle(delayed: number): void {
    this.#journal.change(this).byte(OPERATION.standInSettled).uint(delayed);
    this.#released.delete(delayed);
  }

  encode(writer: ByteWriter): void {
    writer.byte(VERSION).uint(this.#byHalf.size);
    for (const { half, delayed } of this.#byHalf.values())
      writer.uint(half.position).uint(half.index).uint(delayed);
    writer.uint(this.#released.size);
    for (const delayed of this.#released) writer.uint(delayed);
  }

  restore(reader: ByteReader, seq: number): void {
    if (reader.byte() !== VERSION) throw new CodecError("unknown version of stand-ins");
    this.savedSeq = seq;
    for (let left = reader.uint(); left > 0; left--) {
      const half = { position: reader.uint(), index: reader.uint() };
      this.#byHalf.set(nameOf(half), { half, delayed: reader.uint() });
    }
    for (let left = reader.uint(); left > 0; left--) this.#released.add(reader.uint());
  }

  apply(kind: number, reader: ByteReader, seq: number): void {
    const news = seq > this.savedSeq;
    if (news) this.#journal.restoreDirty(this, seq);
    switch (kind) {
      case OPERATION.standInPut: {
        const half = { position: reader.uint(), index: reader.uint() };
        const delayed = reader.uint();
        if (news) this.#byHalf.set(nameOf(half), { half, delayed });
        return;
      }
      case OPERATION.standInTaken: {
        const half = { position: reader.uint(), index: reader.uint() };
        if (news) this.#byHalf.delete(nameOf(half));
        return;
      }
      case OPERATION.standInReleased: {
        const delayed = reader.uint();
        if (news) this.#released.add(delayed);
        return;
      }
      case OPERATION.standInSettled: {
        const delayed = reader.uint();
        if (news) this.#released.delete(delayed);
        return;
      }
      default:
        throw new CodecError(`unknown operation ${kind} of stand-ins`);
    }
  }
}
