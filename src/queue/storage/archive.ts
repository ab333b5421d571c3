/**
 * Pages of state that nothing changes any more, each a row that is read when it is asked for, in order of their numbers.
 * Storage only: when a page goes is its owner's.
 */
import { CodecError } from "../../core/bytes.ts";
import { seedOf, withCrc, withoutCrc } from "../../core/crc32.ts";
import { bytesOf, type Sql, type SqlValue } from "./storage.ts";

export interface Archived {
  readonly number: number;
  /** As the owner said when it put the page here. */
  readonly until: number;
}

export class Archive {
  readonly #sql: Sql;
  readonly #table: "half_archive" | "delayed_archive";
  /** None has a lower `until`. */
  #soonest = Infinity;

  /** Looks at all rows without their pages: a number that is damaged would else be a page that is not here. */
  constructor(sql: Sql, table: "half_archive" | "delayed_archive") {
    this.#sql = sql;
    this.#table = table;
    for (const row of sql.exec(`SELECT no, until, seal FROM ${table}`))
      this.#soonest = Math.min(this.#soonest, this.#open(row).until);
  }

  #open(row: Record<string, SqlValue>): Archived {
    const [number, until] = [Number(row["no"]), Number(row["until"])];
    if (seedOf(this.#table, number, until) !== row["seal"])
      throw new CodecError(`${this.#table} ${number} is damaged`);
    return { number, until };
  }

  /** The page's bytes. */
  find(number: number): Uint8Array | undefined {
    const query = `SELECT no, until, seal, data FROM ${this.#table} WHERE no = ?`;
    for (const row of this.#sql.exec(query, number)) {
      const { until } = this.#open(row);
      const seed = seedOf(this.#table, number, until);
      return withoutCrc(bytesOf(row["data"]), seed, `${this.#table} ${number}`);
    }
    return undefined;
  }

  put(number: number, until: number, page: Uint8Array): void {
    const seal = seedOf(this.#table, number, until);
    this.#soonest = Math.min(this.#soonest, until);
    this.#sql.exec(
      `INSERT OR REPLACE INTO ${this.#table} (no, until, seal, data) VALUES (?, ?, ?, ?)`,
      number,
      until,
      seal,
      withCrc(page, seal),
    );
  }

  remove(number: number): void {
    this.#sql.exec(`DELETE FROM ${this.#table} WHERE no = ?`, number);
  }

  /** Of the lowest so many numbers, in order: those whose `until` is not behind the instant. Most looks read nothing. */
  due(limit: number, atMs: number): Archived[] {
    if (this.#soonest > atMs) return [];
    const query = `SELECT no, until, seal FROM ${this.#table} ORDER BY no LIMIT ?`;
    const found = Array.from(this.#sql.exec(query, limit), (row) => this.#open(row));
    if (found.length < limit)
      this.#soonest = found.reduce((least, { until }) => Math.min(least, until), Infinity);
    return found.filter(({ until }) => until <= atMs);
  }
}
