/**
 * Which queues of a topic may hold something for a group, as this isolate knows it from the topic's bell and from its own
 * questions: a long poll then asks those, and none of the others.
 *
 * [H1] Every queue but those that are kept here was left with nothing visible after the ring of the mark was heard, or had
 * not rung up to it: whatever comes to it rings with a later number.
 *
 * Values only: what one request has heard, the next one knows. Nothing is lost with it: who knows nothing asks all queues.
 */
import type { BellMark, Rung } from "../protocol/rpc.ts";
import type { RecentMap } from "./route-cache.ts";

/** What stood for a queue when it was asked: its emptiness is no news to a ring that came in between. */
export type Asked = number | undefined;

export class Heard {
  #mark: BellMark | undefined;
  /** Queues that may hold something, those that were asked last behind the others, with the number of the ring that says so. */
  readonly #maybe = new Map<number, number>();

  /** As far as the bell was heard; undefined when nothing is known. */
  get mark(): BellMark | undefined {
    return this.#mark;
  }

  get maybe(): readonly number[] {
    return [...this.#maybe.keys()];
  }

  forget(): void {
    this.#mark = undefined;
    this.#maybe.clear();
  }

  /** All queues were asked, and only these hold something. What rang since is in `rung`. */
  begin(rung: Rung, holding: Iterable<number>): void {
    if (this.#mark !== undefined || rung.isLost === true) return;
    this.#mark = rung.mark;
    for (const queue of holding) this.#maybe.set(queue, 0);
    for (const { queue, number } of rung.rings) this.#maybe.set(queue, number);
  }

  /** The bell rang. Answers the queues to ask: the last to ring, and those that nobody here has heard of or asked since. */
  hear({ rings, since, mark }: Rung): readonly number[] {
    const known = this.#mark;
    const isNext = known?.life === mark.life && since <= known.number;
    if (!isNext) return rings.map(({ queue }) => queue);
    for (const { queue, number } of rings) {
      if (number > known.number) this.#maybe.set(queue, number);
    }
    if (mark.number > known.number) this.#mark = mark;
    return rings.flatMap(({ queue }, place) =>
      place === 0 || this.#maybe.has(queue) ? [queue] : [],
    );
  }

  asks(queue: number): Asked {
    return this.#maybe.get(queue);
  }

  /** Behind those that were not asked, so that a poll which does not come to them leaves them to the next. */
  #last(queue: number): void {
    const number = this.#maybe.get(queue) ?? 0;
    this.#maybe.delete(queue);
    this.#maybe.set(queue, number);
  }

  /** What a queue that was asked has left. */
  left(queue: number, hasMore: boolean, asked: Asked): void {
    if (this.#mark === undefined) return;
    if (hasMore) this.#last(queue);
    else if (this.#maybe.get(queue) === asked) this.#maybe.delete(queue);
  }
}

/** What is known under the name, from now on kept under it. */
export function heardOf(all: RecentMap<Heard>, name: string): Heard {
  const heard = all.get(name) ?? new Heard();
  all.set(name, heard);
  return heard;
}
