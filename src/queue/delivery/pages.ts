/**
 * The pages of one group that are in memory: from `base` on, everything that was ever delivered or passed over. Below
 * `base` (a page number) everything is done. It answers what stands in them; changing and writing them is state.ts's.
 */
import { DeliveryPage, PAGE_OFFSETS, type Flight } from "./page.ts";

export const pageOf = (offset: number): number => Math.floor(offset / PAGE_OFFSETS);

export class Pages {
  base = 0;
  readonly #group: number;
  readonly #pages = new Map<number, DeliveryPage>();

  constructor(group: number) {
    this.#group = group;
  }

  [Symbol.iterator](): Iterator<DeliveryPage> {
    return this.#pages.values();
  }

  get(number: number): DeliveryPage | undefined {
    return this.#pages.get(number);
  }

  set(page: DeliveryPage): void {
    this.#pages.set(page.number, page);
  }

  delete(number: number): void {
    this.#pages.delete(number);
  }

  /** Nothing is known but that all below the offset is done. */
  begin(offset: number): void {
    this.#pages.clear();
    this.base = pageOf(offset);
    if (offset % PAGE_OFFSETS === 0) return;
    const page = this.at(offset);
    for (let below = page.number * PAGE_OFFSETS; below < offset; below++) page.setDone(below);
  }

  /** The offset's page, a new one when there is none. */
  at(offset: number): DeliveryPage {
    const number = pageOf(offset);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new DeliveryPage(this.#group, number);
      this.#pages.set(number, page);
    }
    return page;
  }

  flight(offset: number): Flight | undefined {
    return this.#pages.get(pageOf(offset))?.flights.get(offset);
  }

  *flights(): Iterable<Flight> {
    for (const page of this.#pages.values()) yield* page.flights.values();
  }

  isDone(offset: number): boolean {
    const number = pageOf(offset);
    return number < this.base || this.#pages.get(number)?.isDone(offset) === true;
  }

  /** Offsets at or above base that are done. */
  doneAboveBase(): number {
    let count = 0;
    for (const page of this.#pages.values()) count += page.doneCount;
    return count;
  }

  /** The oldest offset that is not done. */
  lowWater(next: number): number {
    const page = this.#pages.get(this.base);
    return Math.min(next, page === undefined ? this.base * PAGE_OFFSETS : page.firstOpen());
  }

  /** The pages of a run of consecutive offsets, each with its part of it. */
  *runs(first: number, count: number): Iterable<{ page: DeliveryPage; from: number; to: number }> {
    const end = first + count;
    for (let from = first; from < end;) {
      const page = this.at(from);
      const to = Math.min(end, (page.number + 1) * PAGE_OFFSETS);
      yield { page, from, to };
      from = to;
    }
  }

  /** What lies below the offset and is not in flight is done. */
  passOver(end: number): void {
    for (let offset = this.base * PAGE_OFFSETS; offset < end; offset++) {
      const page = this.at(offset);
      if (!page.isDone(offset) && !page.flights.has(offset)) page.setDone(offset);
    }
  }

  /** How many below the offset are not done. */
  openBelow(offset: number): number {
    let open = 0;
    const last = pageOf(offset);
    for (let number = this.base; number < last; number++)
      open += PAGE_OFFSETS - (this.#pages.get(number)?.doneCount ?? 0);
    for (let below = Math.max(last, this.base) * PAGE_OFFSETS; below < offset; below++)
      if (this.#pages.get(last)?.isDone(below) !== true) open++;
    return open;
  }

  /** Nothing before the offset's page is known any more; answers the pages that went. */
  truncate(offset: number): DeliveryPage[] {
    const gone: DeliveryPage[] = [];
    const first = pageOf(offset);
    for (let number = this.base; number < first; number++) {
      const page = this.#pages.get(number);
      if (page !== undefined) gone.push(page);
      this.#pages.delete(number);
    }
    this.base = Math.max(this.base, first);
    return gone;
  }

  /** Is anything of [from, to) leased or waiting for a retry? */
  holdsBetween(from: number, to: number): boolean {
    for (let number = pageOf(from); number * PAGE_OFFSETS < to; number++) {
      for (const offset of this.#pages.get(number)?.flights.keys() ?? [])
        if (offset >= from && offset < to) return true;
    }
    return false;
  }
}
