/**
 * One page out of many queues, in order: each queue gives a stretch, the oldest heads are taken first.
 * It stops where a queue's stretch ends while that queue has more, because what comes next is not known: a page may be
 * short, but it never shows things out of order or twice.
 */
import { accept, type Outcome } from "../protocol/errors.ts";
import type { Position } from "./cursor.ts";

interface Stretch<T> {
  readonly items: readonly T[];
  /** Where to go on behind all of them; absent: the queue has no more now. */
  readonly next?: Position;
}

export interface Source<T> {
  readonly fetch: (
    queue: number,
    position: Position | undefined,
    limit: number,
  ) => Promise<Outcome<Stretch<T>>>;
  readonly orderOf: (item: T) => number;
  readonly positionAfter: (item: T) => Position;
  /** What an item takes of the answer's bytes. */
  readonly bytesOf: (item: T) => number;
}

export interface Merged<T> {
  readonly items: readonly T[];
  readonly positions: ReadonlyMap<number, Position>;
  readonly more: boolean;
}

interface Head<T> {
  readonly queue: number;
  readonly stretch: Stretch<T>;
  taken: number;
}

export async function mergePage<T>(
  source: Source<T>,
  queues: readonly number[],
  from: ReadonlyMap<number, Position>,
  bounds: { readonly limit: number; readonly bytesMax: number },
): Promise<Outcome<Merged<T>>> {
  const share =
    queues.length === 1
      ? bounds.limit
      : Math.min(bounds.limit, Math.ceil((bounds.limit * 2) / queues.length) + 8);
  const heads: Head<T>[] = [];
  const fetched = await Promise.all(
    queues.map(async (queue) => ({
      queue,
      outcome: await source.fetch(queue, from.get(queue), share),
    })),
  );
  for (const { queue, outcome } of fetched) {
    if (!outcome.ok) return outcome;
    heads.push({ queue, stretch: outcome.value, taken: 0 });
  }
  const items = takeInOrder(source, heads, bounds);
  const positions = new Map(from);
  let more = false;
  for (const { queue, stretch, taken } of heads) {
    const last = stretch.items[taken - 1];
    if (taken === stretch.items.length) {
      if (stretch.next !== undefined) positions.set(queue, stretch.next);
      else if (last !== undefined) positions.set(queue, source.positionAfter(last));
      more ||= stretch.next !== undefined;
    } else {
      if (last !== undefined) positions.set(queue, source.positionAfter(last));
      more = true;
    }
  }
  return accept({ items, positions, more });
}

function takeInOrder<T>(
  source: Source<T>,
  heads: readonly Head<T>[],
  bounds: { readonly limit: number; readonly bytesMax: number },
): T[] {
  const items: T[] = [];
  let bytes = 0;
  while (items.length < bounds.limit) {
    const head = oldest(source, heads);
    const item = head?.stretch.items[head.taken];
    if (head === undefined || item === undefined) break;
    bytes += source.bytesOf(item);
    if (bytes > bounds.bytesMax && items.length > 0) break;
    head.taken++;
    items.push(item);
  }
  return items;
}

/** The head with the oldest item; none when nothing is left or a queue's next item is not known. */
function oldest<T>(source: Source<T>, heads: readonly Head<T>[]): Head<T> | undefined {
  let best: Head<T> | undefined;
  let bestOrder = Number.POSITIVE_INFINITY;
  for (const head of heads) {
    const item = head.stretch.items[head.taken];
    if (item === undefined) {
      if (head.stretch.next !== undefined) return undefined;
      continue;
    }
    const order = source.orderOf(item);
    if (order >= bestOrder) continue;
    best = head;
    bestOrder = order;
  }
  return best;
}
