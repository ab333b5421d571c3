/** Paths and query strings of the wire. A name never changes which route is called. */
import { wrongArgument } from "./argument.ts";

/**
 * A path whose values are percent-encoded: path`/v1/topics/${topic}`. Throws `invalid_request` for a name that no path can carry; the
 * `field` is what the route calls it.
 */
export function path(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return parts.reduce(
    (whole, part, index) => whole + segment(names[index - 1], parts[index - 1]) + part,
  );
}

/** By what stands before it in the path. */
const FIELDS: Readonly<Record<string, string>> = {
  topics: "topic",
  groups: "group",
  "producer-groups": "producerGroup",
  keys: "name",
  schedules: "name",
};

/** "?a=1&b=2" of what is not undefined, or "". */
export function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

function segment(name: unknown, before = ""): string {
  // A URL drops the segments "." and "..", so that another route would be called.
  if (typeof name === "string" && name !== "" && name !== "." && name !== "..")
    return encodeURIComponent(name);
  const field = FIELDS[before.split("/").at(-2) ?? ""] ?? "id";
  const actual = typeof name === "string" ? `"${name}"` : typeof name;
  throw wrongArgument(field, `${field} must be a name or an id, not ${actual}`);
}
