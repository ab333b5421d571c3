/**
 * CRC-32 (IEEE, as zlib's), eight bytes a step, and blobs that carry theirs in their last four bytes.
 * It finds damage, not malice. The seed ties a blob to its place: a row's bytes under another id do not pass.
 */
import { CodecError, encodeText } from "./bytes.ts";

/** What a checksum takes behind a blob. */
export const CRC_BYTES = 4;
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    tables[byte] = value;
  }
  for (let index = 256; index < tables.length; index++) {
    const before = table(tables, index - 256);
    tables[index] = (before >>> 8) ^ table(tables, before & 0xff);
  }
  return tables;
}

function table(tables: Int32Array | Uint8Array, index: number): number {
  return tables[index] as number;
}

/** Shorter ones are through before a view on them is made. */
const LONG_BYTES = 96;

/** The checksum of `bytes`, going on from `seed`: `crc32(b, crc32(a))` is that of a and b in a row. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  if (bytes.length >= LONG_BYTES) return crc32OfMany(bytes, seed);
  let crc = ~seed;
  for (let at = 0; at < bytes.length; at++)
    crc = (crc >>> 8) ^ table(TABLES, (crc ^ table(bytes, at)) & 0xff);
  return ~crc >>> 0;
}

function crc32OfMany(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const t = TABLES;
  let crc = ~seed;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low = crc ^ view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    crc =
      table(t, 0x700 | (low & 0xff)) ^
      table(t, 0x600 | ((low >>> 8) & 0xff)) ^
      table(t, 0x500 | ((low >>> 16) & 0xff)) ^
      table(t, 0x400 | (low >>> 24)) ^
      table(t, 0x300 | (high & 0xff)) ^
      table(t, 0x200 | ((high >>> 8) & 0xff)) ^
      table(t, 0x100 | ((high >>> 16) & 0xff)) ^
      table(t, high >>> 24);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ table(t, (crc ^ view.getUint8(at)) & 0xff);
  return ~crc >>> 0;
}

/** A seed that ties a blob to the other columns of its row: the blob does not pass once one of them is another. */
export function seedOf(...columns: readonly (number | string)[]): number {
  const t = TABLES;
  let crc = ~0;
  let isFirst = true;
  for (const column of columns) {
    // As if they were one text, with a zero between them.
    if (!isFirst) crc = (crc >>> 8) ^ table(t, crc & 0xff);
    isFirst = false;
    const text = String(column);
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      // Nearly every column is ASCII, whose bytes are its units.
      if (unit >= 0x80) return crc32(encodeText(columns.join("\0")));
      crc = (crc >>> 8) ^ table(t, (crc ^ unit) & 0xff);
    }
  }
  return ~crc >>> 0;
}

/** The bytes with their checksum behind them. */
export function withCrc(bytes: Uint8Array, seed = 0): Uint8Array<ArrayBuffer> {
  const { length } = bytes;
  const sealed = new Uint8Array(length + CRC_BYTES);
  sealed.set(bytes);
  const crc = crc32(bytes, seed);
  for (let at = 0; at < CRC_BYTES; at++) sealed[length + at] = crc >>> (8 * at);
  return sealed;
}

/** A view on the bytes in front of a checksum that fits, else `CodecError`, which says `what` they are. */
export function withoutCrc(sealed: Uint8Array, seed = 0, what = "a blob"): Uint8Array {
  const length = sealed.length - CRC_BYTES;
  if (length < 0) throw new CodecError("too short for its checksum");
  const bytes = sealed.subarray(0, length);
  const crc = crc32(bytes, seed);
  for (let at = 0; at < CRC_BYTES; at++)
    if (sealed[length + at] !== ((crc >>> (8 * at)) & 0xff))
      throw new CodecError(`the checksum of ${what} does not fit`);
  return bytes;
}
