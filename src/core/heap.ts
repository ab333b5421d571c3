/**
 * A binary heap of (key, value) pairs of numbers, smallest key first. Entries are never removed from its middle: owners
 * compare what they pop with their own state and ignore what is stale.
 */
export class Heap {
  readonly #keys: number[] = [];
  readonly #values: number[] = [];

  get size(): number {
    return this.#keys.length;
  }

  /** The smallest key. */
  get topKey(): number | undefined {
    return this.#keys[0];
  }

  get topValue(): number | undefined {
    return this.#values[0];
  }

  push(key: number, value: number): void {
    const keys = this.#keys;
    const values = this.#values;
    let at = keys.length;
    keys.push(key);
    values.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const parentKey = keys[parent] ?? 0;
      if (parentKey <= key) break;
      keys[at] = parentKey;
      values[at] = values[parent] ?? 0;
      at = parent;
    }
    keys[at] = key;
    values[at] = value;
  }

  /** Removes the smallest key and answers its value. */
  pop(): number | undefined {
    const keys = this.#keys;
    const values = this.#values;
    const top = values[0];
    const lastKey = keys.pop();
    const lastValue = values.pop();
    const length = keys.length;
    if (lastKey === undefined || lastValue === undefined || length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++;
      const childKey = keys[child] ?? 0;
      if (childKey >= lastKey) break;
      keys[at] = childKey;
      values[at] = values[child] ?? 0;
      at = child;
    }
    keys[at] = lastKey;
    values[at] = lastValue;
    return top;
  }

  clear(): void {
    this.#keys.length = 0;
    this.#values.length = 0;
  }
}
