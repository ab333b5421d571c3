/**
 * An entry: a record as a log keeps it, with what the broker knows of it. A message that was sent straight to its queue
 * needs nothing of this (its id follows from its offset and it was sent when it was stored): its entry is the record itself,
 * so that a frame of such records is a segment's body as it stands.
 * Layout of any other, version 1: a byte that no record begins with, flags, the fields that are set, then the record.
 */
import { ByteReader, type ByteWriter, Scratch } from "./bytes.ts";

/** Records begin with their version, which stays below 128. */
const VERSION = 0x81;
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

function flagsOf(entry: Entry): number {
  let flags = 0;
  if (entry.id !== undefined) flags |= FLAG.id;
  if (entry.sentAt !== undefined) flags |= FLAG.sentAt;
  if (entry.transactionId !== undefined) flags |= FLAG.transactionId;
  if (entry.expiresAt !== undefined) flags |= FLAG.expiresAt;
  if (entry.deliverAt !== undefined) flags |= FLAG.deliverAt;
  if (entry.isFirst === true) flags |= FLAG.isFirst;
  if (entry.largeBytes !== undefined) flags |= FLAG.largeBytes;
  return flags;
}

function writeEntry(writer: ByteWriter, entry: Entry, flags: number): void {
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
  const flags = flagsOf(entry);
  if (flags === 0) return entry.record;
  const writer = scratch.take();
  writeEntry(writer, entry, flags);
  return writer.view();
}

export const encodeEntry = (entry: Entry): Uint8Array => entryView(entry).slice();

/** Whether it is more than the record. */
const hasFields = (bytes: Uint8Array): boolean => bytes[0] === VERSION;

export function decodeEntry(bytes: Uint8Array): Entry {
  if (!hasFields(bytes)) return { record: bytes };
  const reader = new ByteReader(bytes, 1);
  const flags = reader.byte();
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

/** When it may no longer be delivered, without reading the rest. */
export function entryExpiresAt(bytes: Uint8Array): number | undefined {
  return hasField(bytes, FLAG.expiresAt) ? decodeEntry(bytes).expiresAt : undefined;
}

/** What it takes of an answer: its own bytes, and those of a body that stands elsewhere. */
export function entryWeight(bytes: Uint8Array): number {
  const large = hasField(bytes, FLAG.largeBytes) ? decodeEntry(bytes).largeBytes : undefined;
  return bytes.length + (large ?? 0);
}

const hasField = (bytes: Uint8Array, flag: number): boolean =>
  hasFields(bytes) && ((bytes[1] ?? 0) & flag) !== 0;
