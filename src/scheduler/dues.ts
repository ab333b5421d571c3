/**
 * Which schedule is to be looked at next: instants by a schedule's number, so that neither the next one nor those that are
 * due cost a walk through all of them. It knows nothing of what is due.
 */
import { Heap } from "../core/heap.ts";

/** Stale entries that are kept beside as many current ones. */
const STALE_MIN = 64;

export class Dues {
  readonly #instants = new Map<number, number>();
  /** Entries that differ from `#instants` are stale. */
  readonly #heap = new Heap();

  /** In place of a former instant; Infinity: never. */
  set(id: number, atMs: number): void {
    if (this.#instants.get(id) === atMs) return;
    if (atMs === Infinity) {
      this.#instants.delete(id);
      return;
    }
    this.#instants.set(id, atMs);
    this.#heap.push(atMs, id);
    if (this.#heap.size > 2 * this.#instants.size + STALE_MIN) this.#rebuild();
  }

  /** The earliest instant; Infinity when there is none. */
  nextAt(): number {
    this.#dropStale();
    return this.#heap.topKey ?? Infinity;
  }

  /** Takes the earliest one that is due out. */
  take(nowMs: number): number | undefined {
    if (this.nextAt() > nowMs) return undefined;
    const id = this.#heap.pop();
    if (id !== undefined) this.#instants.delete(id);
    return id;
  }

  #dropStale(): void {
    const heap = this.#heap;
    while (heap.topValue !== undefined && this.#instants.get(heap.topValue) !== heap.topKey)
      heap.pop();
  }

  #rebuild(): void {
    this.#heap.clear();
    for (const [id, atMs] of this.#instants) this.#heap.push(atMs, id);
  }
}
