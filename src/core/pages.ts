/**
 * Pages of lists in order of creation. A cursor is the id of the last item shown: ids only rise, so nothing is shown twice
 * and a cursor stays good while things come and go. It is opaque on the wire; here it is a letter and a number.
 */
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Page } from "../protocol/rpc.ts";

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string;
}

/** The list that a cursor belongs to. */
export type ListLetter = "t" | "p" | "k" | "n" | "s";

/**
 * One page. `read` answers, oldest first, up to `limit` items with an id above `after`.
 * A page stops at 8 MiB, but holds one item at least.
 */
export function pageOf<T>(
  letter: ListLetter,
  query: PageQuery,
  read: (after: number, limit: number) => Iterable<readonly [id: number, item: T]>,
  bytesOf: (item: T) => number = (item) => JSON.stringify(item).length,
): Outcome<Page<T>> {
  const { limit } = query;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > LIMITS.listItemsMax) {
    const facts = { field: "limit", limit: LIMITS.listItemsMax, actual: limit };
    return refuse("invalid_request", `limit is 1 to ${LIMITS.listItemsMax}`, facts);
  }
  const after = query.cursor === undefined ? 0 : parseCursor(letter, query.cursor);
  if (after === undefined) {
    return refuse("invalid_request", "The cursor is not one that this list gave", {
      field: "cursor",
    });
  }
  const items: T[] = [];
  let last = after;
  let bytes = 0;
  for (const [id, item] of read(after, limit + 1)) {
    bytes += bytesOf(item);
    const isFull = items.length === limit || (items.length > 0 && bytes > LIMITS.answerBytesMax);
    if (isFull) return accept({ items, nextCursor: `${letter}${last.toString(36)}` });
    items.push(item);
    last = id;
  }
  return accept({ items });
}

function parseCursor(letter: ListLetter, cursor: string): number | undefined {
  if (!cursor.startsWith(letter) || !/^[0-9a-z]{1,11}$/.test(cursor.slice(1))) return undefined;
  const id = Number.parseInt(cursor.slice(1), 36);
  return Number.isSafeInteger(id) ? id : undefined;
}
