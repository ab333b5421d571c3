/**
 * An entry: a record as a log keeps it, with what the broker knows of it. A message that was sent straight to its queue
 * needs nothing of this: its id follows from its offset and it was sent when it was stored.
 * Layout, version 1: version byte, flags, the fields that are set, then the record.
 */
import { ByteReader, ByteWriter, CodecError } from "./bytes.ts";

const VERSION = 1;
const FLAG = { id: 1, sentAt: 2, transactionId: 4, expiresAt: 8, deliverAt: 16 } as const;

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
  readonly record: Uint8Array;
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  let flags = 0;
  if (entry.id !== undefined) flags |= FLAG.id;
  if (entry.sentAt !== undefined) flags |= FLAG.sentAt;
  if (entry.transactionId !== undefined) flags |= FLAG.transactionId;
  if (entry.expiresAt !== undefined) flags |= FLAG.expiresAt;
  if (entry.deliverAt !== undefined) flags |= FLAG.deliverAt;
  writer.byte(VERSION).byte(flags);
  if (entry.id !== undefined) writer.text(entry.id);
  if (entry.sentAt !== undefined) writer.uint(entry.sentAt);
  if (entry.transactionId !== undefined) writer.text(entry.transactionId);
  if (entry.expiresAt !== undefined) writer.uint(entry.expiresAt);
  if (entry.deliverAt !== undefined) writer.uint(entry.deliverAt);
  writer.raw(entry.record);
}

export function encodeEntry(entry: Entry): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(entry.record.length + 96);
  writeEntry(writer, entry);
  return writer.finish();
}

export function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new ByteReader(bytes);
  const version = reader.byte();
  if (version !== VERSION) throw new CodecError(`unknown entry version ${version}`);
  const flags = reader.byte();
  const id = flags & FLAG.id ? reader.text() : undefined;
  const sentAt = flags & FLAG.sentAt ? reader.uint() : undefined;
  const transactionId = flags & FLAG.transactionId ? reader.text() : undefined;
  const expiresAt = flags & FLAG.expiresAt ? reader.uint() : undefined;
  const deliverAt = flags & FLAG.deliverAt ? reader.uint() : undefined;
  return {
    ...(id === undefined ? {} : { id }),
    ...(sentAt === undefined ? {} : { sentAt }),
    ...(transactionId === undefined ? {} : { transactionId }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(deliverAt === undefined ? {} : { deliverAt }),
    record: reader.rest(),
  };
}
