/**
 * Answers to calls that came together, until the isolate says that it has them: the request that made the call may have died
 * on the way, and those that went with it ask again. In memory only, and bounded: what is too much or too old for it is lost,
 * as any answer is on its way. It makes no call.
 */
import type { SharedAnswer, Trip } from "../protocol/sharing.ts";

/** Whoever asks again has done so long before. */
const KEPT_MS = 10_000;
/** Of all answers kept but the newest. */
const BYTES_MAX = 512 * 1024;
/** Roughly, beside messages; and each item of its lists, as the receipts that are settled. */
const ANSWER_BYTES = 256;
const ITEM_BYTES = 64;

type Answers = readonly SharedAnswer[];

interface Kept {
  readonly answers: Promise<Answers>;
  readonly atMs: number;
  /** Once they are there. */
  all: Answers | undefined;
  /** What they count for; undefined until somebody else's are kept, for nearly all are gone by then. */
  bytes: number | undefined;
}

export class Trips {
  /** The oldest first. */
  readonly #trips = new Map<string, Kept>();
  #bytes = 0;

  /** They are under way, and kept once they are there. `bytesOf`: what an answer holds of messages. */
  begin(
    { id, over }: Trip,
    answers: Promise<Answers>,
    bytesOf: (answer: SharedAnswer) => number,
    nowMs: number,
  ): void {
    for (const ended of over) this.#forget(ended);
    for (const [old, { atMs }] of this.#trips) {
      if (nowMs - atMs <= KEPT_MS) break;
      this.#forget(old);
    }
    this.#count(bytesOf);
    const kept: Kept = { answers, atMs: nowMs, all: undefined, bytes: undefined };
    this.#trips.set(id, kept);
    void answers.then((all) => {
      kept.all = all;
      // It would be the last to go, after all others.
      const bytes = all.reduce((sum, answer) => sum + bytesOf(answer), 0);
      if (bytes > BYTES_MAX && this.#trips.get(id) === kept) this.#forget(id);
    });
  }

  #count(bytesOf: (answer: SharedAnswer) => number): void {
    for (const [id, kept] of this.#trips) {
      if (kept.bytes !== undefined || kept.all === undefined) continue;
      kept.bytes = kept.all.reduce((sum, answer) => sum + bytesOf(answer) + besides(answer), 0);
      this.#bytes += kept.bytes;
      if (kept.bytes > BYTES_MAX) this.#forget(id);
    }
    this.#shrink();
  }

  /** Once they are there; undefined when they are not kept. */
  answers(id: string): Promise<Answers | undefined> {
    return this.#trips.get(id)?.answers ?? Promise.resolve(undefined);
  }

  #shrink(): void {
    for (const [id, { bytes }] of this.#trips) {
      if (this.#bytes <= BYTES_MAX) return;
      if (bytes !== undefined) this.#forget(id);
    }
  }

  #forget(id: string): void {
    this.#bytes -= this.#trips.get(id)?.bytes ?? 0;
    this.#trips.delete(id);
  }

  /** How many are kept. */
  get size(): number {
    return this.#trips.size;
  }
}

/** What an answer holds beside messages, roughly: most are short, but for those with lists. */
function besides(answer: SharedAnswer): number {
  if (answer.is !== "answered") return ANSWER_BYTES;
  const { value } = answer.outcome as { value?: unknown };
  if (typeof value !== "object" || value === null) return ANSWER_BYTES;
  const lists: unknown[] = Array.isArray(value) ? [value] : Object.values(value);
  const items = lists.reduce<number>(
    (sum, list) => sum + (Array.isArray(list) ? list.length : 0),
    0,
  );
  return ANSWER_BYTES + ITEM_BYTES * items;
}
