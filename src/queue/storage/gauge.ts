/** How full the queue's storage is: measured once in a while, judged by its bounds. It frees nothing. */
import type { QueueBounds } from "../bounds.ts";

const MEASURE_EVERY_MS = 1_000;

export class StorageGauge {
  readonly #bounds: QueueBounds;
  #measureAt = 0;
  /** No sends until retention, or the bucket, has made room. */
  isFull = false;
  /** There is so much that old segments go to the bucket, where there is one. */
  isPastWarm = false;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  /** A flush begins. */
  look(nowMs: number, storedBytes: () => number): void {
    if (nowMs < this.#measureAt) return;
    this.#measureAt = nowMs + MEASURE_EVERY_MS;
    const stored = storedBytes();
    const { storedBytesMax, warmShare } = this.#bounds;
    this.isFull = stored >= storedBytesMax;
    this.isPastWarm = stored >= storedBytesMax * warmShare;
  }

  /** Something large has gone: the next flush measures. */
  forget(): void {
    this.#measureAt = 0;
  }
}
