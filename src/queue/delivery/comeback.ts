/**
 * Redriven dead letters of an ordered group that wait for their place: each comes back behind everything that was in the
 * log when it was redriven, so at the end of its message group. In memory; the dead letters' rows say it again on waking.
 */
export class Comeback {
  /** By the place in the log. */
  readonly #waiting = new Map<number, number[]>();
  #first = Infinity;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  clear(): void {
    this.#waiting.clear();
    this.#first = Infinity;
    this.#size = 0;
  }

  /** The redriven message of this offset comes once the scan has passed all below `after`. */
  add(after: number, offset: number): void {
    const offsets = this.#waiting.get(after) ?? [];
    this.#waiting.set(after, offsets);
    offsets.push(offset);
    if ((offsets.at(-2) ?? -1) > offset) offsets.sort((a, b) => a - b);
    this.#first = Math.min(this.#first, after);
    this.#size++;
  }

  /** The next whose place the scan has reached. */
  next(scannedTo: number): number | undefined {
    return this.#first <= scannedTo ? this.#waiting.get(this.#first)?.[0] : undefined;
  }

  /** `next` is dealt with. */
  shift(): void {
    const offsets = this.#waiting.get(this.#first);
    if (offsets === undefined) return;
    offsets.shift();
    this.#size--;
    if (offsets.length > 0) return;
    this.#waiting.delete(this.#first);
    this.#first = Infinity;
    for (const after of this.#waiting.keys()) this.#first = Math.min(this.#first, after);
  }
}
