/**
 * The rows of a log's segments, each sealed: body and head carry checksums that are seeded with the other columns. What does
 * not fit into a row stands in rows beside it (long-bodies.ts). It knows columns, not where the log begins or ends.
 */
import { CRC_BYTES, seedOf, withCrc, withoutCrc } from "../../core/crc32.ts";
import { bytesOf, type Sql, type SqlValue } from "../storage/storage.ts";
import { LongBodies } from "./long-bodies.ts";
import { Segment, startsOf } from "./segment.ts";

export type LogTable = "message_log" | "half_log" | "delayed_log";

/** All of a row but its body and keys: what its seal covers, with the head. */
const COLUMNS = "first, count, stored_at, bytes, total, length(keys) AS key_bytes, head";

/** A row without its body. */
export interface SegmentRow {
  readonly first: number;
  readonly count: number;
  readonly storedAt: number;
  /** Of head and body. */
  readonly bytes: number;
  /** Bytes of all rows from the log's first on, this one's included. */
  readonly total: number;
  readonly head: Uint8Array;
}

export class SegmentRows {
  readonly #sql: Sql;
  readonly #table: LogTable;
  readonly #long: LongBodies;

  constructor(sql: Sql, table: LogTable) {
    this.#sql = sql;
    this.#table = table;
    this.#long = new LongBodies(sql, table);
  }

  /** Rows as they were written, without their bodies. */
  *read(which: string, ...bindings: number[]): Generator<SegmentRow> {
    const query = `SELECT ${COLUMNS} FROM ${this.#table} ${which}`;
    for (const row of this.#sql.exec(query, ...bindings)) yield this.#open(row).row;
  }

  /** The same with their bodies. */
  *whole(which: string, ...bindings: number[]): Generator<Segment> {
    const query = `SELECT ${COLUMNS}, parts, body FROM ${this.#table} ${which}`;
    for (const found of this.#sql.exec(query, ...bindings)) {
      const { row, seed } = this.#open(found);
      const sealed = this.#long.read(row.first, bytesOf(found["body"]), Number(found["parts"]));
      const body = withoutCrc(sealed, seed, this.#what(row.first));
      yield new Segment({ ...row, body, starts: startsOf(body) });
    }
  }

  #open(found: Record<string, SqlValue>): { row: SegmentRow; seed: number } {
    const [first, count] = [Number(found["first"]), Number(found["count"])];
    const [storedAt, bytes] = [Number(found["stored_at"]), Number(found["bytes"])];
    const [total, keyBytes] = [Number(found["total"]), Number(found["key_bytes"] ?? 0)];
    const seed = seedOf(this.#table, first, count, storedAt, bytes, total, keyBytes);
    const head = withoutCrc(bytesOf(found["head"]), seed, this.#what(first));
    return { row: { first, count, storedAt, bytes, total, head }, seed };
  }

  #what(first: number): string {
    return `${this.#table} ${first}`;
  }

  /** What a row with a body and a head of so many bytes counts as. */
  static bytesOf(bodyBytes: number, headBytes: number): number {
    return bodyBytes + CRC_BYTES + headBytes;
  }

  /** Answers a copy of the body. */
  insert(row: SegmentRow, body: Uint8Array, keys: Uint8Array | undefined): Uint8Array {
    const { first, count, storedAt, bytes, total, head } = row;
    const keyBytes = keys?.length ?? 0;
    const seed = seedOf(this.#table, first, count, storedAt, bytes, total, keyBytes);
    const sealed = withCrc(body, seed);
    const stored = this.#long.write(first, sealed);
    this.#sql.exec(
      `INSERT INTO ${this.#table} (first, count, stored_at, bytes, total, head, keys, parts, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      first,
      count,
      storedAt,
      bytes,
      total,
      withCrc(head, seed),
      keys ?? null,
      stored.parts,
      stored.head,
    );
    return sealed.subarray(0, -CRC_BYTES);
  }

  /** Key blobs of rows from a position on, in order. */
  keyBlobs(position: number): Uint8Array[] {
    const query = `SELECT keys FROM ${this.#table} WHERE first >= ? AND keys IS NOT NULL ORDER BY first`;
    return Array.from(this.#sql.exec(query, position), (row) => bytesOf(row["keys"]));
  }

  /** Do rows that begin in [from, to) carry keys? */
  haveKeys(from: number, to: number): boolean {
    const query = `SELECT 1 FROM ${this.#table} WHERE first >= ? AND first < ? AND keys IS NOT NULL LIMIT 1`;
    return [...this.#sql.exec(query, from, to)].length > 0;
  }

  /** Deletes the rows that begin in [from, to). */
  drop(from: number, to: number): void {
    this.#sql.exec(`DELETE FROM ${this.#table} WHERE first >= ? AND first < ?`, from, to);
    this.#long.drop(from, to);
  }
}
