/** The query of a peek through this door, the same as the native one's. It never guesses: what it does not know is refused. */
import type { PeekQuery } from "../../broker/broker.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";

const NUMBERS: ReadonlyMap<string, readonly [number, number]> = new Map([
  ["limit", [1, LIMITS.listItemsMax]],
  ["queue", [0, LIMITS.queuesMax - 1]],
  ["offset", [0, Number.MAX_SAFE_INTEGER]],
  ["from", [0, Number.MAX_SAFE_INTEGER]],
  ["to", [0, Number.MAX_SAFE_INTEGER]],
]);
const TEXT_CHARS_MAX: ReadonlyMap<string, number> = new Map([
  ["key", LIMITS.wordBytesMax],
  ["cursor", 16_384],
]);

export function peekQueryOf(search: URLSearchParams): Outcome<PeekQuery> {
  const query: Record<string, string | number> = {};
  for (const [field, text] of search) {
    const range = NUMBERS.get(field);
    const charsMax = TEXT_CHARS_MAX.get(field);
    if (Object.hasOwn(query, field)) return wrong(field, "is said once");
    if (range !== undefined) {
      const [min, max] = range;
      const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
      if (!(value >= min && value <= max))
        return wrong(field, `is a whole number from ${min} to ${max}`);
      query[field] = value;
    } else if (charsMax !== undefined) {
      if (text === "" || text.length > charsMax)
        return wrong(field, `has 1 to ${charsMax} characters`);
      query[field] = text;
    } else return wrong(field, "is unknown");
  }
  const { offset, key, from, to } = query;
  const ways = [offset, key, from ?? to].filter((way) => way !== undefined).length;
  if (ways > 1) return wrong("offset", "or a key or a time, not several");
  return accept({ limit: LIMIT_DEFAULT, ...query });
}

const LIMIT_DEFAULT = LIMITS.listItemsDefault;

const wrong = (field: string, what: string) =>
  refuse("invalid_request", `${field} ${what}`, { field });
