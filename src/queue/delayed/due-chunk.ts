/**
 * The bytes of the due index's rows: chunks of (due, position) pairs, their heads, and the one row of progress.
 * It never touches storage. Each blob carries a checksum seeded with its row's id.
 */
import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.ts";
import { withCrc, withoutCrc } from "../../core/crc32.ts";

const VERSION = 1;

export interface DueEntry {
  readonly position: number;
  readonly dueMs: number;
}

export function compareDue(a: DueEntry, b: DueEntry): number {
  return a.dueMs - b.dueMs || a.position - b.position;
}

/** What memory keeps of a chunk. */
export interface ChunkHead {
  readonly id: number;
  readonly runId: number;
  /** How often the run's entries were merged. */
  readonly level: number;
  readonly count: number;
  /** The chunk's first entry. */
  readonly first: DueEntry;
}

export function encodeChunkHead(head: ChunkHead): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(40).byte(VERSION).uint(head.runId).uint(head.level);
  writer.uint(head.count).uint(head.first.dueMs).uint(head.first.position);
  return withCrc(writer.view(), head.id);
}

export function decodeChunkHead(id: number, sealed: Uint8Array): ChunkHead {
  const reader = openVersioned(sealed, id);
  const [runId, level, count] = [reader.uint(), reader.uint(), reader.uint()];
  return { id, runId, level, count, first: { dueMs: reader.uint(), position: reader.uint() } };
}

/** Entries sorted by (due, position), as differences: some six bytes each. */
export function encodeChunk(id: number, entries: readonly DueEntry[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(entries.length * 8 + 16);
  let [dueMs, position] = [0, 0];
  for (const entry of entries) {
    const step = entry.position - position;
    writer.uint(entry.dueMs - dueMs).uint(step < 0 ? -2 * step - 1 : 2 * step);
    ({ dueMs, position } = entry);
  }
  return withCrc(writer.view(), id);
}

/** The entries from the one numbered `skip` on, reversed: the last of the list is the next to be read. */
export function decodeChunk(head: ChunkHead, sealed: Uint8Array, skip: number): DueEntry[] {
  const reader = new ByteReader(withoutCrc(sealed, head.id));
  const entries: DueEntry[] = [];
  let [dueMs, position] = [0, 0];
  for (let index = 0; index < head.count; index++) {
    dueMs += reader.uint();
    const step = reader.uint();
    position += step % 2 === 1 ? -(step + 1) / 2 : step / 2;
    if (index >= skip) entries.push({ dueMs, position });
  }
  return entries.toReversed();
}

/** How far a run's first chunk has been read. */
export interface Progress {
  readonly chunkId: number;
  readonly skip: number;
  /** The next entry to be read. */
  readonly next: DueEntry;
}

/** A merge that is on its way: `runIds` are being emptied into run `intoRunId`. */
export interface Merge {
  readonly intoRunId: number;
  readonly level: number;
  readonly runIds: readonly number[];
}

export interface DueState {
  readonly nextRunId: number;
  readonly nextChunkId: number;
  /** Positions below this are in runs, or popped. */
  readonly indexedUpTo: number;
  readonly mark: string;
  readonly merge: Merge | undefined;
  readonly progress: readonly Progress[];
}

export function encodeState(state: DueState): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(256).byte(VERSION).uint(state.nextRunId).uint(state.nextChunkId);
  writer
    .uint(state.indexedUpTo)
    .text(state.mark)
    .byte(state.merge === undefined ? 0 : 1);
  if (state.merge !== undefined) {
    writer.uint(state.merge.intoRunId).uint(state.merge.level).uint(state.merge.runIds.length);
    for (const id of state.merge.runIds) writer.uint(id);
  }
  writer.uint(state.progress.length);
  for (const { chunkId, skip, next } of state.progress) {
    writer.uint(chunkId).uint(skip).uint(next.dueMs).uint(next.position);
  }
  return withCrc(writer.view());
}

export function decodeState(sealed: Uint8Array): DueState {
  const reader = openVersioned(sealed, 0);
  const [nextRunId, nextChunkId, indexedUpTo] = [reader.uint(), reader.uint(), reader.uint()];
  const mark = reader.text();
  const merge = reader.byte() === 0 ? undefined : readMerge(reader);
  const progress: Progress[] = [];
  for (let left = reader.uint(); left > 0; left--) {
    const [chunkId, skip] = [reader.uint(), reader.uint()];
    progress.push({ chunkId, skip, next: { dueMs: reader.uint(), position: reader.uint() } });
  }
  return { nextRunId, nextChunkId, indexedUpTo, mark, merge, progress };
}

function readMerge(reader: ByteReader): Merge {
  const [intoRunId, level] = [reader.uint(), reader.uint()];
  const runIds: number[] = [];
  for (let left = reader.uint(); left > 0; left--) runIds.push(reader.uint());
  return { intoRunId, level, runIds };
}

function openVersioned(sealed: Uint8Array, seed: number): ByteReader {
  const reader = new ByteReader(withoutCrc(sealed, seed));
  const version = reader.byte();
  if (version !== VERSION) throw new CodecError(`unknown due index version ${version}`);
  return reader;
}
