/**
 * One prepared statement of node:sqlite whose rows are plain objects of one shape: those that node:sqlite makes itself are
 * dictionaries, which cost more to make and to read than the query does.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { SqlValue } from "../../src/queue/storage/storage.ts";

export type Row = Record<string, SqlValue>;

export class Statement {
  readonly #statement: StatementSync;
  readonly #columns: readonly string[];
  /** Copied for each row, so that all of them have its shape. */
  readonly #blank: Row;
  /** May it change something? */
  readonly isWrite: boolean;

  constructor(database: DatabaseSync, query: string) {
    this.#statement = database.prepare(query);
    this.#statement.setReturnArrays(true);
    this.#columns = this.#statement.columns().map(({ name }) => name);
    this.#blank = Object.fromEntries(this.#columns.map((name) => [name, null]));
    this.isWrite = !/^\s*SELECT/iu.test(query);
  }

  all(bindings: readonly SqlValue[]): Row[] {
    const values = bindings.some((value) => value instanceof ArrayBuffer)
      ? bindings.map((value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value))
      : (bindings as readonly Exclude<SqlValue, ArrayBuffer>[]);
    if (this.#columns.length === 0) {
      // `run` would count, and tell.
      this.#statement.get(...values);
      return [];
    }
    const rows = this.#statement.all(...values) as unknown as SqlValue[][];
    return rows.map((row) => this.#named(row));
  }

  #named(values: readonly SqlValue[]): Row {
    const row = { ...this.#blank };
    let index = 0;
    for (const name of this.#columns) row[name] = values[index++] ?? null;
    return row;
  }
}
