/**
 * A log in segments: a flush appends all of its entries as one row (more when they pass SEGMENT_BYTES). Entries have
 * positions 0, 1, 2 … without a hole. What was appended in the flush under way can be read at once: no answer leaves
 * before the flush is on disk. In memory stand the newest segments and a few stretches read lately, never the backlog.
 * The log does not know what its entries mean; `head` is its owner's summary of a segment, readable without the body.
 */
import { ByteReader, ByteWriter } from "../core/bytes.ts";
import { withCrc, withoutCrc } from "../core/crc32.ts";
import { readMeta, writeMeta } from "./schema.ts";
import { bytesOf, type Sql } from "./storage.ts";

/** A row stays under the platform's 2 MB. */
const SEGMENT_BYTES = 1_400_000;
/** Newest segments kept in memory. */
const TAIL_BYTES = 4 * 1024 * 1024;
/** One stretch read from disk, and how many of them stay. */
const STRETCH_BYTES = 1024 * 1024;
const STRETCHES = 6;

export interface Segment {
  readonly first: number;
  readonly storedAt: number;
  readonly head: Uint8Array;
  readonly entries: readonly Uint8Array[];
  readonly bytes: number;
}

/** A run of consecutive segments in memory. */
interface Stretch {
  readonly segments: Segment[];
  bytes: number;
}

const endOf = (segment: Segment): number => segment.first + segment.entries.length;

/** The last segment that begins at or before the position; the segments are in order. */
function locate(segments: readonly Segment[], position: number): Segment | undefined {
  let low = 0;
  let high = segments.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const segment = segments[middle];
    if (segment === undefined) return undefined;
    if (position < segment.first) high = middle - 1;
    else if (position >= endOf(segment)) low = middle + 1;
    else return segment;
  }
  return undefined;
}

export interface SegmentOptions {
  readonly table: "message_log" | "half_log" | "delayed_log";
  /** Segments never cross a multiple of this. */
  readonly pageEntries?: number;
  /** The owner's summary of entries first … first+entries.length−1. */
  readonly summarize: (first: number, entries: readonly Uint8Array[]) => Uint8Array;
}

export class SegmentLog {
  readonly #sql: Sql;
  readonly #options: SegmentOptions;
  readonly #tail: Stretch = { segments: [], bytes: 0 };
  #stretches: Stretch[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #pendingAt = 0;
  #first = 0;
  #next = 0;
  #total = 0;
  #bytes = 0;
  #lastStoredAt = 0;
  #firstStoredAt: number | undefined;

  constructor(sql: Sql, options: SegmentOptions) {
    this.#sql = sql;
    this.#options = options;
    this.#wake();
  }

  #wake(): void {
    const base = readMeta(this.#sql, `${this.#options.table}.base`);
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
    const columns = `SELECT first, count, stored_at, bytes, total FROM ${this.#options.table} ORDER BY first`;
    for (const row of this.#sql.exec(`${columns} DESC LIMIT 1`)) {
      this.#next = Number(row["first"]) + Number(row["count"]);
      this.#total = Number(row["total"]);
      this.#lastStoredAt = Number(row["stored_at"]);
      this.#first = this.#next;
    }
    for (const row of this.#sql.exec(`${columns} LIMIT 1`)) {
      this.#first = Number(row["first"]);
      this.#firstStoredAt = Number(row["stored_at"]);
      this.#bytes = this.#total - Number(row["total"]) + Number(row["bytes"]);
    }
  }

  /** The oldest position held. */
  get first(): number {
    return this.#first;
  }

  /** The position that the next entry gets. */
  get next(): number {
    return this.#next + this.#pending.length;
  }

  /** Bytes of all segments held. */
  get bytes(): number {
    return this.#bytes + this.#pendingBytes;
  }

  /** Never goes back, whatever the clock does. */
  get lastStoredAt(): number {
    return this.#lastStoredAt;
  }

  /** When the oldest segment was stored; nothing while there is none on disk. */
  get firstStoredAt(): number | undefined {
    return this.#firstStoredAt;
  }

  /** Appends in the flush under way; answers the position. */
  append(entry: Uint8Array, nowMs: number): number {
    this.#pendingAt = Math.max(this.#lastStoredAt, nowMs);
    this.#pending.push(entry);
    this.#pendingBytes += entry.length;
    return this.#next + this.#pending.length - 1;
  }

