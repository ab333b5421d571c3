/**
 * The journal: how state that changes in small steps becomes durable with one written row per flush.
 * Every change of a page of state is an operation of a few bytes; a flush writes all of its operations as one delta row
 * into a ring that is overwritten. A page is written as a whole only when the ring is about to overwrite the oldest
 * operation that its row does not hold yet. Waking reads the pages, then repeats the ring.
 *
 * [J1] Every operation is either in the ring or in its page's row.
 * [J2] An operation changes a page only if its flush is newer than the page's row.
 * The journal knows nothing of what operations mean, and never reads a clock.
 */
import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.ts";
import { seedOf, withCrc, withoutCrc } from "../../core/crc32.ts";
import { LongBodies } from "../log/long-bodies.ts";
import { bytesOf, textOf, type Sql, type SqlValue } from "./storage.ts";

/** A page of state that can be written as a whole. */
export interface Page {
  readonly name: string;
  /** Flush that its row in storage stands for; 0 when it has none. */
  savedSeq: number;
  /** Oldest flush whose operations its row lacks; 0 when it lacks none. */
  dirtySeq: number;
  encode(writer: ByteWriter): void;
}

interface SavedPage {
  readonly name: string;
  readonly seq: number;
  readonly data: Uint8Array;
}

export interface SavedDelta {
  readonly seq: number;
  /** The delta before it; 0 for the first. */
  readonly previous: number;
  readonly operations: Uint8Array;
}

interface Saved {
  readonly pages: readonly SavedPage[];
  readonly deltas: readonly SavedDelta[];
  /** Is there a page of traces among those that are not here? */
  readonly hasTraces: boolean;
}

/** All pages, those that are read one by one without what they hold. */
const PAGES = `SELECT name, seq, seal, parts,
  CASE WHEN name GLOB '[dp]:*' OR name GLOB 't[lhd]:*' THEN NULL ELSE data END AS data FROM page`;

export class Journal {
  readonly #sql: Sql;
  readonly #operations = new ByteWriter(512);
  readonly #scratch = new ByteWriter(512);
  /** In order of their dirtySeq. */
  readonly #dirty = new Set<Page>();
  readonly #saves = new Set<Page>();
  /** Names of pages that are longer than a row. */
  readonly #long = new Set<string>();
  #seq = 0;
  /** The newest delta's flush. */
  #deltaSeq = 0;
  #wrote = false;
  /** The oldest flush whose delta carries keys that may stand nowhere else; 0 when there is none. */
  #keyedSeq = 0;

  readonly #ring: number;

  /** `ring`: deltas that are kept before the oldest is overwritten. Fixed for the life of the storage. */
  constructor(sql: Sql, ring: number) {
    this.#sql = sql;
    this.#ring = ring;
  }

