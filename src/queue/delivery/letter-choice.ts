/** Dead letters of one delivery state by when they died, without reading what they carry. It changes none. */
import type { Sql } from "../storage/storage.ts";

/** Those behind an offset that were dead at an instant. */
export interface LetterChoice {
  readonly after: number;
  readonly deadBy: number;
}

const CHOSEN = "FROM dead_letter WHERE grp = ? AND offset > ? AND standing = 0 AND dead_at <= ?";

/** In order, at most so many. */
export function chosenOffsets(
  sql: Sql,
  state: number,
  { after, deadBy }: LetterChoice,
  limit: number,
): number[] {
  const query = `SELECT offset ${CHOSEN} ORDER BY offset LIMIT ?`;
  return Array.from(sql.exec(query, state, after, deadBy, limit), (row) => Number(row["offset"]));
}

export function chosenCount(sql: Sql, state: number, { after, deadBy }: LetterChoice): number {
  for (const row of sql.exec(`SELECT COUNT(*) AS n ${CHOSEN}`, state, after, deadBy))
    return Number(row["n"]);
  return 0;
}
