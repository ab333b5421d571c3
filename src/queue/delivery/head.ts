/**
 * What a delivery state knows beside its pages, and its one row: how far it has read, whose it is, what it was given. Changes
 * are written by state.ts; here is the layout, and how changes that touch nothing but this are repeated on waking.
 */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import { OPERATION } from "../storage/operations.ts";
import { Account } from "./account.ts";
import { Attempts, readAttempt } from "./attempts.ts";
import { readOwner, writeOwner, type Owner } from "./owner.ts";

const VERSION = 4;
/** `paidUntil` is kept to the microsecond. */
const PER_MS = 1_000;

export class Head {
  /** Counts the seeks; receipts of an older one are expired. */
  epoch = 1;
  /** At or above it nothing was ever delivered. */
  cursor = 0;
  /** Messages that retention or their own time to live took before the group was done with them. */
  expired = 0;
  /** What has become of the messages since it began or was moved. */
  readonly account = new Account();
  /** Until when all that was delivered is paid for by the group's rate (core/pace.ts). */
  paidUntil = 0;
  /** Of a broadcast group: whose deliveries these are. */
  owner: Owner | undefined;
  /** Former queues that have finished everything below their fence (drains.ts). */
  readonly drainedFrom = new Set<number>();
  readonly attempts = new Attempts();

  writeHead(writer: ByteWriter, base: number): void {
    writer.byte(VERSION).uint(this.epoch).uint(base).uint(this.cursor).uint(this.expired);
    this.account.write(writer);
    writePaid(writer, this.paidUntil);
    writer.uint(this.drainedFrom.size);
    for (const from of this.drainedFrom) writer.uint(from);
    this.attempts.encode(writer);
    writeOwner(writer, this.owner);
  }

  /** Into a head that nothing has happened to yet; answers the base of the pages. */
  readHead(data: Uint8Array): number {
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown group head version");
    this.epoch = reader.uint();
    const base = reader.uint();
    this.cursor = reader.uint();
    this.expired = reader.uint();
    this.account.read(reader);
    this.paidUntil = readPaid(reader);
    for (let left = reader.uint(); left > 0; left--) this.drainedFrom.add(reader.uint());
    this.attempts.restore(reader);
    this.owner = readOwner(reader);
    return base;
  }

  /** Repeats a change of the head alone; one that its row holds already is only read past. */
  replayHead(kind: number, reader: ByteReader, isNews: boolean): void {
    switch (kind) {
      case OPERATION.scanned: {
        const cursor = reader.uint();
        if (isNews) this.cursor = Math.max(this.cursor, cursor);
        return;
      }
      case OPERATION.attempt: {
        const key = reader.text();
        const attempt = readAttempt(reader);
        if (isNews) this.attempts.set(key, attempt);
        return;
      }
      case OPERATION.drained: {
        const from = reader.uint();
        if (isNews) this.drainedFrom.add(from);
        return;
      }
      case OPERATION.seen: {
        const seenAt = reader.uint();
        if (isNews && this.owner !== undefined) this.owner = { ...this.owner, seenAt };
        return;
      }
      case OPERATION.paced: {
        const paidUntil = readPaid(reader);
        if (isNews) this.paidUntil = paidUntil;
        return;
      }
      default:
        throw new CodecError(`unknown delivery operation ${kind}`);
    }
  }
}

export const writePaid = (writer: ByteWriter, paidUntil: number): ByteWriter =>
  writer.uint(Math.round(paidUntil * PER_MS));

const readPaid = (reader: ByteReader): number => reader.uint() / PER_MS;