  /** Whether what stands in the ring alone since that flush is soon overwritten; 0 when nothing does. */
  isAtRisk(sinceSeq: number): boolean {
    return sinceSeq > 0 && this.seq - sinceSeq > Math.floor((this.#ring * 7) / 8);
  }

  /** Number of the flush under way. */
  get seq(): number {
    return this.#seq + 1;
  }

  /**
   * Everything saved but pages of delayed messages, producers and traces, which are `read` one by one: the pages, then the
   * deltas in order. The caller applies [J2].
   */
  load(): Saved {
    const pages: SavedPage[] = [];
    let hasTraces = false;
    for (const row of this.#sql.exec(PAGES)) {
      const [name, seq] = [textOf(row["name"]), Number(row["seq"])];
      // A name that is damaged would else be a page that was never saved.
      if (seedOf(name, seq) !== row["seal"])
        throw new CodecError(`the name of page ${name} is damaged`);
      this.#seq = Math.max(this.#seq, seq);
      if (row["data"] !== null) pages.push({ name, ...this.#saved(name, row) });
      else hasTraces ||= name.startsWith("t");
    }
    const deltas: SavedDelta[] = [];
    const bySlot = new Map<number, number>();
    const query = "SELECT slot, seq, length(keys) AS key_bytes, data FROM delta ORDER BY seq";
    for (const row of this.#sql.exec(query)) {
      const [slot, seq] = [Number(row["slot"]), Number(row["seq"])];
      const keyBytes = Number(row["key_bytes"] ?? 0);
      const seed = seedOf("delta", slot, seq, keyBytes);
      const data = withoutCrc(bytesOf(row["data"]), seed, `delta ${seq}`);
      const reader = new ByteReader(data);
      deltas.push({ seq, previous: seq - reader.uint(), operations: reader.rest() });
      bySlot.set(slot, seq);
      if (this.#keyedSeq === 0 && keyBytes > 0) this.#keyedSeq = seq;
    }
    for (const delta of deltas) this.#checkChain(delta, bySlot);
    for (const { seq } of deltas) this.#seq = Math.max(this.#seq, seq);
    this.#deltaSeq = deltas.at(-1)?.seq ?? 0;
    return { pages, deltas, hasTraces };
  }

  /** A delta whose row is gone was overwritten by a newer one, or is lost. */
  #checkChain({ seq, previous }: SavedDelta, bySlot: ReadonlyMap<number, number>): void {
    const inItsPlace = bySlot.get(previous % this.#ring) ?? 0;
    if (previous > 0 && inItsPlace < previous)
      throw new CodecError(`delta ${previous} is missing before ${seq}`);
  }

  /** One saved page. */
  read(name: string): { seq: number; data: Uint8Array } | undefined {
    for (const row of this.#sql.exec("SELECT seq, parts, data FROM page WHERE name = ?", name))
      return this.#saved(name, row);
    return undefined;
  }

  #saved(name: string, row: Record<string, SqlValue>): { seq: number; data: Uint8Array } {
    const parts = Number(row["parts"]);
    if (parts > 0) this.#long.add(name);
    const sealed = this.#rest(name).read(0, bytesOf(row["data"]), parts);
    const seq = Number(row["seq"]);
    return { seq, data: withoutCrc(sealed, seedOf(name, seq), `page ${name}`) };
  }

  /** What does not fit into the page's row. */
  #rest(name: string): LongBodies {
    return new LongBodies(this.#sql, `page ${name}`);
  }

  #dropRest(name: string): void {
    if (this.#long.delete(name)) this.#rest(name).drop(0, 1);
  }

  /** Will the ring soon overwrite keys? Their owner must write them elsewhere, and say so by `keysAreKept`. */
  get keysAtRisk(): boolean {
    return this.isAtRisk(this.#keyedSeq);
  }

  keysAreKept(): void {
    this.#keyedSeq = 0;
  }

  /** Key blobs that stand in deltas newer than `afterSeq`, in order. */
  keyBlobs(afterSeq: number): Uint8Array[] {
    const blobs: Uint8Array[] = [];
    for (const row of this.#sql.exec(
      "SELECT keys FROM delta WHERE seq > ? AND keys IS NOT NULL ORDER BY seq",
      afterSeq,
    )) {
      blobs.push(bytesOf(row["keys"]));
    }
    return blobs;
  }

  /** Repeats the operations of a saved delta; `apply` reads exactly one operation from the reader. */
  static replay(delta: SavedDelta, apply: (reader: ByteReader, seq: number) => void): void {
    const reader = new ByteReader(delta.operations);
    while (!reader.done) apply(reader, delta.seq);
  }

  /** Bytes of the operations of the flush under way. */
  get bytes(): number {
    return this.#operations.length;
  }

  /** A writer for one operation on the page, in the flush under way. */
  change(page: Page): ByteWriter {
    this.touch(page);
    this.#wrote = true;
    return this.#operations;
  }

  /** Marks the page as changed by an operation that was written for another page. */
  touch(page: Page): void {
    if (page.dirtySeq !== 0) return;
    page.dirtySeq = this.seq;
    this.#dirty.add(page);
  }

  /** After replay: the page lacks operations since `seq`. Call in rising order of seq. */
  restoreDirty(page: Page, seq: number): void {
    if (page.dirtySeq !== 0) return;
    page.dirtySeq = seq;
    this.#dirty.add(page);
  }

  /**
   * Writes the page as a whole at the end of this flush, not before: a row stands for its whole flush [J2], so an
   * operation that came after the row in the same flush would be lost.
   */
  save(page: Page): void {
    this.#saves.add(page);
  }

  #write(page: Page): void {
    this.#scratch.reset();
    page.encode(this.#scratch);
    this.#dropRest(page.name);
    const seed = seedOf(page.name, this.seq);
    const { head, parts } = this.#rest(page.name).write(0, withCrc(this.#scratch.view(), seed));
    if (parts > 0) this.#long.add(page.name);
    this.#sql.exec(
      "INSERT INTO page (name, seq, seal, parts, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, seal = excluded.seal, parts = excluded.parts, data = excluded.data",
      page.name,
      this.seq,
      seed,
      parts,
      head,
    );
    page.savedSeq = this.seq;
    page.dirtySeq = 0;
    this.#dirty.delete(page);
  }

  /** The page's content is held elsewhere from this flush on: its row goes. */
  retire(page: Page): void {
    if (page.savedSeq !== 0) this.#sql.exec("DELETE FROM page WHERE name = ?", page.name);
    this.#dropRest(page.name);
    page.savedSeq = 0;
    page.dirtySeq = 0;
    this.#dirty.delete(page);
    this.#saves.delete(page);
  }

  /** The flush's last step: saves pages whose oldest operation is about to be overwritten, then writes the delta. */
  commit(keys: Uint8Array | undefined): void {
    const writesDelta = this.#wrote || keys !== undefined;
    if (!writesDelta && this.#saves.size === 0) return;
    const overwritten = this.seq - this.#ring;
    for (const page of this.#dirty) {
      if (page.dirtySeq > overwritten) break;
      this.#saves.add(page);
    }
    for (const page of this.#saves) this.#write(page);
    this.#saves.clear();
    if (writesDelta) this.#writeDelta(keys);
    this.#seq++;
  }

  #writeDelta(keys: Uint8Array | undefined): void {
    const { seq } = this;
    const slot = seq % this.#ring;
    this.#scratch.reset();
    this.#scratch.uint(seq - this.#deltaSeq).raw(this.#operations.view());
    this.#sql.exec(
      "INSERT INTO delta (slot, seq, keys, data) VALUES (?, ?, ?, ?) ON CONFLICT (slot) DO UPDATE SET seq = excluded.seq, keys = excluded.keys, data = excluded.data",
      slot,
      seq,
      keys ?? null,
      withCrc(this.#scratch.view(), seedOf("delta", slot, seq, keys?.length ?? 0)),
    );
    if (keys !== undefined && this.#keyedSeq === 0) this.#keyedSeq = seq;
    this.#deltaSeq = seq;
    this.#operations.reset();
    this.#wrote = false;
  }
}
