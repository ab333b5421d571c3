/**
 * One sorted run of the due index: its chunks in order, of which at most the first is decoded.
 * It deletes a chunk's row when the last entry of it was taken; it never writes one.
 */
import { CodecError } from "../../core/bytes.ts";
import { type ChunkHead, decodeChunk, type DueEntry, type Progress } from "./due-chunk.ts";
import { bytesOf, type Sql } from "../storage/storage.ts";

export class DueRun {
  readonly id: number;
  readonly level: number;
  readonly #sql: Sql;
  #chunks: ChunkHead[] = [];
  /** Where the first chunk stands in #chunks; those before it are gone. */
  #at = 0;
  /** Entries taken from the first chunk. */
  #skip = 0;
  #next: DueEntry | undefined;
  /** The first chunk's untaken entries, last first; absent while not decoded. */
  #entries: DueEntry[] | undefined;

  constructor(sql: Sql, id: number, level: number) {
    this.#sql = sql;
    this.id = id;
    this.level = level;
  }

  /** The next entry to be taken; undefined when the run is empty. */
  get next(): DueEntry | undefined {
    return this.#next;
  }

  get chunkCount(): number {
    return this.#chunks.length - this.#at;
  }

  /** Entries decoded in memory. */
  get decodedCount(): number {
    return this.#entries?.length ?? 0;
  }

  /** Entries not yet taken. */
  get count(): number {
    let sum = -this.#skip;
    for (let at = this.#at; at < this.#chunks.length; at++) sum += this.#chunks[at]?.count ?? 0;
    return sum;
  }

  /** Chunks with something due before `dueMs`. */
  chunksBefore(dueMs: number): number {
    return this.#chunks.slice(this.#at).filter((chunk) => chunk.first.dueMs < dueMs).length;
  }

  /** Puts a chunk behind the others; all in it come later than all before. */
  append(head: ChunkHead): void {
    this.#chunks.push(head);
    this.#next ??= head.first;
  }

  /** How far the first chunk was read, if at all. */
  get progress(): Progress | undefined {
    const chunk = this.#chunks[this.#at];
    if (this.#skip === 0 || chunk === undefined || this.#next === undefined) return undefined;
    return { chunkId: chunk.id, skip: this.#skip, next: this.#next };
  }

  /** After a restart, when `progress` belongs to this run's first chunk. */
  resume(progress: Progress): void {
    if (this.#chunks[this.#at]?.id !== progress.chunkId) {
      throw new CodecError(`due chunk ${progress.chunkId} is missing`);
    }
    this.#skip = progress.skip;
    this.#next = progress.next;
  }

  take(): DueEntry | undefined {
    const chunk = this.#chunks[this.#at];
    if (chunk === undefined) return undefined;
    this.#entries ??= this.#decode(chunk);
    const entry = this.#entries.pop();
    this.#skip++;
    this.#next = this.#entries.at(-1);
    if (this.#next === undefined) this.#dropFirst(chunk);
    return entry;
  }

  /** Lets go of the decoded entries; they are read again when needed. */
  release(): void {
    this.#entries = undefined;
  }

  #decode(chunk: ChunkHead): DueEntry[] {
    for (const row of this.#sql.exec("SELECT entries FROM due_chunk WHERE id = ?", chunk.id)) {
      return decodeChunk(chunk, bytesOf(row["entries"]), this.#skip);
    }
    throw new CodecError(`due chunk ${chunk.id} is missing`);
  }

  #dropFirst(chunk: ChunkHead): void {
    this.#sql.exec("DELETE FROM due_chunk WHERE id = ?", chunk.id);
    this.#at++;
    this.#skip = 0;
    this.#entries = undefined;
    if (this.#at > 64 && this.#at * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#at);
      this.#at = 0;
    }
    this.#next = this.#chunks[this.#at]?.first;
  }
}
