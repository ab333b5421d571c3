/** The same object without members whose value is undefined: absent and undefined are one to a schema, not to a type. */
type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

export function withoutAbsent<T extends object>(value: T): Present<T> {
  const present: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) present[key] = member;
  }
  return present as Present<T>;
}
