/**
 * A log in segments: a flush appends all of its entries as one row (more when they pass PART_BYTES). Entries have
 * positions 0, 1, 2 … without a hole. What was appended in the flush under way can be read at once: no answer leaves
 * before the flush is on disk. In memory stand the newest segments and a few stretches read lately, never the backlog.
 * The log does not know what its entries mean; `head` is its owner's summary of a segment, readable without the body.
 */
import { CodecError } from "../../core/bytes.ts";
import { PART_BYTES } from "./long-bodies.ts";
import type { Facts, OpenStorage } from "../storage/facts.ts";
import { Pending, Segment } from "./segment.ts";
import { SegmentMemory, STRETCH_BYTES } from "./segment-memory.ts";
import { SegmentRows, type LogTable, type SegmentRow } from "./segment-rows.ts";
import type { Sql } from "../storage/storage.ts";

const NO_HEAD = new Uint8Array();
/** Rows that whoever looks for the oldest reads at first; most are done with them. */
const OLDEST_FIRST = 4;
/** Rows of a stretch: of the first one, and of one that continues others. */
const AHEAD_FIRST = 8;
const AHEAD_MAX = 256;

export interface SegmentOptions {
  readonly table: LogTable;
  /** Segments never cross a multiple of this. */
  readonly pageEntries?: number;
  /** The owner's summary of a segment's entries. */
  readonly summarize?: (entries: readonly Uint8Array[]) => Uint8Array;
}

/** Told of the positions whose rows go, before they do. */
export type BeforeDrop = (from: number, to: number) => void;

export class SegmentLog {
  readonly #sql: Sql;
  readonly #facts: Facts;
  readonly #options: SegmentOptions;
  readonly #memory = new SegmentMemory();
  readonly #rows: SegmentRows;
  #pending: Pending | undefined;
  #pendingAt = 0;
  /** Of the last flush. */
  #lastBytes = 0;
  #first = 0;
  #next = 0;
  #total = 0;
  #bytes = 0;
  #lastStoredAt = 0;
  #firstStoredAt: number | undefined;

  constructor({ sql, facts }: OpenStorage, options: SegmentOptions) {
    this.#sql = sql;
    this.#facts = facts;
    this.#options = options;
    this.#rows = new SegmentRows(sql, options.table);
    this.#wake();
  }

