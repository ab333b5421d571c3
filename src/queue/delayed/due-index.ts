/**
 * When delayed messages are due: (due, position) pairs, a million of them without holding them in memory.
 * New ones wait in a tail that the caller's own rows make durable; sealed, they are sorted runs of chunk rows, merged
 * eight to one as they pile up. It always knows the earliest due instant (`next` is never later than the truth), and
 * forgets nothing: a popped entry may come once more after a restart, a retimed one is simply there twice.
 * It never reads the clock and opens no transaction: a flush that throws discards the whole object.
 */
import {
  type ChunkHead,
  compareDue,
  decodeChunkHead,
  decodeState,
  type DueEntry,
  encodeChunk,
  encodeChunkHead,
  encodeState,
  type Merge,
} from "./due-chunk.ts";
import { DueRun } from "./due-run.ts";
import { DueTail } from "./due-tail.ts";
import { CodecError } from "../../core/bytes.ts";
import { bytesOf, numberOf, type Sql } from "../storage/storage.ts";

export interface DueIndexOptions {
  /** After a pop, decoded chunks whose next entry is due later than this are let go. */
  readonly horizonMs?: number;
  /** Entries per chunk row. */
  readonly runEntries?: number;
  /** Adds since the last seal that make the next one due. */
  readonly tailMax?: number;
  /** Runs of a level that are merged into one of the next. */
  readonly fanIn?: number;
  /** Entries one `mergeStep` moves. */
  readonly mergeEntries?: number;
  /** Entries that may be popped a second time after a restart, beside those of the tail. */
  readonly progressEntries?: number;
}

export class DueIndex {
  static readonly schema: readonly string[] = [
    "CREATE TABLE IF NOT EXISTS due_chunk (id INTEGER PRIMARY KEY, head BLOB NOT NULL, entries BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS due_state (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
  ];

  readonly #sql: Sql;
  readonly #options: Required<DueIndexOptions>;
  readonly #tail = new DueTail();
  /** By id; absent until first used. Runs without chunks are not kept. */
  #runs: Map<number, DueRun> | undefined;
  #nextRunId = 1;
  #nextChunkId = 1;
  #merge: Merge | undefined;
  #indexedUpTo = 0;
  #mark = "";
  /** One past the highest position seen. */
  #seenUpTo = 0;
  #addsSinceSeal = 0;
  #popsSinceSave = 0;

