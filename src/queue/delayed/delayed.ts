/**
 * Messages that wait for their time: a log in order of arrival, an index of due instants, and per position what became
 * of it (moved to the message log, recalled, sent on) or its new time. It never loads the waiting messages into memory,
 * nor the fates of those that are done with: pages come in when they are asked for and go when they are saved, and
 * wholly settled ones stand in an archive until retention is over.
 */
import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.ts";
import { DELAYED_PAGE, DelayedPage, fateCode, readOffset, writeOffset, type Fate } from "./page.ts";
import { DueIndex } from "./due-index.ts";
import type { Journal, Page } from "../storage/journal.ts";
import { OPERATION } from "../storage/operations.ts";
import { SegmentLog, type BeforeDrop } from "../log/segments.ts";
import { Archive } from "../storage/archive.ts";
import type { OpenStorage } from "../storage/facts.ts";

const VERSION = 1;
/** Saved pages that stay in memory. */
const PAGES_MAX = 64;

/** Archived pages that one look for old ones goes through. */
const ARCHIVED_LOOKED_AT = 64;

const pageOf = (position: number): number => Math.floor(position / DELAYED_PAGE);

export class Delayed implements Page {
  readonly name = "d";
  savedSeq = 0;
  dirtySeq = 0;
  readonly log: SegmentLog;
  readonly index: DueIndex;
  readonly #archive: Archive;
  readonly #journal: Journal;
  readonly #pages = new Map<number, DelayedPage>();
  readonly #pendingDues: number[] = [];
  /** Positions that ever got a fate. */
  #settled = 0;
  /** The oldest flush with a new time that the index's rows lack. */
  #retimedSeq = 0;

  constructor(storage: OpenStorage, journal: Journal) {
    this.#archive = new Archive(storage.sql, "delayed_archive");
    this.#journal = journal;
    this.index = new DueIndex(storage.sql);
    this.log = new SegmentLog(storage, {
      table: "delayed_log",
      pageEntries: DELAYED_PAGE,
      summarize: (entries) => this.#summarize(entries),
    });
  }

