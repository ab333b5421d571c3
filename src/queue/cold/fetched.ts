/**
 * Blocks in memory: those that were read lately, bounded in bytes; one alone always fits. Many queues share one process or
 * isolate, so what nobody reads does not stay. It never reads and never writes.
 */
import type { Segment } from "../log/segment.ts";

export interface Fetched {
  /** As the bucket has it; the segments are views on it. */
  readonly object: Uint8Array;
  readonly segments: readonly Segment[];
}

export class FetchedBlocks {
  readonly #bytesMax: number;
  /** By their first position; used last, last. */
  readonly #blocks = new Map<number, Fetched>();
  readonly #read = new Set<number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(first: number): boolean {
    return this.#blocks.has(first);
  }

  get(first: number): Fetched | undefined {
    const found = this.#blocks.get(first);
    if (found === undefined) return undefined;
    this.#blocks.delete(first);
    this.#blocks.set(first, found);
    this.#read.add(first);
    return found;
  }

  put(first: number, block: Fetched): void {
    this.#delete(first);
    this.#blocks.set(first, block);
    this.#read.add(first);
    this.#bytes += block.object.length;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === first) return;
      this.#delete(oldest);
    }
  }

  /** Those that begin below the position. */
  forgetBelow(position: number): void {
    for (const first of this.#blocks.keys()) if (first < position) this.#delete(first);
  }

  forgetUnread(): void {
    for (const first of this.#blocks.keys()) if (!this.#read.has(first)) this.#delete(first);
    this.#read.clear();
  }

  #delete(first: number): void {
    this.#bytes -= this.#blocks.get(first)?.object.length ?? 0;
    this.#blocks.delete(first);
  }
}
