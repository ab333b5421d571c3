/**
 * The keys a queue remembers for a while (idempotency keys, dedup ids), each with what was answered for it.
 * The youngest are in memory and durable in the row their flush writes anyway (`takeUnsaved`); older ones stand in sorted
 * runs, some 8,192 keys a row, of which memory holds a filter only. It never forgets a key before its time, reads
 * nothing before it is first used, and opens no transaction: a flush that throws discards the whole object.
 * Who deletes a row that carries a blob newer than `lastMark` must `seal` first, or its keys are lost by a restart.
 */
import { perhapsInBloom } from "../../core/bloom.ts";
import { CodecError } from "../../core/bytes.ts";
import { withoutCrc } from "../../core/crc32.ts";
import {
  BODY_BYTES,
  decodeBlob,
  decodeHead,
  decodeRecord,
  encodeBlob,
  encodeHead,
  encodeRecord,
  encodeRun,
  findInRun,
  KEY_BYTES,
  type KeyedRecord,
  type KeyRecord,
  runBytesOf,
  type RunHead,
  textOfKey,
  timesOf,
} from "./key-run.ts";
import { bytesOf, numberOf, type Sql } from "../storage/storage.ts";

/** Keys that live longer than this get runs of their own, so that they do not keep the short-lived on the disk. */
const LONG_LIFE_MS = 3_600_000;

export interface KeyIndexOptions {
  /** Young keys that make a run. */
  readonly runKeys?: number;
  /** Young bytes that make a run, however few the keys. */
  readonly runBytes?: number;
  /** A run's row is split past this. */
  readonly rowBytesMax?: number;
  /** Past this many keys the index is `full`. */
  readonly keysMax?: number;
  /** Bytes of runs kept in memory after a look-up. */
  readonly cacheBytesMax?: number;
  /** Runs deleted by one `seal`. */
  readonly dropsMax?: number;
}

export interface KeyEntry {
  /** Eight bytes of the request body's hash. */
  readonly body: Uint8Array;
  readonly atMs: number;
  /** The first instant at which the key is not found any more. */
  readonly untilMs: number;
  readonly value: Uint8Array;
}

export class KeyIndex {
  static readonly schema: readonly string[] = [
    "CREATE TABLE IF NOT EXISTS key_run (id INTEGER PRIMARY KEY, head BLOB NOT NULL, entries BLOB NOT NULL) STRICT",
  ];

  readonly #sql: Sql;
  readonly #options: Required<KeyIndexOptions>;
  readonly #young = new Map<string, Uint8Array>();
  #youngBytes = 0;
  #unsaved: KeyedRecord[] = [];
  #unsavedBytes = 0;
  /** Of the newest blob that a wake would have to feed back. */
  #turn = 0;
  /** Additions and removals since the last seal: what a wake would have to feed back. */
  #changes = 0;
  /** Oldest first; absent until first used. */
  #runs: RunHead[] | undefined;
  /** Checked entries of runs, least recently used first. */
  readonly #cache = new Map<number, Uint8Array>();
  #cacheBytes = 0;

