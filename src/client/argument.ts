/**
 * What callers without types leave out or mix up, said by its name before anything is sent or run: a HalfmqError
 * `invalid_request` whose fact `field` is the argument. It looks at kinds alone; values are for the broker to judge.
 */
import { HalfmqError } from "./error.ts";

interface Kind {
  readonly words: string;
  readonly fits: (value: unknown) => boolean;
}

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";

const KINDS = {
  object: {
    words: "an object",
    fits: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  },
  function: { words: "a function", fits: (value) => typeof value === "function" },
  text: { words: "a string that is not empty", fits: isText },
  number: { words: "a number", fits: (value) => typeof value === "number" },
  list: { words: "a list", fits: Array.isArray },
  bytes: { words: "a Uint8Array", fits: (value) => value instanceof Uint8Array },
  secret: {
    words: "a secret, or a list of them",
    fits: (value) =>
      Array.isArray(value) ? value.length > 0 && value.every(isText) : isText(value),
  },
} satisfies Record<string, Kind>;

/** Throws unless the value is of the kind. What it is instead is told by its type alone: it may be a secret. */
export function expectArgument(field: string, value: unknown, kind: keyof typeof KINDS): void {
  const { words, fits } = KINDS[kind];
  if (fits(value)) return;
  const actual = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
  throw wrongArgument(field, `${field} must be ${words}, not ${value === "" ? "empty" : actual}`);
}

/** The same for several. */
export function expectArguments(
  values: Readonly<Record<string, readonly [value: unknown, kind: keyof typeof KINDS]>>,
): void {
  for (const [field, [value, kind]] of Object.entries(values)) expectArgument(field, value, kind);
}

/** Throws unless the argument has those functions, as a driver's object or a listener has. */
export function expectVerbs(field: string, value: unknown, ...verbs: readonly string[]): void {
  const isThere = typeof value === "object" && value !== null;
  for (const verb of verbs)
    expectArgument(`${field}.${verb}`, isThere ? Reflect.get(value, verb) : undefined, "function");
}

export const wrongArgument = (field: string, detail: string): HalfmqError =>
  new HalfmqError({ code: "invalid_request", detail, status: 400, facts: { field } });
