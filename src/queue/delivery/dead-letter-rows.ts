/**
 * The rows of dead letters, each sealed: the message's copy with what never changes, the columns that change with a checksum
 * of their own, so that a change writes no copy anew. It knows columns, not what they mean.
 */
import { CodecError } from "../../core/bytes.ts";
import { seedOf, withCrc, withoutCrc } from "../../core/crc32.ts";
import { bytesOf, textOf, type Sql, type SqlValue } from "../storage/storage.ts";

/** A row without its entry. */
export interface DeadLetterRow {
  readonly group: number;
  readonly offset: number;
  readonly storedAt: number;
  readonly deadAt: number;
  readonly attempts: number;
  readonly generation: number;
  readonly reason: string;
  readonly weight: number;
  readonly standing: number;
  readonly dueAt: number;
  readonly after: number;
}

const COLUMNS =
  "grp, offset, stored_at, dead_at, attempts, generation, reason, weight, standing, due_at, after, seal";

const sealOf = (row: DeadLetterRow): number =>
  seedOf(
    row.group,
    row.offset,
    row.storedAt,
    row.deadAt,
    row.attempts,
    row.generation,
    row.standing,
    row.dueAt,
    row.after,
    row.weight,
    row.reason,
  );

/** The entry never changes, and neither do these. */
const entrySeed = ({ group, offset, storedAt }: DeadLetterRow): number =>
  seedOf(group, offset, storedAt);

/** The row as it was written. */
function rowOf(row: Record<string, SqlValue>): DeadLetterRow {
  const opened = {
    group: Number(row["grp"]),
    offset: Number(row["offset"]),
    storedAt: Number(row["stored_at"]),
    deadAt: Number(row["dead_at"]),
    attempts: Number(row["attempts"]),
    generation: Number(row["generation"]),
    reason: textOf(row["reason"]),
    weight: Number(row["weight"]),
    standing: Number(row["standing"]),
    dueAt: Number(row["due_at"]),
    after: Number(row["after"]),
  };
  if (sealOf(opened) !== row["seal"])
    throw new CodecError(`dead letter ${opened.group}/${opened.offset} is damaged`);
  return opened;
}

export class DeadLetterRows {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Rows without their entries. */
  *read(which: string, ...bindings: number[]): Generator<DeadLetterRow> {
    const query = `SELECT ${COLUMNS} FROM dead_letter WHERE ${which}`;
    for (const row of this.#sql.exec(query, ...bindings)) yield rowOf(row);
  }

  /** The same with them. */
  *whole(
    which: string,
    ...bindings: number[]
  ): Generator<DeadLetterRow & { readonly entry: Uint8Array }> {
    const query = `SELECT ${COLUMNS}, entry FROM dead_letter WHERE ${which}`;
    for (const found of this.#sql.exec(query, ...bindings)) {
      const row = rowOf(found);
      const what = `dead letter ${row.group}/${row.offset}`;
      yield { ...row, entry: withoutCrc(bytesOf(found["entry"]), entrySeed(row), what) };
    }
  }

  find(group: number, offset: number): DeadLetterRow | undefined {
    for (const row of this.read("grp = ? AND offset = ?", group, offset)) return row;
    return undefined;
  }

  /** Instead of a row that is there already. */
  insert(row: DeadLetterRow, entry: Uint8Array): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO dead_letter (${COLUMNS}, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.group,
      row.offset,
      row.storedAt,
      row.deadAt,
      row.attempts,
      row.generation,
      row.reason,
      row.weight,
      row.standing,
      row.dueAt,
      row.after,
      sealOf(row),
      withCrc(entry, entrySeed(row)),
    );
  }

  /** Answers the row as it is then; undefined when there is none. */
  change(
    group: number,
    offset: number,
    changes: Partial<Omit<DeadLetterRow, "group" | "offset" | "storedAt">>,
  ): DeadLetterRow | undefined {
    const before = this.find(group, offset);
    if (before === undefined) return undefined;
    const row = { ...before, ...changes };
    this.#sql.exec(
      "UPDATE dead_letter SET dead_at = ?, attempts = ?, generation = ?, reason = ?, standing = ?, due_at = ?, after = ?, seal = ? WHERE grp = ? AND offset = ?",
      row.deadAt,
      row.attempts,
      row.generation,
      row.reason,
      row.standing,
      row.dueAt,
      row.after,
      sealOf(row),
      group,
      offset,
    );
    return row;
  }
}
