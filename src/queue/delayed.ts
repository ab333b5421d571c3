/**
 * Messages that wait for their time: a log in order of arrival, an index of due instants, and per position what became
 * of it (moved to the message log, recalled) or its new time. It never loads the waiting messages into memory.
 */
import { ByteReader, CodecError, type ByteWriter } from "../core/bytes.ts";
import { DueIndex } from "./due-index.ts";
import type { Journal, Page } from "./journal.ts";
import { OPERATION } from "./operations.ts";
import { SegmentLog } from "./segments.ts";
import type { Sql } from "./storage.ts";

const DELAYED_PAGE = 4_096;
const VERSION = 1;

/** offset ≥ 0: moved to the message log. −1: recalled. −2: sent on to the message group's new queue. */
export type Fate = { readonly offset: number; readonly at: number };
const RECALLED = -1;
const SENT_ON = -2;

class DelayedPage implements Page {
  readonly name: string;
  readonly number: number;
  savedSeq = 0;
  dirtySeq = 0;
  readonly fates = new Map<number, Fate>();
  readonly retimed = new Map<number, number>();

  constructor(number: number) {
    this.number = number;
    this.name = `d:${number}`;
  }

  encode(writer: ByteWriter): void {
    const base = this.number * DELAYED_PAGE;
    writer.byte(VERSION).uint(this.fates.size);
    for (const [position, { offset, at }] of this.fates)
      writer
        .uint(position - base)
        .uint(offset - SENT_ON)
        .uint(at);
    writer.uint(this.retimed.size);
    for (const [position, dueAt] of this.retimed) writer.uint(position - base).uint(dueAt);
  }

  static decode(number: number, data: Uint8Array, seq: number): DelayedPage {
    const page = new DelayedPage(number);
    page.savedSeq = seq;
    const base = number * DELAYED_PAGE;
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown delayed page version");
    for (let left = reader.uint(); left > 0; left--) {
      page.fates.set(base + reader.uint(), { offset: reader.uint() + SENT_ON, at: reader.uint() });
    }
    for (let left = reader.uint(); left > 0; left--)
      page.retimed.set(base + reader.uint(), reader.uint());
    return page;
  }
}

export class Delayed {
  readonly log: SegmentLog;
  readonly index: DueIndex;
  readonly #journal: Journal;
  readonly #pages = new Map<number, DelayedPage>();
  readonly #pendingDues: number[] = [];
  #done = 0;

  constructor(sql: Sql, journal: Journal) {
    this.#journal = journal;
    this.index = new DueIndex(sql);
    this.log = new SegmentLog(sql, {
      table: "delayed_log",
      pageEntries: DELAYED_PAGE,
      summarize: (first, entries) => this.#summarize(first, entries),
    });
  }

  /** The dues of a segment, so that waking can index it without its bodies. */
  #summarize(_first: number, entries: readonly Uint8Array[]): Uint8Array {
    const dues = this.#pendingDues.splice(0, entries.length);
    return new TextEncoder().encode(JSON.stringify(dues));
  }

  add(entry: Uint8Array, dueAt: number, nowMs: number): number {
    const position = this.log.append(entry, nowMs);
    this.#pendingDues.push(dueAt);
    this.index.add(position, dueAt);
    return position;
  }

  get count(): number {
    return this.log.next - this.#done;
  }

  fate(position: number): Fate | undefined {
    return this.#pages.get(Math.floor(position / DELAYED_PAGE))?.fates.get(position);
  }

  static isRecalled(fate: Fate): boolean {
    return fate.offset === RECALLED;
  }

  /** Where a waiting message's own time was changed to, if it was. */
  retimedTo(position: number): number | undefined {
    return this.#pages.get(Math.floor(position / DELAYED_PAGE))?.retimed.get(position);
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

  #page(position: number): DelayedPage {
    const number = Math.floor(position / DELAYED_PAGE);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new DelayedPage(number);
      this.#pages.set(number, page);
    }
    return page;
  }

  #settle(position: number, offset: number, nowMs: number): void {
    const page = this.#page(position);
    this.#journal
      .change(page)
      .byte(OPERATION.moved)
      .uint(position)
      .uint(offset - SENT_ON)
      .uint(nowMs);
    page.fates.set(position, { offset, at: nowMs });
    page.retimed.delete(position);
    this.#done++;
  }

  moved(position: number, offset: number, nowMs: number): void {
    this.#settle(position, offset, nowMs);
  }

  recalled(position: number, nowMs: number): void {
    this.#settle(position, RECALLED, nowMs);
  }

  sentOn(position: number, nowMs: number): void {
    this.#settle(position, SENT_ON, nowMs);
  }

  retime(position: number, dueAt: number): void {
    const page = this.#page(position);
    this.#journal.change(page).byte(OPERATION.retimed).uint(position).uint(dueAt);
    page.retimed.set(position, dueAt);
    this.index.add(position, dueAt);
  }

  /** Pages that are wholly settled, and the log under them, go once the newest fate is older than the instant. */
  dropSettled(settledBefore: number): void {
    for (const page of this.#pages.values()) {
      if (page.fates.size < DELAYED_PAGE) continue;
      let newest = 0;
      for (const { at } of page.fates.values()) newest = Math.max(newest, at);
      if (newest >= settledBefore) continue;
      this.log.dropPage(page.number, DELAYED_PAGE);
      this.#journal.retire(page);
      this.#pages.delete(page.number);
      this.#done -= DELAYED_PAGE;
      return;
    }
  }

  restorePage(number: number, data: Uint8Array, seq: number): void {
    this.#pages.set(number, DelayedPage.decode(number, data, seq));
  }

  apply(kind: number, reader: ByteReader, seq: number): void {
    const position = reader.uint();
    const page = this.#page(position);
    const news = seq > page.savedSeq;
    if (news) this.#journal.restoreDirty(page, seq);
    if (kind === OPERATION.moved) {
      const fate = { offset: reader.uint() + SENT_ON, at: reader.uint() };
      if (!news) return;
      page.fates.set(position, fate);
      page.retimed.delete(position);
    } else {
      const dueAt = reader.uint();
      if (news) page.retimed.set(position, dueAt);
    }
  }

  /** After the replay: what the index's own rows do not hold yet is fed back. */
  settle(): void {
    const from = this.index.indexedUpTo();
    for (const { first, head } of this.log.heads(from, 1_000_000)) {
      const dues = JSON.parse(new TextDecoder().decode(head)) as number[];
      for (const [index, dueAt] of dues.entries())
        if (first + index >= from) this.index.restore(first + index, dueAt);
    }
    let held = 0;
    for (const page of this.#pages.values()) {
      held += page.fates.size;
      for (const [position, dueAt] of page.retimed) this.index.add(position, dueAt);
    }
    this.#done = held + this.log.first;
  }
}
