/**
 * What the head of the half log knows of its pages, in a few bytes a page and nothing per transaction: which ones stand in
 * the archive, and which ones hold discarded transactions. It reads and writes no page.
 */
import type { ByteReader, ByteWriter } from "../../core/bytes.ts";
import { HALF_PAGE } from "./page.ts";

const pageOf = (position: number): number => Math.floor(position / HALF_PAGE);

/** Pages that are archived or gone. */
export class HalfShelf {
  /** Every page below is; of those above, these are. */
  #base = 0;
  readonly #above = new Set<number>();

  has(number: number): boolean {
    return number < this.#base || this.#above.has(number);
  }

  /** The first page from this one on that is not on the shelf. */
  nextOff(number: number): number {
    let next = Math.max(number, this.#base);
    while (this.#above.has(next)) next++;
    return next;
  }

  put(number: number): void {
    this.#above.add(number);
    while (this.#above.delete(this.#base)) this.#base++;
  }

  take(number: number): void {
    for (let above = number + 1; above < this.#base; above++) this.#above.add(above);
    this.#above.delete(number);
    this.#base = Math.min(this.#base, number);
  }

  /** As runs: a page that stays open for long leaves all that come after it above the base. */
  encode(writer: ByteWriter): void {
    writer.uint(this.#base);
    const runs: { first: number; count: number }[] = [];
    for (const number of [...this.#above].toSorted((a, b) => a - b)) {
      const run = runs.at(-1);
      if (run !== undefined && run.first + run.count === number) run.count++;
      else runs.push({ first: number, count: 1 });
    }
    writer.uint(runs.length);
    for (const { first, count } of runs) writer.uint(first).uint(count);
  }

  restore(reader: ByteReader): void {
    this.#base = reader.uint();
    for (let left = reader.uint(); left > 0; left--) {
      const first = reader.uint();
      for (let count = reader.uint(); count > 0; count--) this.#above.add(first + count - 1);
    }
  }
}

/** How many discarded transactions each page holds, of those that hold any. */
export class DiscardedPages {
  readonly #counts = new Map<number, number>();

  add(position: number): void {
    const number = pageOf(position);
    this.#counts.set(number, (this.#counts.get(number) ?? 0) + 1);
  }

  remove(position: number): void {
    const number = pageOf(position);
    const left = (this.#counts.get(number) ?? 0) - 1;
    if (left > 0) this.#counts.set(number, left);
    else this.#counts.delete(number);
  }

  /** The page is gone. */
  drop(number: number): void {
    this.#counts.delete(number);
  }

  /** Pages that hold some, from the position's on, in order. */
  from(position: number): number[] {
    return [...this.#counts.keys()]
      .filter((number) => number >= pageOf(position))
      .toSorted((a, b) => a - b);
  }

  encode(writer: ByteWriter): void {
    writer.uint(this.#counts.size);
    for (const [number, count] of this.#counts) writer.uint(number).uint(count);
  }

  restore(reader: ByteReader): void {
    for (let left = reader.uint(); left > 0; left--) this.#counts.set(reader.uint(), reader.uint());
  }
}
