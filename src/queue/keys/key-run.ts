/**
 * The bytes of remembered keys: one record each, blobs of records for the flush's own row, and sealed runs, sorted by key.
 * It never touches storage. A run is found in without decoding it: a table of (key, place) in front, binary search over it.
 */
import { addToBloom, makeBloom } from "../../core/bloom.ts";
import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.ts";
import { withCrc, withoutCrc } from "../../core/crc32.ts";

export const KEY_BYTES = 16;
export const BODY_BYTES = 8;
const TABLE_STRIDE = KEY_BYTES + 4;
const VERSION = 1;
const FLAG = { removed: 1, holds: 2 } as const;

/** What is known of a key. */
export interface KeyRecord {
  /** The key was taken back; this hides what older runs say. */
  readonly removed: boolean;
  readonly body: Uint8Array;
  readonly atMs: number;
  readonly untilMs: number;
  /** Until when this must stand, because it hides an older record that lives that long; never before untilMs. */
  readonly holdMs: number;
  readonly value: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export function encodeRecord(record: KeyRecord): Uint8Array<ArrayBuffer> {
  const holds = record.holdMs > record.untilMs;
  const writer = new ByteWriter(40 + record.value.length);
  writer.byte((record.removed ? FLAG.removed : 0) | (holds ? FLAG.holds : 0));
  writer.uint(record.atMs).uint(Math.max(0, record.untilMs - record.atMs));
  if (holds) writer.uint(record.holdMs);
  if (!record.removed) writer.raw(record.body).raw(record.value);
  return writer.finish();
}

interface RecordTimes {
  readonly removed: boolean;
  readonly atMs: number;
  readonly untilMs: number;
  readonly holdMs: number;
}

function readTimes(reader: ByteReader): RecordTimes {
  const flags = reader.byte();
  const atMs = reader.uint();
  const untilMs = atMs + reader.uint();
  const holdMs = flags & FLAG.holds ? reader.uint() : untilMs;
  return { removed: (flags & FLAG.removed) !== 0, atMs, untilMs, holdMs };
}

/** A record's instants alone: sealing reads thousands of them. */
export const timesOf = (bytes: Uint8Array): RecordTimes => readTimes(new ByteReader(bytes));

export function decodeRecord(bytes: Uint8Array): KeyRecord {
  const reader = new ByteReader(bytes);
  const { removed, atMs, untilMs, holdMs } = readTimes(reader);
  const body = removed ? NOTHING : reader.raw(BODY_BYTES);
  return { removed, body, atMs, untilMs, holdMs, value: reader.rest() };
}

/** A key's bytes as a text of 16 units: a Map's key that sorts as the bytes do. */
export function textOfKey(key: Uint8Array): string {
  if (key.length !== KEY_BYTES)
    throw new CodecError(`a key has ${KEY_BYTES} bytes, not ${key.length}`);
  return String.fromCharCode(...key);
}

function writeKey(target: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < KEY_BYTES; index++) target[at + index] = text.charCodeAt(index);
}

/** Records in the order they came about, as `[key, record]`. */
export type KeyedRecord = readonly [key: string, record: Uint8Array];

/** What one flush stored of the keys. `turn` counts these blobs: they stand in several tables, and only it orders them. */
export interface KeyBlob {
  readonly turn: number;
  readonly records: readonly KeyedRecord[];
}

export function encodeBlob({ turn, records }: KeyBlob): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(64 * records.length + 9);
  const key = new Uint8Array(KEY_BYTES);
  writer.byte(VERSION).uint(turn);
  for (const [text, record] of records) {
    writeKey(key, 0, text);
    writer.raw(key).blob(record);
  }
  return withCrc(writer.view());
}

