/** Two columns of text. */

export function table(rows: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  const digits = Math.max(...rows.map(([, value]) => String(value).length));
  return rows
    .map(([name, value]) => `  ${name.padEnd(width)}  ${String(value).padStart(digits)}`)
    .join("\n");
}