  #wake(): void {
    const base = this.#facts.get(`${this.#options.table}.base`);
    if (base !== undefined) {
      const { next, total, storedAt } = JSON.parse(base) as {
        next: number;
        total: number;
        storedAt: number;
      };
      this.#first = this.#next = next;
      this.#total = total;
      this.#lastStoredAt = storedAt;
    }
    const [last] = this.#rows.read("ORDER BY first DESC LIMIT 1");
    if (last === undefined) return;
    this.#next = last.first + last.count;
    this.#total = last.total;
    this.#lastStoredAt = last.storedAt;
    for (const { first, storedAt, total, bytes } of this.#rows.read("ORDER BY first LIMIT 1")) {
      this.#first = first;
      this.#firstStoredAt = storedAt;
      this.#bytes = this.#total - total + bytes;
    }
  }

  /** The oldest position held. */
  get first(): number {
    return this.#first;
  }

  /** The position that the next entry gets. */
  get next(): number {
    return this.#next + (this.#pending?.count ?? 0);
  }

  /** The same without what the flush under way appends: where its first row will begin. */
  get nextStored(): number {
    return this.#next;
  }

  /** Positions that no row holds, by the newest `rowsMax` rows, and from where on those were looked at. */
  holes(rowsMax: number): { from: number; holes: { offset: number; count: number }[] } {
    const holes: { offset: number; count: number }[] = [];
    let from = this.#next;
    let rows = 0;
    const query = `SELECT first, count FROM ${this.#options.table} ORDER BY first DESC LIMIT ?`;
    for (const row of this.#sql.exec(query, rowsMax)) {
      const first = Number(row["first"]);
      const end = first + Number(row["count"]);
      // More than it should be is a fault as well.
      if (end !== from) holes.push({ offset: Math.min(end, from), count: Math.abs(from - end) });
      from = first;
      rows++;
    }
    if (rows < rowsMax && from > this.#first)
      holes.push({ offset: this.#first, count: from - this.#first });
    return { from: rows < rowsMax ? this.#first : from, holes: holes.toReversed() };
  }

  /** Bytes of all segments held. */
  get bytes(): number {
    return this.#bytes + (this.#pending?.bytes ?? 0);
  }

  /** Bytes of all rows in front of those held, from the log's beginning on. */
  get before(): number {
    return this.#total - this.#bytes;
  }

  /** Never goes back, whatever the clock does. */
  get lastStoredAt(): number {
    return this.#lastStoredAt;
  }

  /** When the oldest segment was stored; nothing while there is none on disk. */
  get firstStoredAt(): number | undefined {
    return this.#firstStoredAt;
  }

  /** Appends a copy in the flush under way; answers the position. */
  append(entry: Uint8Array, nowMs: number): number {
    this.#pendingAt = Math.max(this.#lastStoredAt, nowMs);
    this.#pending ??= new Pending(2 * this.#lastBytes);
    this.#pending.add(entry);
    return this.next - 1;
  }

  /**
   * The same for entries that stand one behind the other as in a segment's body, each with its length in front, beginning at
   * `starts`; answers the position of the first.
   */
  appendFrame(frame: Uint8Array, starts: readonly number[], nowMs: number): number {
    const first = this.next;
    if (starts.length === 0) return first;
    this.#pendingAt = Math.max(this.#lastStoredAt, nowMs);
    this.#pending ??= new Pending(2 * this.#lastBytes);
    this.#pending.addFrame(frame, starts);
    return first;
  }

  /** The instant at which an entry appended now counts as stored. */
  storedAt(nowMs: number): number {
    return Math.max(this.#lastStoredAt, nowMs);
  }

  get hasPending(): boolean {
    return this.#pending !== undefined;
  }

  /** Writes what the flush appended; `keys` go into the first row. Answers whether a row took them. */
  commit(keys: Uint8Array | undefined): boolean {
    const pending = this.#pending;
    if (pending === undefined) return false;
    const page = this.#options.pageEntries ?? Number.MAX_SAFE_INTEGER;
    const { count } = pending;
    let from = 0;
    let blob = keys;
    while (from < count) {
      const room = page - (this.#next % page);
      const bytesMax = PART_BYTES - (blob?.length ?? 0);
      let to = from + 1;
      while (to < count && to - from < room) {
        if (pending.size(from, to + 1) > bytesMax) break;
        to++;
      }
      this.#writeSegment(pending, from, to, blob);
      blob = undefined;
      from = to;
    }
    this.#lastStoredAt = this.#pendingAt;
    this.#lastBytes = pending.bytes;
    this.#pending = undefined;
    return true;
  }

  #writeSegment(pending: Pending, from: number, to: number, keys: Uint8Array | undefined): void {
    const [first, count, storedAt] = [this.#next, to - from, this.#pendingAt];
    const written = pending.body(from, to);
    const head = this.#summary(pending, from, to);
    const bytes = SegmentRows.bytesOf(written.length, head.length);
    this.#total += bytes;
    this.#bytes += bytes;
    const row = { first, count, storedAt, bytes, total: this.#total, head };
    const body = this.#rows.insert(row, written, keys);
    this.#firstStoredAt ??= storedAt;
    this.#memory.appended(new Segment({ ...row, body, starts: pending.starts(from, to) }));
    this.#next += count;
  }

  #summary(pending: Pending, from: number, to: number): Uint8Array {
    const { summarize } = this.#options;
    if (summarize === undefined) return NO_HEAD;
    const entries: Uint8Array[] = [];
    for (let index = from; index < to; index++) entries.push(pending.entry(index) ?? NO_HEAD);
    return summarize(entries);
  }

  /** The entry at a position, with when it was stored; undefined outside first … next−1. */
  read(position: number): { entry: Uint8Array; storedAt: number } | undefined {
    if (position >= this.#next) {
      const entry = this.#pending?.entry(position - this.#next);
      return entry === undefined ? undefined : { entry, storedAt: this.#pendingAt };
    }
    const segment = this.segmentAt(position);
    const entry = segment?.entry(position);
    return segment === undefined || entry === undefined
      ? undefined
      : { entry, storedAt: segment.storedAt };
  }

  /** The segment that holds the position, from memory or disk; what the flush under way appended is not in one yet. */
  segmentAt(position: number): Segment | undefined {
    if (position < this.#first || position >= this.#next) return undefined;
    return this.#memory.find(position) ?? this.#load(position);
  }

  #load(position: number): Segment | undefined {
    const { table } = this.#options;
    const segments: Segment[] = [];
    let read = 0;
    // Who reads on in order gets more and more at a time; who wants one message, little more than it.
    const ahead = Math.min(
      AHEAD_MAX,
      Math.max(AHEAD_FIRST, 4 * this.#memory.countBefore(position)),
    );
    const which = `WHERE first >= (SELECT MAX(first) FROM ${table} WHERE first <= ?) ORDER BY first LIMIT ?`;
    try {
      for (const segment of this.#rows.whole(which, position, ahead)) {
        if (segments.length > 0 && read + segment.bytes > STRETCH_BYTES) break;
        segments.push(segment);
        read += segment.bytes;
      }
    } catch (error) {
      // A damaged row is told to whoever wants it, not to who reads up to it.
      if (!(error instanceof CodecError) || segments.length === 0) throw error;
    }
    const found = this.#memory.loaded(segments, position);
    // Only pages are dropped from the middle of a log.
    if (found === undefined && this.#options.pageEntries === undefined)
      throw new CodecError(`${table} has no row with ${position}`);
    return found;
  }

  /** Is the position's row still there? Reads no body. */
  holds(position: number): boolean {
    const rows = this.#rows.read("WHERE first <= ? ORDER BY first DESC LIMIT 1", position);
    for (const { first, count } of rows) return position < first + count;
    return false;
  }

  /** Summaries from a position on, at most `limit` rows, without their bodies. */
  heads(
    position: number,
    limit: number,
  ): readonly Pick<SegmentRow, "first" | "count" | "storedAt" | "head">[] {
    if (position >= this.#next) return [];
    const rows = [...this.#rows.read("WHERE first >= ? ORDER BY first LIMIT ?", position, limit)];
    for (const [index, { first }] of rows.entries()) {
      const before = rows[index - 1];
      if (before !== undefined) this.#checkGap(before.first + before.count, first);
    }
    return rows;
  }

  /** Rows follow each other, but for pages that were dropped as a whole. */
  #checkGap(end: number, next: number): void {
    const { table, pageEntries } = this.#options;
    const isPages =
      pageEntries !== undefined && end % pageEntries === 0 && next % pageEntries === 0;
    if (next !== end && !isPages) throw new CodecError(`${table} has no row with ${end}`);
  }

  /** Key blobs of rows from a position on, in order. */
  keyBlobs(position: number): Uint8Array[] {
    return this.#rows.keyBlobs(position);
  }

  /** The first position stored at or after the instant; `next` when there is none. */
  positionAt(atMs: number): number {
    if (this.#pending !== undefined && this.#lastStoredAt < atMs) {
      return this.#pendingAt >= atMs ? this.#next : this.next;
    }
    let low = this.#first;
    let high = this.#next;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      let found = false;
      const rows = this.#rows.read("WHERE first <= ? ORDER BY first DESC LIMIT 1", middle);
      for (const { first, count, storedAt } of rows) {
        found = true;
        if (storedAt >= atMs) high = Math.max(low, first);
        else low = first + count;
      }
      if (!found) break;
    }
    return low;
  }

  /** The segment rows that may go first: oldest first, at most `limit`, read as they are asked for. */
  *oldest(limit: number): Generator<Pick<SegmentRow, "first" | "count" | "storedAt" | "bytes">> {
    let from = this.#first;
    let left = limit;
    for (let step = OLDEST_FIRST; left > 0; step *= 2) {
      const asked = Math.min(step, left);
      const rows = [...this.#rows.read("WHERE first >= ? ORDER BY first LIMIT ?", from, asked)];
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < asked) return;
      from = last.first + last.count;
      left -= asked;
    }
  }

  /** The segments that begin in [from, to), whole. */
  whole(from: number, to: number): Segment[] {
    return [...this.#rows.whole("WHERE first >= ? AND first < ? ORDER BY first", from, to)];
  }

  /** Do rows that begin in [from, to) carry keys? */
  haveKeys(from: number, to: number): boolean {
    return this.#rows.haveKeys(from, to);
  }

  /** Drops everything below the position, which is a segment's first or `next`. Not while entries are pending. */
  truncate(position: number): void {
    this.#drop(this.#first, position);
    this.#first = position;
    this.#bytes = 0;
    this.#firstStoredAt = undefined;
    for (const { total, bytes, storedAt } of this.#rows.read("ORDER BY first LIMIT 1")) {
      this.#firstStoredAt = storedAt;
      this.#bytes = this.#total - total + bytes;
    }
    this.#memory.forgetBelow(this.#first);
  }

  /** Drops the rows of one page, wherever it stands in the log. */
  dropPage(page: number, pageEntries: number): void {
    const from = page * pageEntries;
    this.#drop(from, from + pageEntries);
    this.#first = this.#next;
    this.#firstStoredAt = undefined;
    for (const { first, storedAt } of this.#rows.read("ORDER BY first LIMIT 1")) {
      this.#first = first;
      this.#firstStoredAt = storedAt;
    }
    this.#memory.forgetBelow(this.#first);
  }

  /** Deletes the rows of [from, to); where the log stands must not be known from them alone. */
  #drop(from: number, to: number): void {
    const { table } = this.#options;
    if (to >= this.#next) {
      const base = { next: this.#next, total: this.#total, storedAt: this.#lastStoredAt };
      this.#facts.set(`${table}.base`, JSON.stringify(base));
    }
    this.#rows.drop(from, to);
  }
}
