/**
 * Order among calls that wait: one after the other under the same key, and no more than so many at a time in a batch.
 * It knows nothing of what runs.
 */

/** Work under one key runs in the order it came; a failure does not stop what comes after it. */
export class KeyedChain {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#tails.set(key, mine);
    const forget = (): void => {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  }

  /** Keys with work under way. */
  get size(): number {
    return this.#tails.size;
  }
}

/** The results of `work` over `items`, in their order, at most `openMax` at a time. */
export async function inParallel<T, R>(
  items: readonly T[],
  openMax: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const runner = async (): Promise<void> => {
    for (const [index, item] of entries) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(openMax, items.length) }, runner));
  return results;
}
