/**
 * A page of producers: those whose key falls into one bucket, with what was taken of each last and where the latest of
 * it stands. State and layout only.
 */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import type { Page } from "../storage/journal.ts";
import { KEY_BYTES, textOfKey } from "../keys/key-run.ts";

const VERSION = 2;
/** Stretches of consecutive places that are remembered of a producer: enough for the requests it may have under way. */
const STRETCHES_MAX = 8;

/** Consecutive sequences that stand at consecutive positions. */
interface Stretch {
  count: number;
  /** Of the first, as `placeCode` writes it; 0: not known. */
  readonly place: number;
}

/** Where a message stands: its position in the message log or among the delayed ones, as one number. */
export type ProducerPlace =
  | { readonly at: "log"; readonly offset: number }
  | { readonly at: "delayed"; readonly position: number };

export const placeCode = (place: ProducerPlace | undefined): number => {
  if (place === undefined) return 0;
  return place.at === "log" ? place.offset * 2 + 1 : place.position * 2 + 2;
};

function placeOf(code: number): ProducerPlace | undefined {
  if (code === 0) return undefined;
  const position = Math.floor((code - 1) / 2);
  return code % 2 === 1 ? { at: "log", offset: position } : { at: "delayed", position };
}

/** Who counts: the texts behind a producer's key. */
export interface ProducerName {
  readonly id: string;
  readonly messageGroup: string | undefined;
}

/** Sequences of one producer that were taken together. */
export interface Taken {
  readonly epoch: number;
  /** The last of them. */
  readonly sequence: number;
  /** How many; 0: what a former queue had taken, without places. */
  readonly count: number;
  /** Of the first. */
  readonly place: number;
  readonly atMs: number;
}

export class Producer {
  readonly name: ProducerName;
  epoch = 0;
  sequence = 0;
  atMs = 0;
  /** The first sequence of the epoch that this queue took; more than 1 when the topic grew meanwhile. */
  firstSequence = 1;
  /** How many of the epoch it took, counted one by one: with nothing missing, all from the first to the last. */
  takenCount = 0;
  /** Oldest first; the last one ends with `sequence`. */
  readonly stretches: Stretch[] = [];

  constructor(name: ProducerName) {
    this.name = name;
  }

  take({ epoch, sequence, count, place, atMs }: Taken): void {
    if (epoch !== this.epoch || count === 0) this.stretches.length = 0;
    if (epoch !== this.epoch || this.takenCount === 0) {
      this.firstSequence = sequence - count + 1;
      this.takenCount = 0;
    }
    this.takenCount += count;
    this.epoch = epoch;
    this.sequence = sequence;
    this.atMs = atMs;
    if (count === 0) return;
    const last = this.stretches.at(-1);
    const goesOn = last !== undefined && place === nextPlace(last);
    if (goesOn) last.count += count;
    else this.stretches.push({ count, place });
    if (this.stretches.length > STRETCHES_MAX) this.stretches.shift();
  }

  /** Where the message with this sequence of the present epoch stands, as far as it is remembered. */
  placeOf(sequence: number): ProducerPlace | undefined {
    let end = this.sequence;
    for (let index = this.stretches.length - 1; index >= 0; index--) {
      const { count, place } = this.stretches[index] as Stretch;
      const first = end - count + 1;
      if (sequence >= first && sequence <= end)
        return place === 0 ? undefined : placeOf(place + 2 * (sequence - first));
      end = first - 1;
    }
    return undefined;
  }
}

const nextPlace = ({ count, place }: Stretch): number => (place === 0 ? 0 : place + 2 * count);

export class ProducerPage implements Page {
  readonly name: string;
  readonly number: number;
  savedSeq = 0;
  dirtySeq = 0;
  readonly producers = new Map<string, Producer>();

  constructor(number: number) {
    this.number = number;
    this.name = `p:${number}`;
  }

  take(key: string, name: ProducerName, taken: Taken): void {
    const producer = this.producers.get(key) ?? new Producer(name);
    this.producers.set(key, producer);
    producer.take(taken);
  }

  /** Those that were last heard of before the instant go; answers how many. */
  forget(beforeMs: number): number {
    const before = this.producers.size;
    for (const [key, { atMs }] of this.producers) if (atMs < beforeMs) this.producers.delete(key);
    return before - this.producers.size;
  }

  encode(writer: ByteWriter): void {
    writer.byte(VERSION).uint(this.producers.size);
    for (const [key, producer] of this.producers) {
      const { name, epoch, sequence, atMs, firstSequence, takenCount, stretches } = producer;
      for (let index = 0; index < KEY_BYTES; index++) writer.byte(key.charCodeAt(index));
      writeName(writer, name);
      writer.uint(epoch).uint(sequence).uint(atMs).uint(firstSequence).uint(takenCount);
      writer.uint(stretches.length);
      for (const { count, place } of stretches) writer.uint(count).uint(place);
    }
  }

  static decode(number: number, data: Uint8Array, seq: number): ProducerPage {
    const page = new ProducerPage(number);
    page.savedSeq = seq;
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown producer page version");
    for (let left = reader.uint(); left > 0; left--) {
      const key = textOfKey(reader.raw(KEY_BYTES));
      const producer = new Producer(readName(reader));
      producer.epoch = reader.uint();
      producer.sequence = reader.uint();
      producer.atMs = reader.uint();
      producer.firstSequence = reader.uint();
      producer.takenCount = reader.uint();
      for (let stretches = reader.uint(); stretches > 0; stretches--)
        producer.stretches.push({ count: reader.uint(), place: reader.uint() });
      page.producers.set(key, producer);
    }
    return page;
  }
}

/** A message group is told from none by the byte in front of it. */
export const writeName = (writer: ByteWriter, { id, messageGroup }: ProducerName): ByteWriter =>
  messageGroup === undefined ? writer.text(id).byte(0) : writer.text(id).byte(1).text(messageGroup);

export function readName(reader: ByteReader): ProducerName {
  const id = reader.text();
  return { id, messageGroup: reader.byte() === 1 ? reader.text() : undefined };
}
