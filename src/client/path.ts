/** Paths and query strings of the wire. A name never changes which route is called. */

/** A path whose values are percent-encoded: path`/v1/topics/${topic}`. Throws a TypeError for a name that no path can carry. */
export function path(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return parts.reduce((whole, part, index) => whole + segment(names[index - 1]) + part);
}

/** "?a=1&b=2" of what is not undefined, or "". */
export function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

function segment(name: string | undefined): string {
  // A URL drops the segments "." and "..", so that another route would be called.
  if (name === undefined || name === "" || name === "." || name === "..") {
    throw new TypeError(`"${String(name)}" is not a name or an id`);
  }
  return encodeURIComponent(name);
}
