/** Pages of the half log that are wholly decided, and some of them in memory that were read lately. Storage only. */
import { ByteWriter } from "../../core/bytes.ts";
import { Archive, type Archived } from "../storage/archive.ts";
import type { Sql } from "../storage/storage.ts";
import { HalfPage } from "./page.ts";

/** Pages read lately. */
const LATELY_MAX = 8;
/** Rows looked at when old ones are dropped. */
const OLDEST_MAX = 16;

export class HalfArchive {
  readonly #rows: Archive;
  readonly #lately = new Map<number, HalfPage>();

  constructor(sql: Sql) {
    this.#rows = new Archive(sql, "half_archive");
  }

  find(number: number): HalfPage | undefined {
    const known = this.#lately.get(number);
    if (known !== undefined) return known;
    const data = this.#rows.find(number);
    if (data === undefined) return undefined;
    const page = HalfPage.decode(number, data, 0);
    if (this.#lately.size >= LATELY_MAX) this.#lately.clear();
    this.#lately.set(number, page);
    return page;
  }

  /** `until`: nothing of the page counts after this instant, decisions' own time aside. */
  put(page: HalfPage, until: number): void {
    const writer = new ByteWriter(16_384);
    page.encode(writer);
    this.#rows.put(page.number, until, writer.view());
  }

  remove(number: number): void {
    this.#lately.delete(number);
    this.#rows.remove(number);
  }

  /** Of the lowest numbers, in order: those whose `until` is not behind the instant. */
  due(atMs: number): Archived[] {
    return this.#rows.due(OLDEST_MAX, atMs);
  }
}
