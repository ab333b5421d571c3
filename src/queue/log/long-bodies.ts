/**
 * Bodies of a log or of pages that do not fit into a row: what comes behind the first part stands in rows of its own.
 * Rare: a transaction of many large messages, or a hundred thousand messages on their way to another queue. It knows
 * nothing of what a body holds.
 */
import { bytesOf, type Sql } from "../storage/storage.ts";

/** What a log's row holds of its body; a few hundred thousand bytes of keys and head may stand beside it. */
export const PART_BYTES = 1_400_000;

export class LongBodies {
  static readonly schema: readonly string[] = [
    "CREATE TABLE IF NOT EXISTS long_body (log TEXT NOT NULL, first INTEGER NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (log, first, part)) STRICT, WITHOUT ROWID",
  ];

  readonly #sql: Sql;
  readonly #log: string;

  constructor(sql: Sql, log: string) {
    this.#sql = sql;
    this.#log = log;
  }

  /** Writes what does not fit into the row of the segment that begins at `first`; answers what does, and how many parts follow. */
  write(first: number, body: Uint8Array): { head: Uint8Array; parts: number } {
    let parts = 0;
    for (let at = PART_BYTES; at < body.length; at += PART_BYTES) {
      this.#sql.exec(
        "INSERT INTO long_body (log, first, part, data) VALUES (?, ?, ?, ?)",
        this.#log,
        first,
        ++parts,
        body.subarray(at, at + PART_BYTES),
      );
    }
    return { head: parts === 0 ? body : body.subarray(0, PART_BYTES), parts };
  }

  /** The whole body. A part that is missing shows in its checksum. */
  read(first: number, head: Uint8Array, parts: number): Uint8Array {
    if (parts === 0) return head;
    const found = [head];
    const query = "SELECT data FROM long_body WHERE log = ? AND first = ? ORDER BY part";
    for (const row of this.#sql.exec(query, this.#log, first)) found.push(bytesOf(row["data"]));
    const body = new Uint8Array(found.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of found) {
      body.set(part, at);
      at += part.length;
    }
    return body;
  }

  /** The segments that begin in [from, to) are gone. */
  drop(from: number, to: number): void {
    this.#sql.exec(
      "DELETE FROM long_body WHERE log = ? AND first >= ? AND first < ?",
      this.#log,
      from,
      to,
    );
  }
}
