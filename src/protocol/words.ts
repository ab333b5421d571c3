/**
 * What a wrong value should have been, in our words: what zod finds wrong by itself is said here, what a schema says of its own
 * stays. For people; machines read `code`, `field`, `limit` and `actual`. It never repeats the value.
 */
import type { z } from "zod";

type Issue = z.core.$ZodRawIssue;

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  null: "null",
};

const said = (value: unknown): string => JSON.stringify(value) ?? "nothing";

/** The words for an issue; undefined leaves them to zod, of which none is left for what the schemas here use. */
function wordsOf(issue: Issue): string | undefined {
  switch (issue.code) {
    case "invalid_type": {
      const kind = KINDS[issue.expected] ?? issue.expected;
      return issue.input === undefined ? `is required: ${kind}` : `must be ${kind}`;
    }
    case "invalid_value": {
      const [only, ...others] = issue.values.map(said);
      return others.length === 0
        ? `must be ${only}`
        : `must be one of ${[only, ...others].join(", ")}`;
    }
    case "too_big":
      return `must be at most ${Number(issue.maximum)}${unitOf(issue.origin)}`;
    case "too_small":
      return `must be at least ${Number(issue.minimum)}${unitOf(issue.origin)}`;
    case "invalid_union":
      return unionOf(issue.errors);
    case "invalid_key":
      return `has a member whose name is none: ${issue.issues[0]?.message ?? "another is expected"}`;
    case "custom":
    case "invalid_element":
    case "invalid_format":
    case "not_multiple_of":
    case "unrecognized_keys":
      return undefined;
  }
}

function unitOf(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " items" : "";
}

/** "must be one of … or a whole number": the ways in which it could have been right, each said once. */
function unionOf(errors: readonly (readonly { readonly message: string }[])[]): string {
  const ways = errors.flatMap(([first]) => first?.message.replace(/^must be /u, "") ?? []);
  return ways.length === 0
    ? "has none of the shapes it may have"
    : `must be ${[...new Set(ways)].join(", or ")}`;
}

/** For a schema's `safeParse`. */
export const WORDS = { error: wordsOf };
