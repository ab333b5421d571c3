/**
 * The consumer of a broadcast group whose deliveries a delivery state holds. Layout only; groups.ts says when one is
 * forgotten.
 */
import type { ByteReader, ByteWriter } from "../../core/bytes.ts";

/** A consumer's last sign is written at most this often, so that asking again and again costs no rows. */
const SEEN_EVERY_MS = 3_600_000;

/** One consumer's membership in a broadcast group, the same at every queue. */
export interface Membership {
  /** Its number at the topic's queue 0, never given twice: one that was forgotten and came back has another. */
  readonly home: number;
  /** How many queues the topic had when it joined; later ones it reads from their beginning. */
  readonly queues: number;
}

export interface Owner extends Membership {
  readonly consumerId: string;
  /** When it last asked, to the hour. */
  readonly seenAt: number;
}

/** Is the consumer's sign of this instant worth a write? */
export const isNews = (owner: Owner, nowMs: number): boolean =>
  nowMs - owner.seenAt >= SEEN_EVERY_MS;

export function writeOwner(writer: ByteWriter, owner: Owner | undefined): void {
  writer.byte(owner === undefined ? 0 : 1);
  if (owner === undefined) return;
  writer.text(owner.consumerId).uint(owner.home).uint(owner.queues).uint(owner.seenAt);
}

export function readOwner(reader: ByteReader): Owner | undefined {
  if (reader.byte() === 0) return undefined;
  return {
    consumerId: reader.text(),
    home: reader.uint(),
    queues: reader.uint(),
    seenAt: reader.uint(),
  };
}
