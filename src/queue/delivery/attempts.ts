/**
 * What receives with an attemptId were given, so that the same attemptId again gets the same batch while its lease lasts.
 * Bounded: past the bounds those go first whose batch is settled or whose lease is over, then the oldest; a repeat of a
 * forgotten one gets another batch, and its own comes again when the lease runs out. It never leases anything.
 */
import type { ByteReader, ByteWriter } from "../../core/bytes.ts";

/** The group's head row holds all of them, so they stay far below a row's bound. */
const ATTEMPTS_MAX = 4_096;
const ITEMS_MAX = 65_536;

/** What a receive with an attemptId was given. */
export interface Attempt {
  readonly until: number;
  readonly items: readonly { readonly offset: number; readonly generation: number }[];
  /** Its batch was given again, to whoever holds it now. In memory only: a wake outlasts the request that gave up. */
  isRepeated?: true;
}

export class Attempts {
  /** Oldest first. */
  readonly #byKey = new Map<string, Attempt>();
  #items = 0;

  get(key: string): Attempt | undefined {
    return this.#byKey.get(key);
  }

  set(key: string, attempt: Attempt): void {
    this.#delete(key);
    this.#byKey.set(key, attempt);
    this.#items += attempt.items.length;
    for (const oldest of this.#byKey.keys()) {
      if (!this.#isPast(1) || oldest === key) return;
      this.#delete(oldest);
    }
  }

  /** Makes room when it gets tight: what is of no use any more goes before what may still be asked for. */
  tidy(isOfUse: (attempt: Attempt) => boolean): void {
    if (!this.#isPast(0.75)) return;
    for (const [key, attempt] of this.#byKey) if (!isOfUse(attempt)) this.#delete(key);
    // Down to half, so that the next look is far away.
    for (const oldest of this.#byKey.keys()) {
      if (!this.#isPast(0.5)) return;
      this.#delete(oldest);
    }
  }

  clear(): void {
    this.#byKey.clear();
    this.#items = 0;
  }

  #isPast(share: number): boolean {
    return this.#byKey.size > ATTEMPTS_MAX * share || this.#items > ITEMS_MAX * share;
  }

  #delete(key: string): void {
    this.#items -= this.#byKey.get(key)?.items.length ?? 0;
    this.#byKey.delete(key);
  }

  encode(writer: ByteWriter): void {
    writer.uint(this.#byKey.size);
    for (const [key, attempt] of this.#byKey) writeAttempt(writer.text(key), attempt);
  }

  restore(reader: ByteReader): void {
    for (let left = reader.uint(); left > 0; left--) this.set(reader.text(), readAttempt(reader));
  }
}

export function writeAttempt(writer: ByteWriter, { until, items }: Attempt): void {
  writer.uint(until).uint(items.length);
  for (const { offset, generation } of items) writer.uint(offset).uint(generation);
}

export function readAttempt(reader: ByteReader): Attempt {
  const until = reader.uint();
  const items = [];
  for (let left = reader.uint(); left > 0; left--)
    items.push({ offset: reader.uint(), generation: reader.uint() });
  return { until, items };
}
