/**
 * Numbers as filters compare them: whole numbers of any size exactly, others as doubles. A whole number within the safe
 * range is always a `number`, a larger one always a `bigint`; JavaScript compares the two kinds exactly.
 */
import { LIMITS } from "../../protocol/limits.ts";

export type Exact = number | bigint;

const WHOLE = /^[+-]?\d+$/;
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
/** So many characters of a whole number, sign included, are surely in the safe range. */
const SAFE_CHARS = 15;

/** The one form of a whole number. */
export function exact(value: bigint): Exact {
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

/** The number that a text is, without blanks around it; undefined for any other text and what no double can hold. */
export function numberOf(text: string): Exact | undefined {
  if (text.length > LIMITS.filterNumberCharsMax) return undefined;
  if (WHOLE.test(text)) {
    // -0 would be another number than 0 nowhere here, and is written as 0 all the same.
    if (text.length <= SAFE_CHARS) return Number(text) + 0;
    return text.startsWith("+") ? exact(BigInt(text.slice(1))) : exact(BigInt(text));
  }
  if (!DECIMAL.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

export function negative(value: Exact): Exact {
  return typeof value === "bigint" ? exact(-value) : 0 - value;
}

/** Below 0, 0 or above 0, as the first is less than, equal to or greater than the second. */
export function compareExact(first: Exact, second: Exact): number {
  if (first < second) return -1;
  return first > second ? 1 : 0;
}
