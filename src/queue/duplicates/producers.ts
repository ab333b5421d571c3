/**
 * What was taken of each producer last, per message group: an operation of some thirty bytes in the flush's own delta,
 * and pages that the journal writes when its ring comes round. It never loads them all: a page comes in when one of its
 * producers sends, and may go when it is saved. A producer is forgotten when it was silent for the window, never before:
 * past `producersMax` the queue takes no new ones.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { ByteReader, encodeText, type ByteWriter, CodecError } from "../../core/bytes.ts";
import type { ProducerMark } from "../../core/producer.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { ProducerSeat } from "../../protocol/producing.ts";
import type { Journal, Page } from "../storage/journal.ts";
import { KEY_BYTES, textOfKey } from "../keys/key-run.ts";
import { OPERATION } from "../storage/operations.ts";
import {
  type Producer,
  type ProducerName,
  ProducerPage,
  type ProducerPlace,
  readName,
  type Taken,
  writeName,
} from "./producer-page.ts";

const VERSION = 1;
/** Part of the storage format. */
const BUCKETS = 128;
/** Saved pages that stay in memory. */
const PAGES_MAX = 32;

/**
 * The key of a producer within a message group: half a SHA-256, so that nobody who chooses ids can stand in another's
 * seat. Part of the storage format.
 */
export function producerKey(
  { id }: Pick<ProducerMark, "id">,
  messageGroup: string | undefined,
): string {
  const scope = messageGroup === undefined ? "" : `${messageGroup.length} ${messageGroup}`;
  return textOfKey(sha256(encodeText(`producer\0${scope}\0${id}`)).slice(0, KEY_BYTES));
}

const bucketOf = (key: string): number => key.charCodeAt(0) % BUCKETS;

export class Producers implements Page {
  readonly name = "p";
  savedSeq = 0;
  dirtySeq = 0;
  readonly #journal: Journal;
  readonly max: number;
  readonly #pages = new Map<number, ProducerPage>();
  #count = 0;
  #swept = 0;

  constructor(journal: Journal, max: number) {
    this.#journal = journal;
    this.max = max;
  }

  /** Producers that are remembered. */
  get count(): number {
    return this.#count;
  }

  /** Undefined when nothing is remembered of it, or it was silent for too long. */
  find(key: string, nowMs: number): Producer | undefined {
    const found = this.#find(bucketOf(key))?.producers.get(key);
    return found === undefined || isSilent(found, nowMs) ? undefined : found;
  }

  /** Where a message that was taken stands, as long as that is remembered. */
  placeOf(key: string, { epoch, sequence }: ProducerSeat): ProducerPlace | undefined {
    const found = this.#find(bucketOf(key))?.producers.get(key);
    return found?.epoch === epoch ? found.placeOf(sequence) : undefined;
  }

  /** Those of one bucket, by key, and of how many buckets there are. */
  inBucket(bucket: number): readonly (readonly [key: string, producer: Producer])[] {
    const all = [...(this.#find(bucket)?.producers ?? [])];
    return all.toSorted(([one], [other]) => (one < other ? -1 : 1));
  }

  readonly buckets = BUCKETS;

  take(key: string, name: ProducerName, taken: Taken): void {
    const page = this.#page(bucketOf(key));
    const isNew = !page.producers.has(key);
    const writer = this.#journal
      .change(page)
      .byte(OPERATION.produced)
      .byte(isNew ? 1 : 0);
    for (let index = 0; index < KEY_BYTES; index++) writer.byte(key.charCodeAt(index));
    writer.uint(taken.epoch).uint(taken.sequence).uint(taken.count);
    writer.uint(taken.place).uint(taken.atMs);
    // Its page knows who it is from then on.
    if (isNew) writeName(writer, name);
    page.take(key, name, taken);
    if (!isNew) return;
    this.#count++;
    this.#journal.touch(this);
  }

  /** Forgets what is over in the next few pages; all of them come round in turn. */
  sweep(nowMs: number, pages: number): void {
    if (this.#count === 0) return;
    const beforeMs = nowMs - LIMITS.producerWindowMs;
    for (let left = pages; left > 0; left--) {
      this.#swept = (this.#swept + 1) % BUCKETS;
      const page = this.#find(this.#swept);
      const forgotten = page?.forget(beforeMs) ?? 0;
      if (page === undefined || forgotten === 0) continue;
      const writer = this.#journal.change(page).byte(OPERATION.producersForgotten);
      writer.uint(page.number).uint(beforeMs).uint(forgotten);
      this.#journal.touch(this);
      this.#count -= forgotten;
    }
  }

  /** The end of a flush: pages that are as they are saved can be read again. */
  trim(): void {
    if (this.#pages.size <= PAGES_MAX) return;
    for (const page of this.#pages.values()) {
      if (page.dirtySeq === 0) this.#pages.delete(page.number);
      if (this.#pages.size <= PAGES_MAX) return;
    }
  }

  #page(number: number): ProducerPage {
    const found = this.#find(number);
    if (found !== undefined) return found;
    const page = new ProducerPage(number);
    this.#pages.set(number, page);
    return page;
  }

  #find(number: number): ProducerPage | undefined {
    const held = this.#pages.get(number);
    if (held !== undefined) return held;
    const saved = this.#journal.read(`p:${number}`);
    if (saved === undefined) return undefined;
    const page = ProducerPage.decode(number, saved.data, saved.seq);
    this.#pages.set(number, page);
    return page;
  }

  // ------------------------------------------------------------ waking

  encode(writer: ByteWriter): void {
    writer.byte(VERSION).uint(this.#count);
  }

  restoreHead(data: Uint8Array, seq: number): void {
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown producer head version");
    this.savedSeq = seq;
    this.#count = reader.uint();
  }

  apply(kind: number, reader: ByteReader, seq: number): void {
    switch (kind) {
      case OPERATION.produced: {
        const isNew = reader.byte() === 1;
        const key = textOfKey(reader.raw(KEY_BYTES));
        const taken = {
          epoch: reader.uint(),
          sequence: reader.uint(),
          count: reader.uint(),
          place: reader.uint(),
          atMs: reader.uint(),
        };
        const name = isNew ? readName(reader) : NAMELESS;
        this.#replayed(bucketOf(key), seq)?.take(key, name, taken);
        if (isNew) this.#recount(1, seq);
        return;
      }
      case OPERATION.producersForgotten: {
        const number = reader.uint();
        const beforeMs = reader.uint();
        const forgotten = reader.uint();
        this.#replayed(number, seq)?.forget(beforeMs);
        this.#recount(-forgotten, seq);
        return;
      }
      default:
        throw new CodecError(`unknown operation ${kind} of producers`);
    }
  }

  /** The page, if the operation is news to it. */
  #replayed(number: number, seq: number): ProducerPage | undefined {
    const page = this.#page(number);
    if (seq <= page.savedSeq) return undefined;
    this.#journal.restoreDirty(page, seq);
    return page;
  }

  #recount(by: number, seq: number): void {
    if (seq <= this.savedSeq) return;
    this.#journal.restoreDirty(this, seq);
    this.#count += by;
  }
}

/** Of a producer that its page knows already. */
const NAMELESS: ProducerName = { id: "", messageGroup: undefined };

const isSilent = ({ atMs }: Producer, nowMs: number): boolean =>
  atMs < nowMs - LIMITS.producerWindowMs;
