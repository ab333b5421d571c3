/**
 * One page of a group's delivery state: 4,096 offsets, of each whether the group is done with it, and sparse entries
 * for what is leased or waits for a retry. It is state and its layout; the rules are in group.ts.
 */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import type { Page } from "../storage/journal.ts";

export const PAGE_OFFSETS = 4_096;
const VERSION = 1;

/** A message that was delivered at least once and is not done with. */
export interface Flight {
  readonly offset: number;
  /** Counts the deliveries since the last seek; a receipt names it. */
  generation: number;
  /** deliveryAttempt of the newest delivery. */
  attempt: number;
  /** leased: lease end. waiting: when it is visible again. */
  dueAt: number;
  leased: boolean;
}

export class DeliveryPage implements Page {
  readonly name: string;
  readonly number: number;
  savedSeq = 0;
  dirtySeq = 0;
  readonly #done = new Uint8Array(PAGE_OFFSETS / 8);
  #doneCount = 0;
  readonly flights = new Map<number, Flight>();

  constructor(group: number, number: number) {
    this.name = `g${group}:${number}`;
    this.number = number;
  }

  get doneCount(): number {
    return this.#doneCount;
  }

  get complete(): boolean {
    return this.#doneCount === PAGE_OFFSETS;
  }

  isDone(offset: number): boolean {
    const index = offset % PAGE_OFFSETS;
    return ((this.#done[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** Answers whether this was news. */
  setDone(offset: number): boolean {
    const index = offset % PAGE_OFFSETS;
    const byte = this.#done[index >> 3] ?? 0;
    const bit = 1 << (index & 7);
    if ((byte & bit) !== 0) return false;
    this.#done[index >> 3] = byte | bit;
    this.#doneCount++;
    return true;
  }

  /** The first offset of the page that is not done, or its end. */
  firstOpen(): number {
    const base = this.number * PAGE_OFFSETS;
    for (let byte = 0; byte < this.#done.length; byte++) {
      const bits = this.#done[byte] ?? 0;
      if (bits === 0xff) continue;
      for (let bit = 0; bit < 8; bit++) if ((bits & (1 << bit)) === 0) return base + byte * 8 + bit;
    }
    return base + PAGE_OFFSETS;
  }

  encode(writer: ByteWriter): void {
    writer.byte(VERSION).raw(this.#done).uint(this.flights.size);
    const base = this.number * PAGE_OFFSETS;
    for (const flight of this.flights.values()) {
      writer
        .uint(flight.offset - base)
        .uint(flight.generation)
        .uint(flight.attempt)
        .uint(flight.dueAt)
        .byte(flight.leased ? 1 : 0);
    }
  }

  static decode(group: number, number: number, data: Uint8Array, seq: number): DeliveryPage {
    const page = new DeliveryPage(group, number);
    page.savedSeq = seq;
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown delivery page version");
    const done = reader.raw(PAGE_OFFSETS / 8);
    page.#done.set(done);
    for (const byte of done) page.#doneCount += POPULATION[byte] ?? 0;
    for (let left = reader.uint(); left > 0; left--) {
      const offset = number * PAGE_OFFSETS + reader.uint();
      const flight = {
        offset,
        generation: reader.uint(),
        attempt: reader.uint(),
        dueAt: reader.uint(),
        leased: reader.byte() === 1,
      };
      page.flights.set(offset, flight);
    }
    return page;
  }
}

/** Bits set in each byte value. */
const POPULATION = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0;
  for (let rest = byte; rest > 0; rest >>= 1) bits += rest & 1;
  return bits;
});