  /** The dues of a segment, so that waking can index it without its bodies. */
  #summarize(entries: readonly Uint8Array[]): Uint8Array {
    const dues = this.#pendingDues.splice(0, entries.length);
    return new TextEncoder().encode(JSON.stringify(dues));
  }

  // ------------------------------------------------------------ changing

  add(entry: Uint8Array, dueAt: number, nowMs: number): number {
    const position = this.log.append(entry, nowMs);
    this.#pendingDues.push(dueAt);
    this.index.add(position, dueAt);
    return position;
  }

  moved(position: number, offset: number, nowMs: number): void {
    this.#settle(position, { is: "moved", offset }, nowMs);
  }

  recalled(position: number, nowMs: number): void {
    this.#settle(position, { is: "recalled" }, nowMs);
  }

  sentOn(position: number, nowMs: number): void {
    this.#settle(position, { is: "sentOn" }, nowMs);
  }

  #settle(position: number, fate: Fate, nowMs: number): void {
    const page = this.#page(position);
    const code = fateCode(fate);
    this.#journal.change(page).byte(OPERATION.settled).uint(position).uint(code).uint(nowMs);
    this.#journal.touch(this);
    page.settle(position, code, nowMs);
    this.#settled++;
    this.#archiveIfComplete(page);
  }

  /** What was sent on stands in another queue now, or never will; where may not be known. */
  arrived(position: number, queue: number, offset: number | undefined): void {
    const page = this.#page(position);
    const writer = this.#journal.change(page).byte(OPERATION.arrived).uint(position).uint(queue);
    writeOffset(writer, offset);
    page.arrive(position, queue, offset);
    this.#archiveIfComplete(page);
  }

  retime(position: number, dueAt: number): void {
    const page = this.#page(position);
    this.#journal.change(page).byte(OPERATION.retimed).uint(position).uint(dueAt);
    page.retimed.set(position, dueAt);
    this.#index(position, dueAt, this.#journal.seq);
  }

  #index(position: number, dueAt: number, seq: number): void {
    this.index.add(position, dueAt);
    if (this.#retimedSeq === 0) this.#retimedSeq = seq;
  }

  /** The end of a flush: the index's own rows, where they are due. */
  commit(): void {
    // A new time must be in the index's own rows before the journal overwrites it.
    if (this.index.sealDue() || this.#journal.isAtRisk(this.#retimedSeq)) {
      this.index.seal();
      this.#retimedSeq = 0;
    }
    if (this.index.mergeDue()) this.index.mergeStep();
    this.#trim();
  }

  // ------------------------------------------------------------ finding

  /** How many wait. */
  get count(): number {
    return this.log.next - this.#settled;
  }

  fate(position: number): Fate | undefined {
    return this.#find(pageOf(position))?.fate(position);
  }

  /** Where a waiting message's own time was changed to, if it was. */
  retimedTo(position: number): number | undefined {
    return this.#find(pageOf(position))?.retimed.get(position);
  }

  /** The due instant it was stored with, or its new one. */
  dueAt(position: number): number | undefined {
    const retimed = this.retimedTo(position);
    if (retimed !== undefined) return retimed;
    const segment = this.log.segmentAt(position);
    if (segment === undefined) return undefined;
    return (JSON.parse(new TextDecoder().decode(segment.head)) as number[])[
      position - segment.first
    ];
  }

  // ------------------------------------------------------------ pages

  #page(position: number): DelayedPage {
    const number = pageOf(position);
    const found = this.#find(number);
    if (found !== undefined) return found;
    const page = new DelayedPage(number);
    this.#pages.set(number, page);
    return page;
  }

  #find(number: number): DelayedPage | undefined {
    const held = this.#pages.get(number);
    if (held !== undefined) return held;
    const saved = this.#journal.read(`d:${number}`);
    const page =
      saved === undefined
        ? this.#findArchived(number)
        : DelayedPage.decode(number, saved.data, saved.seq);
    if (page !== undefined) this.#pages.set(number, page);
    return page;
  }

  /** An archived page is past every operation. */
  #findArchived(number: number): DelayedPage | undefined {
    const data = this.#archive.find(number);
    return data === undefined ? undefined : DelayedPage.decode(number, data, Infinity);
  }

  /** Pages that are as they are saved can be read again. */
  #trim(): void {
    if (this.#pages.size <= PAGES_MAX) return;
    for (const page of this.#pages.values()) {
      if (page.dirtySeq === 0) this.#pages.delete(page.number);
      if (this.#pages.size <= PAGES_MAX) return;
    }
  }

  #archiveIfComplete(page: DelayedPage): void {
    if (!page.complete) return;
    const writer = new ByteWriter(32_768);
    page.encode(writer);
    this.#archive.put(page.number, page.newestAt, writer.view());
    this.#journal.retire(page);
    this.#pages.delete(page.number);
  }

  /**
   * One archived page, and the log under it, goes once its newest fate is older than the instant. `beforeDrop` is called
   * before rows of the log go, with their positions.
   */
  dropSettled(settledBefore: number, beforeDrop: BeforeDrop): void {
    for (const { number } of this.#archive.due(ARCHIVED_LOOKED_AT, settledBefore)) {
      beforeDrop(number * DELAYED_PAGE, (number + 1) * DELAYED_PAGE);
      this.#archive.remove(number);
      this.#pages.delete(number);
      this.log.dropPage(number, DELAYED_PAGE);
      return;
    }
  }

  // ------------------------------------------------------------ waking

  encode(writer: ByteWriter): void {
    writer.byte(VERSION).uint(this.#settled);
  }

  restoreHead(data: Uint8Array, seq: number): void {
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown delayed head version");
    this.savedSeq = seq;
    this.#settled = reader.uint();
  }

  apply(kind: number, reader: ByteReader, seq: number): void {
    const position = reader.uint();
    const page = this.#replayed(position);
    const news = seq > page.savedSeq;
    if (news) this.#journal.restoreDirty(page, seq);
    switch (kind) {
      case OPERATION.settled: {
        const code = reader.uint();
        const atMs = reader.uint();
        if (news) page.settle(position, code, atMs);
        if (seq <= this.savedSeq) return;
        this.#journal.restoreDirty(this, seq);
        this.#settled++;
        return;
      }
      case OPERATION.retimed: {
        const dueAt = reader.uint();
        if (news) page.retimed.set(position, dueAt);
        this.#index(position, dueAt, seq);
        return;
      }
      case OPERATION.arrived: {
        const queue = reader.uint();
        const offset = readOffset(reader);
        if (news) page.arrive(position, queue, offset);
        return;
      }
      default:
        throw new CodecError(`unknown operation ${kind} of delayed messages`);
    }
  }

  /** A page that was dropped since the operation was written stays gone. */
  #replayed(position: number): DelayedPage {
    const found = this.#find(pageOf(position));
    if (found !== undefined) return found;
    const page = new DelayedPage(pageOf(position));
    if (this.log.holds(position)) this.#pages.set(page.number, page);
    else page.savedSeq = Infinity;
    return page;
  }

  /** After the replay: what the index's own rows do not hold yet is fed back. */
  settle(): void {
    const from = this.index.indexedUpTo();
    for (const { first, head } of this.log.heads(from, 1_000_000)) {
      const dues = JSON.parse(new TextDecoder().decode(head)) as number[];
      for (const [index, dueAt] of dues.entries())
        if (first + index >= from) this.index.restore(first + index, dueAt);
    }
  }
}
