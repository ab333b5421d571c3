/**
 * A log in segments: a flush appends all of its entries as one row (more when they pass PART_BYTES). Entries have
 * positions 0, 1, 2 … without a hole. What was appended in the flush under way can be read at once: no answer leaves
 * before the flush is on disk. In memory stand the newest segments and a few stretches read lately, never the backlog.
 * The log does not know what its entries mean; `head` is its owner's summary of a segment, readable without the body.
 */
import { CRC_BYTES, withCrc, withoutCrc } from "../../core/crc32.ts";
import { LongBodies, PART_BYTES } from "./long-bodies.ts";
import { readMeta, writeMeta } from "../storage/schema.ts";
import { Pending, Segment, startsOf } from "./segment.ts";
import { SegmentMemory, STRETCH_BYTES } from "./segment-memory.ts";
import { bytesOf, type Sql } from "../storage/storage.ts";

const NO_HEAD = new Uint8Array();

export interface SegmentOptions {
  readonly table: "message_log" | "half_log" | "delayed_log";
  /** Segments never cross a multiple of this. */
  readonly pageEntries?: number;
  /** The owner's summary of a segment's entries. */
  readonly summarize?: (entries: readonly Uint8Array[]) => Uint8Array;
}

export class SegmentLog {
  readonly #sql: Sql;
  readonly #options: SegmentOptions;
  readonly #memory = new SegmentMemory();
  readonly #long: LongBodies;
  #pending: Pending | undefined;
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
    this.#long = new LongBodies(sql, options.table);
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
    return this.#next + (this.#pending?.count ?? 0);
  }

  /** The same without what the flush under way appends: where its first row will begin. */
  get nextStored(): number {
    return this.#next;
  }

  /** Bytes of all segments held. */
  get bytes(): number {
    return this.#bytes + (this.#pending?.bytes ?? 0);
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
    this.#pending ??= new Pending();
    this.#pending.add(entry);
    return this.next - 1;
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
    this.#pending = undefined;
    return true;
  }

  #writeSegment(pending: Pending, from: number, to: number, keys: Uint8Array | undefined): void {
    const sealed = withCrc(pending.body(from, to));
    const head = this.#summary(pending, from, to);
    const bytes = sealed.length + head.length;
    this.#total += bytes;
    this.#bytes += bytes;
    const row = this.#long.write(this.#next, sealed);
    this.#sql.exec(
      `INSERT INTO ${this.#options.table} (first, count, stored_at, bytes, total, head, keys, parts, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      this.#next,
      to - from,
      this.#pendingAt,
      bytes,
      this.#total,
      withCrc(head),
      keys ?? null,
      row.parts,
      row.head,
    );
    this.#firstStoredAt ??= this.#pendingAt;
    this.#memory.appended(
      new Segment({
        first: this.#next,
        storedAt: this.#pendingAt,
        head,
        bytes,
        body: sealed.subarray(0, -CRC_BYTES),
        starts: pending.starts(from, to),
      }),
    );
    this.#next += to - from;
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
    const query = `SELECT first, stored_at, bytes, head, parts, body FROM ${table}
      WHERE first >= (SELECT MAX(first) FROM ${table} WHERE first <= ?) ORDER BY first LIMIT 256`;
    for (const row of this.#sql.exec(query, position)) {
      const bytes = Number(row["bytes"]);
      if (segments.length > 0 && read + bytes > STRETCH_BYTES) break;
      const [first, storedAt] = [Number(row["first"]), Number(row["stored_at"])];
      const sealed = this.#long.read(first, bytesOf(row["body"]), Number(row["parts"]));
      const body = withoutCrc(sealed);
      const head = withoutCrc(bytesOf(row["head"]));
      segments.push(new Segment({ first, storedAt, head, bytes, body, starts: startsOf(body) }));
      read += bytes;
    }
    return this.#memory.loaded(segments, position);
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
    if (this.#pending !== undefined && this.#lastStoredAt < atMs) {
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
    this.#drop(this.#first, position);
    this.#first = position;
    this.#bytes = 0;
    this.#firstStoredAt = undefined;
    const oldest = `SELECT total, bytes, stored_at FROM ${table} ORDER BY first LIMIT 1`;
    for (const row of this.#sql.exec(oldest)) {
      this.#firstStoredAt = Number(row["stored_at"]);
      this.#bytes = this.#total - Number(row["total"]) + Number(row["bytes"]);
    }
    this.#memory.forgetBelow(this.#first);
  }

  /** Drops the rows of one page, wherever it stands in the log. */
  dropPage(page: number, pageEntries: number): void {
    const { table } = this.#options;
    const from = page * pageEntries;
    this.#drop(from, from + pageEntries);
    this.#first = this.#next;
    this.#firstStoredAt = undefined;
    const oldest = `SELECT first, stored_at FROM ${table} ORDER BY first LIMIT 1`;
    for (const row of this.#sql.exec(oldest)) {
      this.#first = Number(row["first"]);
      this.#firstStoredAt = Number(row["stored_at"]);
    }
    this.#memory.forgetBelow(this.#first);
  }

  /** Deletes the rows of [from, to); where the log stands must not be known from them alone. */
  #drop(from: number, to: number): void {
    const { table } = this.#options;
    if (to >= this.#next) {
      const base = { next: this.#next, total: this.#total, storedAt: this.#lastStoredAt };
      writeMeta(this.#sql, `${table}.base`, JSON.stringify(base));
    }
    this.#sql.exec(`DELETE FROM ${table} WHERE first >= ? AND first < ?`, from, to);
    this.#long.drop(from, to);
  }
}
