/**
 * Blocks in memory: those that were read lately, bounded in bytes for the queue, and for all queues of the process or isolate
 * together; one alone always fits. A slow reader finds its block again, and what nobody reads does not stay. It never reads and
 * never writes.
 */
import type { Segment } from "../log/segment.ts";
import type { BlockMemory, HeldBlock } from "./block-memory.ts";

/** A reader takes no longer than that for a message, or has its block brought again. */
const KEPT_MS = 10 * 60_000;

export interface Fetched {
  /** As the bucket has it; the segments are views on it. */
  readonly object: Uint8Array;
  readonly segments: readonly Segment[];
}

interface Kept extends Fetched, HeldBlock {
  readAt: number;
}

export class FetchedBlocks {
  readonly #bytesMax: number;
  readonly #memory: BlockMemory;
  /** By their first position; used last, last. */
  readonly #blocks = new Map<number, Kept>();
  #bytes = 0;

  constructor(bytesMax: number, memory: BlockMemory) {
    this.#bytesMax = bytesMax;
    this.#memory = memory;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(first: number): boolean {
    return this.#blocks.has(first);
  }

  get(first: number, nowMs: number): Fetched | undefined {
    const found = this.#blocks.get(first);
    if (found === undefined) return undefined;
    this.#blocks.delete(first);
    this.#blocks.set(first, found);
    this.#memory.used(found);
    found.readAt = nowMs;
    return found;
  }

  put(first: number, block: Fetched, nowMs: number): void {
    this.#delete(first);
    const kept: Kept = { ...block, readAt: nowMs, drop: () => this.#forget(first, kept) };
    this.#blocks.set(first, kept);
    this.#bytes += block.object.length;
    this.#memory.hold(kept, block.object.length);
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === first) return;
      this.#delete(oldest);
    }
  }

  /** Those that begin below the position. */
  forgetBelow(position: number): void {
    for (const first of this.#blocks.keys()) if (first < position) this.#delete(first);
  }

  forgetUnread(nowMs: number): void {
    for (const [first, { readAt }] of this.#blocks)
      if (readAt + KEPT_MS <= nowMs) this.#delete(first);
  }

  #delete(first: number): void {
    const kept = this.#blocks.get(first);
    if (kept === undefined) return;
    this.#memory.release(kept);
    this.#forget(first, kept);
  }

  #forget(first: number, { object }: Kept): void {
    this.#bytes -= object.length;
    this.#blocks.delete(first);
  }
}
