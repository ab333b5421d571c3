/**
 * An entry: a record as a log keeps it, with what the broker knows of it. A message that was sent straight to its queue
 * needs nothing of this: its id follows from its offset and it was sent when it was stored.
 * Layout, version 1: version byte, flags, the fields that are set, then the record.
 */
import { ByteReader, type ByteWriter, CodecError, Scratch } from "./bytes.ts";

const VERSION = 1;
const FLAG = {
  id: 1,
  sentAt: 2,
  transactionId: 4,
  expiresAt: 8,
  deliverAt: 16,
  isFirst: 32,
  largeBytes: 64,
} as const;

export interface Entry {
  /** Absent: the id that follows from queue and offset. */
  readonly id?: string;
  /** Absent: the segment's storedAt. */
  readonly sentAt?: number;
  readonly transactionId?: string;
  /** When it may no longer be delivered. */
  readonly expiresAt?: number;
  /** Only while it is forwarded: when it is due, counted from the commit by its home queue. */
  readonly deliverAt?: number;
  /** Only while it is forwarded: its dedup id was looked up when it was taken in, and is not any more. */
  readonly isFirst?: true;
  /** Bytes of a body that does not stand in the record: an answer carries them all the same. */
  readonly largeBytes?: number;
  readonly record: Uint8Array;
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  let flags = 0;
  if (entry.id !== undefined) flags |= FLAG.id;
  if (entry.sentAt !== undefined) flags |= FLAG.sentAt;
  if (entry.transactionId !== undefined) flags |= FLAG.transactionId;
  if (entry.expiresAt !== undefined) flags |= FLAG.expiresAt;
  if (entry.deliverAt !== undefined) flags |= FLAG.deliverAt;
  if (entry.isFirst === true) flags |= FLAG.isFirst;
  if (entry.largeBytes !== undefined) flags |= FLAG.largeBytes;
  writer.byte(VERSION).byte(flags);
  if (entry.id !== undefined) writer.text(entry.id);
  if (entry.sentAt !== undefined) writer.uint(entry.sentAt);
  if (entry.transactionId !== undefined) writer.text(entry.transactionId);
  if (entry.expiresAt !== undefined) writer.uint(entry.expiresAt);
  if (entry.deliverAt !== undefined) writer.uint(entry.deliverAt);
  if (entry.largeBytes !== undefined) writer.uint(entry.largeBytes);
  writer.raw(entry.record);
}

const scratch = new Scratch();

/** The entry's bytes, valid until the next one is written. */
export function entryView(entry: Entry): Uint8Array {
  const writer = scratch.take();
  writeEntry(writer, entry);
  return writer.view();
}

export function encodeEntry(entry: Entry): Uint8Array<ArrayBuffer> {
  const writer = scratch.take();
  writeEntry(writer, entry);
  return writer.finish();
}

export function decodeEntry(bytes: Uint8Array): Entry {
  // The commonest by far: sent straight to its queue.
  if (bytes[0] === VERSION && bytes[1] === 0) return { record: bytes.subarray(2) };
  const reader = new ByteReader(bytes);
  const flags = readFlags(reader);
  const entry: Mutable<Partial<Entry>> = {};
  if (flags & FLAG.id) entry.id = reader.text();
  if (flags & FLAG.sentAt) entry.sentAt = reader.uint();
  if (flags & FLAG.transactionId) entry.transactionId = reader.text();
  if (flags & FLAG.expiresAt) entry.expiresAt = reader.uint();
  if (flags & FLAG.deliverAt) entry.deliverAt = reader.uint();
  if (flags & FLAG.isFirst) entry.isFirst = true;
  if (flags & FLAG.largeBytes) entry.largeBytes = reader.uint();
  return Object.assign(entry, { record: reader.rest() });
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function readFlags(reader: ByteReader): number {
  const version = reader.byte();
  if (version !== VERSION) throw new CodecError(`unknown entry version ${version}`);
  return reader.byte();
}

/** When it may no longer be delivered, without reading the rest. */
export function entryExpiresAt(bytes: Uint8Array): number | undefined {
  return ((bytes[1] ?? 0) & FLAG.expiresAt) === 0 ? undefined : decodeEntry(bytes).expiresAt;
}

/** What it takes of an answer: its own bytes, and those of a body that stands elsewhere. */
export function entryWeight(bytes: Uint8Array): number {
  const isLarge = ((bytes[1] ?? 0) & FLAG.largeBytes) !== 0;
  return isLarge ? bytes.length + (decodeEntry(bytes).largeBytes ?? 0) : bytes.length;
}