  constructor(sql: Sql, options: KeyIndexOptions = {}) {
    this.#sql = sql;
    this.#options = {
      runKeys: 8_192,
      runBytes: 1_048_576,
      rowBytesMax: 1_200_000,
      keysMax: 4_000_000,
      cacheBytesMax: 2_097_152,
      dropsMax: 16,
      ...options,
    };
  }

  /** What is remembered of a key: the newest word on it, unless that was its removal or its time is over. */
  find(key: Uint8Array, nowMs: number): KeyEntry | undefined {
    const record = this.#lookUp(key, textOfKey(key), nowMs);
    if (record === undefined || record.removed || record.untilMs <= nowMs) return undefined;
    const { body, atMs, untilMs, value } = record;
    return { body, atMs, untilMs, value };
  }

  /**
   * Remembers a key. The caller has asked `find` before: a key that is found is not added again with an earlier end,
   * or the older record may show again when the newer run is dropped.
   */
  add(key: Uint8Array, entry: KeyEntry): void {
    if (entry.body.length !== BODY_BYTES) {
      throw new CodecError(`a body hash has ${BODY_BYTES} bytes, not ${entry.body.length}`);
    }
    const text = textOfKey(key);
    const before = this.#young.get(text);
    const holdMs = Math.max(entry.untilMs, before === undefined ? 0 : timesOf(before).holdMs);
    this.#put(text, encodeRecord({ ...entry, removed: false, holdMs }));
  }

  /** Takes a key back; false when it was not found anyway. */
  remove(key: Uint8Array, nowMs: number): boolean {
    const text = textOfKey(key);
    const found = this.#lookUp(key, text, nowMs);
    if (found === undefined || found.removed || found.untilMs <= nowMs) return false;
    const { body, value, holdMs } = found;
    this.#put(
      text,
      encodeRecord({ removed: true, body, atMs: nowMs, untilMs: holdMs, holdMs, value }),
    );
    return true;
  }

  /** About the bytes that `takeUnsaved` would answer. */
  get unsavedBytes(): number {
    return this.#unsavedBytes;
  }

  /** What was added and removed since the last call, to be stored by this flush; undefined when nothing was. */
  takeUnsaved(): Uint8Array | undefined {
    if (this.#unsaved.length === 0) return undefined;
    const blob = encodeBlob({ turn: ++this.#turn, records: this.#unsaved });
    this.#unsaved = [];
    this.#unsavedBytes = 0;
    return blob;
  }

  /** Feeds back the blobs of `takeUnsaved` after a restart, wherever they stood: the last word on a key is what counts. */
  restore(blobs: readonly Uint8Array[]): void {
    for (const { turn, records } of blobs.map(decodeBlob).toSorted((a, b) => a.turn - b.turn)) {
      this.#turn = turn;
      for (const [text, record] of records) this.#keepYoung(text, record);
    }
  }

  sealDue(): boolean {
    const { runKeys, runBytes } = this.#options;
    const many = this.#young.size >= runKeys || this.#changes >= 4 * runKeys;
    return many || this.#youngBytes >= runBytes;
  }

  /**
   * Writes all young keys, unsaved ones too, as a run (short-lived and long-lived ones apart) and deletes some runs whose
   * time is over. `mark` comes back from `lastMark`: blobs taken before this call need not be fed back any more.
   */
  seal(mark: string, nowMs: number): void {
    const runs = this.#loaded();
    const sorted = [...this.#young].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const short: KeyedRecord[] = [];
    const long: KeyedRecord[] = [];
    for (const keyed of sorted) {
      const { atMs, holdMs } = timesOf(keyed[1]);
      (holdMs - atMs > LONG_LIFE_MS ? long : short).push(keyed);
    }
    for (const records of [...this.#rows(long), ...this.#rows(short)])
      this.#writeRun(runs, mark, records);
    this.#young.clear();
    this.#youngBytes = 0;
    this.#unsaved = [];
    this.#unsavedBytes = 0;
    this.#changes = 0;
    this.#dropOver(runs, nowMs);
  }

  /** The mark of the last `seal` that wrote something. */
  lastMark(): string | undefined {
    if (this.#runs !== undefined) return this.#runs.at(-1)?.mark;
    for (const row of this.#sql.exec("SELECT id, head FROM key_run ORDER BY id DESC LIMIT 1")) {
      return decodeHead(numberOf(row["id"]), bytesOf(row["head"])).mark;
    }
    return undefined;
  }

  /** Keys held, counting those of a run until all of it is over. */
  size(nowMs: number): number {
    let count = this.#young.size;
    for (const run of this.#loaded()) if (run.maxHoldMs > nowMs) count += run.count;
    return count;
  }

  full(nowMs: number): boolean {
    return this.size(nowMs) >= this.#options.keysMax;
  }

  /** What it holds in memory, for gauges and tests. */
  memory(): { youngKeys: number; youngBytes: number; filterBytes: number; cacheBytes: number } {
    const filterBytes = (this.#runs ?? []).reduce((sum, run) => sum + run.filter.length, 0);
    const youngKeys = this.#young.size;
    return { youngKeys, youngBytes: this.#youngBytes, filterBytes, cacheBytes: this.#cacheBytes };
  }

  #put(text: string, record: Uint8Array): void {
    this.#keepYoung(text, record);
    this.#unsaved.push([text, record]);
    this.#unsavedBytes += runBytesOf(record);
  }

  #keepYoung(text: string, record: Uint8Array): void {
    const before = this.#young.get(text);
    if (before !== undefined) this.#youngBytes -= runBytesOf(before);
    this.#young.set(text, record);
    this.#youngBytes += runBytesOf(record);
    this.#changes++;
  }

  #lookUp(key: Uint8Array, text: string, nowMs: number): KeyRecord | undefined {
    const young = this.#young.get(text);
    if (young !== undefined) return decodeRecord(young);
    const runs = this.#loaded();
    const words = new DataView(key.buffer, key.byteOffset, KEY_BYTES);
    const first = words.getUint32(0);
    const second = words.getUint32(4);
    for (let index = runs.length - 1; index >= 0; index--) {
      const run = runs[index] as RunHead;
      if (run.maxHoldMs <= nowMs || !perhapsInBloom(run.filter, first, second)) continue;
      const record = findInRun(this.#entriesOf(run.id), key);
      if (record !== undefined) return decodeRecord(record.slice());
    }
    return undefined;
  }

  #loaded(): RunHead[] {
    if (this.#runs !== undefined) return this.#runs;
    const runs: RunHead[] = [];
    for (const row of this.#sql.exec("SELECT id, head FROM key_run ORDER BY id")) {
      runs.push(decodeHead(numberOf(row["id"]), bytesOf(row["head"])));
    }
    this.#runs = runs;
    return runs;
  }

  #entriesOf(id: number): Uint8Array {
    const cached = this.#cache.get(id);
    if (cached !== undefined) {
      this.#cache.delete(id);
      this.#cache.set(id, cached);
      return cached;
    }
    for (const row of this.#sql.exec("SELECT entries FROM key_run WHERE id = ?", id)) {
      const entries = withoutCrc(bytesOf(row["entries"]), id);
      this.#cache.set(id, entries);
      this.#cacheBytes += entries.length;
      this.#trimCache(id);
      return entries;
    }
    throw new CodecError(`key run ${id} is missing`);
  }

  /** Down to the bound; `keepId`'s entries alone may exceed it. */
  #trimCache(keepId: number): void {
    for (const id of this.#cache.keys()) {
      if (this.#cacheBytes <= this.#options.cacheBytesMax || id === keepId) return;
      this.#uncache(id);
    }
  }

  #uncache(id: number): void {
    this.#cacheBytes -= this.#cache.get(id)?.length ?? 0;
    this.#cache.delete(id);
  }

  /** Cuts sorted records into rows. */
  *#rows(records: readonly KeyedRecord[]): Generator<readonly KeyedRecord[]> {
    let start = 0;
    let bytes = 0;
    for (const [index, [, record]] of records.entries()) {
      const more = runBytesOf(record);
      if (index > start && bytes + more > this.#options.rowBytesMax) {
        yield records.slice(start, index);
        start = index;
        bytes = 0;
      }
      bytes += more;
    }
    if (start < records.length) yield records.slice(start);
  }

  #writeRun(runs: RunHead[], mark: string, records: readonly KeyedRecord[]): void {
    const id = (runs.at(-1)?.id ?? 0) + 1;
    const { head, entries } = encodeRun(id, mark, records);
    this.#sql.exec(
      "INSERT INTO key_run (id, head, entries) VALUES (?, ?, ?)",
      id,
      encodeHead(head),
      entries,
    );
    runs.push(head);
  }

  /** Oldest first; the newest run stays whatever its age, because it carries the mark and the last id. */
  #dropOver(runs: RunHead[], nowMs: number): void {
    const newest = runs.at(-1);
    const over = runs.filter((run) => run !== newest && run.maxHoldMs <= nowMs);
    const dropped = new Set(over.slice(0, this.#options.dropsMax));
    for (const { id } of dropped) {
      this.#sql.exec("DELETE FROM key_run WHERE id = ?", id);
      this.#uncache(id);
    }
    if (dropped.size > 0) this.#runs = runs.filter((run) => !dropped.has(run));
  }
}
