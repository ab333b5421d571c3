/** The names of topics and groups, in every dialect. Pure. */
import { LIMITS } from "../protocol/limits.ts";

export const NAME = /^[A-Za-z0-9_\-.%]+$/;

interface NameFault {
  readonly message: string;
  readonly limit?: number;
  readonly actual?: number;
}

/** What is wrong with a text as a name; undefined when nothing is. */
export function nameFault(text: string): NameFault | undefined {
  const limit = LIMITS.nameCharsMax;
  const actual = text.length;
  if (actual > limit) return { message: `a name has at most ${limit} characters`, limit, actual };
  if (text === "." || text === "..") return { message: "a name is not . or .." };
  return NAME.test(text) ? undefined : { message: "a name is made of A-Z a-z 0-9 _ - . %" };
}