export function decodeBlob(sealed: Uint8Array): KeyBlob {
  const reader = new ByteReader(withoutCrc(sealed));
  const version = reader.byte();
  if (version !== VERSION) throw new CodecError(`unknown key blob version ${version}`);
  const turn = reader.uint();
  const records: KeyedRecord[] = [];
  while (!reader.done) {
    const text = textOfKey(reader.raw(KEY_BYTES));
    records.push([text, reader.blob().slice()]);
  }
  return { turn, records };
}

/** What is kept in memory of a run. */
export interface RunHead {
  readonly id: number;
  /** The caller's own word for "everything up to here is in runs". */
  readonly mark: string;
  readonly minAtMs: number;
  readonly maxAtMs: number;
  /** From this instant on nothing in the run counts. */
  readonly maxHoldMs: number;
  readonly count: number;
  readonly filter: Uint8Array;
}

export function encodeHead(head: RunHead): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(head.filter.length + head.mark.length * 3 + 64);
  writer.byte(VERSION).text(head.mark).uint(head.minAtMs).uint(head.maxAtMs);
  writer.uint(head.maxHoldMs).uint(head.count).blob(head.filter);
  return withCrc(writer.view(), head.id);
}

export function decodeHead(id: number, sealed: Uint8Array): RunHead {
  const reader = new ByteReader(withoutCrc(sealed, id));
  const version = reader.byte();
  if (version !== VERSION) throw new CodecError(`unknown key run version ${version}`);
  return {
    id,
    mark: reader.text(),
    minAtMs: reader.uint(),
    maxAtMs: reader.uint(),
    maxHoldMs: reader.uint(),
    count: reader.uint(),
    filter: reader.blob(),
  };
}

export interface Run {
  readonly head: RunHead;
  readonly entries: Uint8Array<ArrayBuffer>;
}

/** The bytes one record takes in a run. */
export const runBytesOf = (record: Uint8Array): number => TABLE_STRIDE + record.length;

/** A run of records that are sorted by key and name each key once. */
export function encodeRun(id: number, mark: string, records: readonly KeyedRecord[]): Run {
  const tableBytes = 4 + records.length * TABLE_STRIDE;
  const bytes = new Uint8Array(
    records.reduce((sum, [, record]) => sum + record.length, tableBytes),
  );
  const view = new DataView(bytes.buffer);
  const filter = makeBloom(records.length);
  let [minAtMs, maxAtMs, maxHoldMs] = [Number.MAX_SAFE_INTEGER, 0, 0];
  let [tableAt, recordAt] = [4, tableBytes];
  view.setUint32(0, records.length);
  for (const [text, record] of records) {
    writeKey(bytes, tableAt, text);
    addToBloom(filter, view.getUint32(tableAt), view.getUint32(tableAt + 4));
    view.setUint32(tableAt + KEY_BYTES, recordAt);
    bytes.set(record, recordAt);
    tableAt += TABLE_STRIDE;
    recordAt += record.length;
    const { atMs, holdMs } = timesOf(record);
    minAtMs = Math.min(minAtMs, atMs);
    maxAtMs = Math.max(maxAtMs, atMs);
    maxHoldMs = Math.max(maxHoldMs, holdMs);
  }
  const head = { id, mark, minAtMs, maxAtMs, maxHoldMs, count: records.length, filter };
  return { head, entries: withCrc(bytes, id) };
}

/** A key's record among a run's entries (checked, without their checksum). */
export function findInRun(entries: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const wanted = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const count = view.getUint32(0);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = 4 + middle * TABLE_STRIDE;
    const order = compareKeys(view, at, wanted);
    if (order === 0) {
      const end =
        middle + 1 === count ? entries.length : view.getUint32(at + TABLE_STRIDE + KEY_BYTES);
      return entries.subarray(view.getUint32(at + KEY_BYTES), end);
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

function compareKeys(view: DataView, at: number, wanted: DataView): number {
  for (let offset = 0; offset < KEY_BYTES; offset += 4) {
    const order = view.getUint32(at + offset) - wanted.getUint32(offset);
    if (order !== 0) return order;
  }
  return 0;
}
