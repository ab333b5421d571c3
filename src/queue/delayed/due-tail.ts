/**
 * The due entries no run holds yet: a binary heap by (due, position), in memory only.
 */
import { compareDue, type DueEntry } from "./due-chunk.ts";

export class DueTail {
  #heap: DueEntry[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest entry. */
  get first(): DueEntry | undefined {
    return this.#heap[0];
  }

  add(entry: DueEntry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as DueEntry;
      if (compareDue(parent, entry) <= 0) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = entry;
  }

  pop(): DueEntry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= heap.length) break;
      let child = heap[childAt] as DueEntry;
      const right = heap[childAt + 1];
      if (right !== undefined && compareDue(right, child) < 0) {
        childAt++;
        child = right;
      }
      if (compareDue(child, moved) >= 0) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = moved;
    return first;
  }

  /** Everything, sorted; the tail is empty then. */
  drain(): DueEntry[] {
    const entries = this.#heap.toSorted(compareDue);
    this.#heap = [];
    return entries;
  }
}