  constructor(sql: Sql, options: DueIndexOptions = {}) {
    this.#sql = sql;
    this.#options = {
      horizonMs: 3_600_000,
      runEntries: 4_096,
      tailMax: 8_192,
      fanIn: 8,
      mergeEntries: 16_384,
      progressEntries: 4_096,
      ...options,
    };
  }

  /** Positions below this need not be fed back after a restart; what was retimed after the last seal still must be. */
  indexedUpTo(): number {
    this.#loaded();
    return this.#indexedUpTo;
  }

  /** The mark of the last seal; "" before the first. */
  lastMark(): string {
    this.#loaded();
    return this.#mark;
  }

  /** Adds a position, or adds it again with another due instant: the caller ignores the stale one when it is popped. */
  add(position: number, dueMs: number): void {
    this.#tail.add({ position, dueMs });
    this.#seenUpTo = Math.max(this.#seenUpTo, position + 1);
    this.#addsSinceSeal++;
  }

  /** Feeds back, after a restart, what was added since the last seal. Popped ones may be left out. */
  restore(position: number, dueMs: number): void {
    this.add(position, dueMs);
  }

  sealDue(): boolean {
    return this.#addsSinceSeal >= this.#options.tailMax;
  }

  /** Writes the tail as a run. `mark` comes back from `lastMark`; what was added before this call is durable without the caller. */
  seal(mark = ""): void {
    this.#loaded();
    const entries = this.#tail.drain();
    if (entries.length > 0) this.#appendTo(this.#nextRunId++, 0, entries);
    this.#indexedUpTo = Math.max(this.#indexedUpTo, this.#seenUpTo);
    this.#mark = mark;
    this.#addsSinceSeal = 0;
    this.#save();
  }

  /** Whether `mergeStep` has something to do. */
  mergeDue(): boolean {
    this.#loaded();
    return this.#merge !== undefined || this.#ripe() !== undefined;
  }

  /** Does a bounded piece of merging; true when more remains. */
  mergeStep(): boolean {
    const runs = this.#loaded();
    const ripe = this.#merge ?? this.#ripe();
    if (ripe === undefined) return false;
    const merge = { ...ripe, intoRunId: ripe.intoRunId || this.#nextRunId++ };
    const inputs = merge.runIds.map((id) => runs.get(id)).filter((run) => run !== undefined);
    const entries: DueEntry[] = [];
    while (entries.length < this.#options.mergeEntries) {
      const source = earliest(inputs);
      const entry = source?.take();
      if (entry === undefined) break;
      entries.push(entry);
    }
    for (const run of inputs) if (run.next === undefined) runs.delete(run.id);
    if (entries.length > 0) this.#appendTo(merge.intoRunId, merge.level, entries);
    const remains = inputs.some((run) => run.next !== undefined);
    this.#merge = remains ? merge : undefined;
    if (!remains) for (const run of inputs) run.release();
    this.#save();
    return this.mergeDue();
  }

  /** The earliest due instant held; undefined when nothing is. */
  next(): number | undefined {
    const first = earliest(this.#loaded().values())?.next;
    const tail = this.#tail.first;
    if (first === undefined) return tail?.dueMs;
    return tail === undefined ? first.dueMs : Math.min(first.dueMs, tail.dueMs);
  }

  /** Takes out what is due, at most `max`, by (due, position). */
  popDue(nowMs: number, max: number): DueEntry[] {
    const runs = this.#loaded();
    const popped: DueEntry[] = [];
    while (popped.length < max) {
      const run = earliest(runs.values());
      const tail = this.#tail.first;
      const fromTail =
        tail !== undefined && (run?.next === undefined || compareDue(tail, run.next) <= 0);
      const first = fromTail ? tail : run?.next;
      if (first === undefined || first.dueMs > nowMs) break;
      popped.push(first);
      if (fromTail) this.#tail.pop();
      else if (run !== undefined) {
        run.take();
        this.#popsSinceSave++;
        if (run.next === undefined) runs.delete(run.id);
      }
    }
    const horizonMs = nowMs + this.#options.horizonMs;
    for (const run of runs.values()) if ((run.next?.dueMs ?? 0) > horizonMs) run.release();
    if (this.#popsSinceSave >= this.#options.progressEntries) this.#save();
    return popped;
  }

  /** Entries held, stale ones too. */
  size(): number {
    let count = this.#tail.size;
    for (const run of this.#loaded().values()) count += run.count;
    return count;
  }

  /** What it holds in memory and on the disk, for gauges and tests; `chunksBefore` counts those with something due before an instant. */
  memory(beforeMs = 0): {
    tail: number;
    decoded: number;
    runs: number;
    chunks: number;
    chunksBefore: number;
  } {
    const runs = [...this.#loaded().values()];
    const sum = (of: (run: DueRun) => number): number =>
      runs.reduce((total, run) => total + of(run), 0);
    return {
      tail: this.#tail.size,
      decoded: sum((run) => run.decodedCount),
      runs: runs.length,
      chunks: sum((run) => run.chunkCount),
      chunksBefore: sum((run) => run.chunksBefore(beforeMs)),
    };
  }

  #loaded(): Map<number, DueRun> {
    if (this.#runs !== undefined) return this.#runs;
    const runs = new Map<number, DueRun>();
    const runOfChunk = new Map<number, DueRun>();
    for (const row of this.#sql.exec("SELECT id, head FROM due_chunk ORDER BY id")) {
      const head = decodeChunkHead(numberOf(row["id"]), bytesOf(row["head"]));
      const run = runs.get(head.runId) ?? new DueRun(this.#sql, head.runId, head.level);
      run.append(head);
      runs.set(run.id, run);
      runOfChunk.set(head.id, run);
    }
    let isStated = false;
    for (const row of this.#sql.exec("SELECT body FROM due_state WHERE id = 1")) {
      isStated = true;
      const state = decodeState(bytesOf(row["body"]));
      this.#nextRunId = state.nextRunId;
      this.#nextChunkId = state.nextChunkId;
      this.#indexedUpTo = state.indexedUpTo;
      this.#mark = state.mark;
      this.#merge = state.merge;
      // A chunk that was read to its end since then is gone, and its progress with it.
      for (const progress of state.progress) runOfChunk.get(progress.chunkId)?.resume(progress);
    }
    // The two are written together.
    if (!isStated && runs.size > 0) throw new CodecError("the state of the due index is missing");
    this.#runs = runs;
    return runs;
  }

  /** A level with enough runs for a merge, lowest first; its intoRunId is still to be given. */
  #ripe(): Merge | undefined {
    const byLevel = new Map<number, number[]>();
    for (const run of this.#loaded().values()) {
      const ids = byLevel.get(run.level) ?? [];
      ids.push(run.id);
      byLevel.set(run.level, ids);
    }
    let lowest: number | undefined;
    for (const [level, ids] of byLevel) {
      if (ids.length >= this.#options.fanIn && level < (lowest ?? Infinity)) lowest = level;
    }
    if (lowest === undefined) return undefined;
    const runIds = (byLevel.get(lowest) ?? []).toSorted((a, b) => a - b);
    return { intoRunId: 0, level: lowest + 1, runIds: runIds.slice(0, this.#options.fanIn) };
  }

  /** Writes sorted entries as chunks behind a run's others. */
  #appendTo(runId: number, level: number, entries: readonly DueEntry[]): void {
    const runs = this.#loaded();
    const run = runs.get(runId) ?? new DueRun(this.#sql, runId, level);
    runs.set(runId, run);
    for (let start = 0; start < entries.length; start += this.#options.runEntries) {
      const part = entries.slice(start, start + this.#options.runEntries);
      const head: ChunkHead = {
        id: this.#nextChunkId++,
        runId,
        level,
        count: part.length,
        first: part[0] as DueEntry,
      };
      this.#sql.exec(
        "INSERT INTO due_chunk (id, head, entries) VALUES (?, ?, ?)",
        head.id,
        encodeChunkHead(head),
        encodeChunk(head.id, part),
      );
      run.append(head);
    }
  }

  #save(): void {
    const runs = [...this.#loaded().values()];
    const body = encodeState({
      nextRunId: this.#nextRunId,
      nextChunkId: this.#nextChunkId,
      indexedUpTo: this.#indexedUpTo,
      mark: this.#mark,
      merge: this.#merge,
      progress: runs.map((run) => run.progress).filter((progress) => progress !== undefined),
    });
    this.#sql.exec(
      "INSERT INTO due_state (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
      body,
    );
    this.#popsSinceSave = 0;
  }
}

/** The run whose next entry comes first. */
function earliest(runs: Iterable<DueRun>): DueRun | undefined {
  let best: DueRun | undefined;
  for (const run of runs) {
    if (run.next === undefined) continue;
    if (best?.next === undefined || compareDue(run.next, best.next) < 0) best = run;
  }
  return best;
}