  /** The instant at which an entry appended now counts as stored. */
  storedAt(nowMs: number): number {
    return Math.max(this.#lastStoredAt, nowMs);
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Writes what the flush appended; `keys` go into the first row. Answers whether a row took them. */
  commit(keys: Uint8Array | undefined): boolean {
    if (this.#pending.length === 0) return false;
    const page = this.#options.pageEntries ?? Number.MAX_SAFE_INTEGER;
    let from = 0;
    let blob = keys;
    while (from < this.#pending.length) {
      let to = from;
      let bytes = 0;
      const room = page - (this.#next % page);
      while (to < this.#pending.length && to - from < room) {
        const size = (this.#pending[to]?.length ?? 0) + 4;
        if (to > from && bytes + size > SEGMENT_BYTES) break;
        bytes += size;
        to++;
      }
      this.#writeSegment(this.#pending.slice(from, to), blob);
      blob = undefined;
      from = to;
    }
    this.#lastStoredAt = this.#pendingAt;
    this.#pending = [];
    this.#pendingBytes = 0;
    return true;
  }

  #writeSegment(entries: readonly Uint8Array[], keys: Uint8Array | undefined): void {
    let size = 16;
    for (const entry of entries) size += entry.length + 4;
    const writer = new ByteWriter(size);
    for (const entry of entries) writer.blob(entry);
    const head = this.#options.summarize(this.#next, entries);
    const body = withCrc(writer.view());
    const bytes = body.length + head.length;
    this.#total += bytes;
    this.#bytes += bytes;
    this.#sql.exec(
      `INSERT INTO ${this.#options.table} (first, count, stored_at, bytes, total, head, keys, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      this.#next,
      entries.length,
      this.#pendingAt,
      bytes,
      this.#total,
      withCrc(head),
      keys ?? null,
      body,
    );
    this.#firstStoredAt ??= this.#pendingAt;
    const segment: Segment = { first: this.#next, storedAt: this.#pendingAt, head, entries, bytes };
    this.#next += entries.length;
    this.#tail.segments.push(segment);
    this.#tail.bytes += bytes;
    this.#trimTail();
  }

  #trimTail(): void {
    const { segments } = this.#tail;
    let drop = 0;
    let bytes = this.#tail.bytes;
    // In halves, so that the array is not shifted with every append.
    if (bytes <= TAIL_BYTES) return;
    while (bytes > TAIL_BYTES / 2 && drop < segments.length - 1)
      bytes -= segments[drop++]?.bytes ?? 0;
    segments.splice(0, drop);
    this.#tail.bytes = bytes;
  }

  /** The entry at a position, with when it was stored; undefined outside first … next−1. */
  read(position: number): { entry: Uint8Array; storedAt: number } | undefined {
    if (position >= this.#next) {
      const entry = this.#pending[position - this.#next];
      return entry === undefined ? undefined : { entry, storedAt: this.#pendingAt };
    }
    const segment = this.segmentAt(position);
    const entry = segment?.entries[position - segment.first];
    return segment === undefined || entry === undefined
      ? undefined
      : { entry, storedAt: segment.storedAt };
  }

  /** The segment that holds the position, from memory or disk; what the flush under way appended is not in one yet. */
  segmentAt(position: number): Segment | undefined {
    if (position < this.#first || position >= this.#next) return undefined;
    const inTail = locate(this.#tail.segments, position);
    if (inTail !== undefined) return inTail;
    for (let index = 0; index < this.#stretches.length; index++) {
      const stretch = this.#stretches[index];
      const found = stretch === undefined ? undefined : locate(stretch.segments, position);
      if (stretch !== undefined && found !== undefined) {
        if (index > 0) {
          this.#stretches.splice(index, 1);
          this.#stretches.unshift(stretch);
        }
        return found;
      }
    }
    return locate(this.#load(position).segments, position);
  }

  #load(position: number): Stretch {
    const { table } = this.#options;
    const stretch: Stretch = { segments: [], bytes: 0 };
    const query = `SELECT first, stored_at, bytes, head, body FROM ${table}
      WHERE first >= (SELECT MAX(first) FROM ${table} WHERE first <= ?) ORDER BY first LIMIT 256`;
    for (const row of this.#sql.exec(query, position)) {
      const bytes = Number(row["bytes"]);
      if (stretch.segments.length > 0 && stretch.bytes + bytes > STRETCH_BYTES) break;
      stretch.segments.push({
        first: Number(row["first"]),
        storedAt: Number(row["stored_at"]),
        head: withoutCrc(bytesOf(row["head"])),
        entries: entriesOf(bytesOf(row["body"])),
        bytes,
      });
      stretch.bytes += bytes;
    }
    this.#stretches.unshift(stretch);
    this.#stretches.length = Math.min(this.#stretches.length, STRETCHES);
    return stretch;
  }

  /** Is the position's row still there? Reads no body. */
  holds(position: number): boolean {
    const query = `SELECT first, count FROM ${this.#options.table} WHERE first <= ? ORDER BY first DESC LIMIT 1`;
    for (const row of this.#sql.exec(query, position))
      return position < Number(row["first"]) + Number(row["count"]);
    return false;
  }

  /** Summaries from a position on, at most `limit` rows, without their bodies. */
  heads(
    position: number,
    limit: number,
  ): { first: number; count: number; storedAt: number; head: Uint8Array }[] {
    const heads = [];
    const query = `SELECT first, count, stored_at, head FROM ${this.#options.table} WHERE first >= ? ORDER BY first LIMIT ?`;
    for (const row of this.#sql.exec(query, position, limit)) {
      heads.push({
        first: Number(row["first"]),
        count: Number(row["count"]),
        storedAt: Number(row["stored_at"]),
        head: withoutCrc(bytesOf(row["head"])),
      });
    }
    return heads;
  }

  /** Key blobs of rows from a position on, in order. */
  keyBlobs(position: number): Uint8Array[] {
    const blobs: Uint8Array[] = [];
    const query = `SELECT keys FROM ${this.#options.table} WHERE first >= ? AND keys IS NOT NULL ORDER BY first`;
    for (const row of this.#sql.exec(query, position)) blobs.push(bytesOf(row["keys"]));
    return blobs;
  }

  /** The first position stored at or after the instant; `next` when there is none. */
  positionAt(atMs: number): number {
    if (this.#pending.length > 0 && this.#lastStoredAt < atMs) {
      return this.#pendingAt >= atMs ? this.#next : this.next;
    }
    let low = this.#first;
    let high = this.#next;
    const query = `SELECT first, count, stored_at FROM ${this.#options.table} WHERE first <= ? ORDER BY first DESC LIMIT 1`;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      let found = false;
      for (const row of this.#sql.exec(query, middle)) {
        found = true;
        const first = Number(row["first"]);
        if (Number(row["stored_at"]) >= atMs) high = Math.max(low, first);
        else low = first + Number(row["count"]);
      }
      if (!found) break;
    }
    return low;
  }

  /** The segment rows that may go first: oldest first, at most `limit`. */
  oldest(limit: number): { first: number; count: number; storedAt: number; bytes: number }[] {
    const rows = [];
    const query = `SELECT first, count, stored_at, bytes FROM ${this.#options.table} ORDER BY first LIMIT ?`;
    for (const row of this.#sql.exec(query, limit)) {
      rows.push({
        first: Number(row["first"]),
        count: Number(row["count"]),
        storedAt: Number(row["stored_at"]),
        bytes: Number(row["bytes"]),
      });
    }
    return rows;
  }

  /** Drops everything below the position, which is a segment's first or `next`. Not while entries are pending. */
  truncate(position: number): void {
    const { table } = this.#options;
    if (position >= this.#next) {
      const base = { next: this.#next, total: this.#total, storedAt: this.#lastStoredAt };
      writeMeta(this.#sql, `${table}.base`, JSON.stringify(base));
    }
    this.#sql.exec(`DELETE FROM ${table} WHERE first < ?`, position);
    this.#first = position;
    this.#bytes = 0;
    this.#firstStoredAt = undefined;
    const oldest = `SELECT total, bytes, stored_at FROM ${table} ORDER BY first LIMIT 1`;
    for (const row of this.#sql.exec(oldest)) {
      this.#firstStoredAt = Number(row["stored_at"]);
      this.#bytes = this.#total - Number(row["total"]) + Number(row["bytes"]);
    }
    this.#forget();
  }

  /** Drops the rows of one page, wherever it stands in the log. */
  dropPage(page: number, pageEntries: number): void {
    const { table } = this.#options;
    const from = page * pageEntries;
    const to = from + pageEntries;
    if (to >= this.#next) {
      const base = { next: this.#next, total: this.#total, storedAt: this.#lastStoredAt };
      writeMeta(this.#sql, `${table}.base`, JSON.stringify(base));
    }
    this.#sql.exec(`DELETE FROM ${table} WHERE first >= ? AND first < ?`, from, to);
    this.#first = this.#next;
    this.#firstStoredAt = undefined;
    const oldest = `SELECT first, stored_at FROM ${table} ORDER BY first LIMIT 1`;
    for (const row of this.#sql.exec(oldest)) {
      this.#first = Number(row["first"]);
      this.#firstStoredAt = Number(row["stored_at"]);
    }
    this.#forget();
  }

  #forget(): void {
    this.#stretches = [];
    const keep = this.#tail.segments.filter((segment) => segment.first >= this.#first);
    this.#tail.segments.splice(0, this.#tail.segments.length, ...keep);
    this.#tail.bytes = keep.reduce((sum, segment) => sum + segment.bytes, 0);
  }
}

function entriesOf(body: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(withoutCrc(body));
  const entries: Uint8Array[] = [];
  while (!reader.done) entries.push(reader.blob());
  return entries;
}
