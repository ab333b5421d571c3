/** Pages of the half log that are wholly decided, each a row that is read when it is asked for. Storage only. */
import { ByteWriter } from "../../core/bytes.ts";
import { withCrc, withoutCrc } from "../../core/crc32.ts";
import { HalfPage } from "./page.ts";
import { bytesOf, type Sql } from "../storage/storage.ts";

/** Pages read lately. */
const LATELY_MAX = 8;
/** Rows looked at when old ones are dropped. */
const OLDEST_MAX = 16;

export class HalfArchive {
  readonly #sql: Sql;
  readonly #lately = new Map<number, HalfPage>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(number: number): HalfPage | undefined {
    const known = this.#lately.get(number);
    if (known !== undefined) return known;
    for (const row of this.#sql.exec("SELECT data FROM half_archive WHERE no = ?", number)) {
      const page = HalfPage.decode(number, withoutCrc(bytesOf(row["data"])), 0);
      if (this.#lately.size >= LATELY_MAX) this.#lately.clear();
      this.#lately.set(number, page);
      return page;
    }
    return undefined;
  }

  /** `until`: nothing of the page counts after this instant, decisions' own time aside. */
  put(page: HalfPage, until: number): void {
    const writer = new ByteWriter(16_384);
    page.encode(writer);
    this.#sql.exec(
      "INSERT OR REPLACE INTO half_archive (no, until, data) VALUES (?, ?, ?)",
      page.number,
      until,
      withCrc(writer.view()),
    );
  }

  remove(number: number): void {
    this.#lately.delete(number);
    this.#sql.exec("DELETE FROM half_archive WHERE no = ?", number);
  }

  oldest(): { number: number; until: number }[] {
    const query = `SELECT no, until FROM half_archive ORDER BY no LIMIT ${OLDEST_MAX}`;
    return Array.from(this.#sql.exec(query), (row) => ({
      number: Number(row["no"]),
      until: Number(row["until"]),
    }));
  }
}
