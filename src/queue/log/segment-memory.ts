/**
 * The segments of a log that stand in memory: the newest ones, and a few stretches that were read lately. Bounded in
 * bytes; it never reads and never writes.
 */
import type { Segment } from "./segment.ts";

/** Newest segments. Many queues share one process or isolate, so each keeps little. */
const TAIL_BYTES = 512 * 1_024;
/** One stretch read from disk; how many of them stay, and their bytes, of which the newest has its own in any case. */
export const STRETCH_BYTES = 512 * 1_024;
const STRETCHES_MAX = 32;
const STRETCHES_BYTES = 4 * STRETCH_BYTES;

/** Consecutive segments. */
type Stretch = readonly Segment[];

const bytesOf = (stretch: Stretch): number => stretch.reduce((sum, { bytes }) => sum + bytes, 0);

export class SegmentMemory {
  #tail: Segment[] = [];
  #tailBytes = 0;
  /** Used last first. */
  #stretches: Stretch[] = [];
  #stretchesBytes = 0;

  /** A new segment at the end of the log. */
  appended(segment: Segment): void {
    this.#tail.push(segment);
    this.#tailBytes += segment.bytes;
    if (this.#tailBytes <= TAIL_BYTES) return;
    // In halves, so that the list is not shifted with every append.
    let drop = 0;
    while (this.#tailBytes > TAIL_BYTES / 2 && drop < this.#tail.length - 1)
      this.#tailBytes -= this.#tail[drop++]?.bytes ?? 0;
    this.#tail = this.#tail.slice(drop);
  }

  /** What was read from disk; answers the segment that holds the position. */
  loaded(stretch: Stretch, position: number): Segment | undefined {
    this.#stretches.unshift(stretch);
    this.#stretchesBytes += bytesOf(stretch);
    while (this.#stretches.length > STRETCHES_MAX || this.#isPastBytes)
      this.#stretchesBytes -= bytesOf(this.#stretches.pop() ?? []);
    return locate(stretch, position);
  }

  get #isPastBytes(): boolean {
    return this.#stretches.length > 1 && this.#stretchesBytes > STRETCHES_BYTES;
  }

  find(position: number): Segment | undefined {
    const inTail = locate(this.#tail, position);
    if (inTail !== undefined) return inTail;
    for (const [index, stretch] of this.#stretches.entries()) {
      const found = locate(stretch, position);
      if (found === undefined) continue;
      if (index > 0) {
        this.#stretches.splice(index, 1);
        this.#stretches.unshift(stretch);
      }
      return found;
    }
    return undefined;
  }

  /** Segments of the stretch that was read up to that position; 0 when none was. */
  countBefore(position: number): number {
    return this.#stretches.find((stretch) => stretch.at(-1)?.end === position)?.length ?? 0;
  }

  forgetBelow(position: number): void {
    this.#stretches = [];
    this.#stretchesBytes = 0;
    this.#tail = this.#tail.filter((segment) => segment.first >= position);
    this.#tailBytes = this.#tail.reduce((sum, segment) => sum + segment.bytes, 0);
  }
}

/** The segment that holds the position; the segments are in order. */
export function locate(segments: Stretch, position: number): Segment | undefined {
  let low = 0;
  let high = segments.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const segment = segments[middle];
    if (segment === undefined) return undefined;
    if (position < segment.first) high = middle - 1;
    else if (position >= segment.end) low = middle + 1;
    else return segment;
  }
  return undefined;
}
