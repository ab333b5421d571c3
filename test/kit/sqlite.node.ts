/**
 * node:sqlite in the shape of a Durable Object's SQL storage, with a count of rows written.
 * It counts table rows only (what `changes()` says): a write to an index is not seen, so tables under test should have none.
 */
import { DatabaseSync } from "node:sqlite";
import type { Sql, SqlValue } from "../../src/queue/storage/storage.ts";
import { type Row, Statement } from "./statement.node.ts";

const ROW_BYTES_MAX = 2_000_000;

const bytesOf = (value: SqlValue): number => {
  if (typeof value === "string") return Buffer.byteLength(value);
  return typeof value === "object" && value !== null ? value.byteLength : 8;
};

export class TestSql implements Sql {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, Statement>();
  /** Rows inserted, updated or deleted since the start; set it to 0 to count anew. */
  rowsWritten = 0;
  /** Rows answered by statements since the start. */
  rowsRead = 0;
  /** Called with each statement. */
  onStatement: (query: string) => void = () => {};

  /** In memory, or a file so that a test can open it a second time. */
  constructor(path = ":memory:") {
    this.#database = new DatabaseSync(path);
  }

  exec(query: string, ...bindings: SqlValue[]): Row[] {
    this.onStatement(query);
    const bytes = bindings.reduce<number>((sum, value) => sum + bytesOf(value), 0);
    // What the platform does to a row past its bound, where node:sqlite would take a gigabyte.
    if (bytes > ROW_BYTES_MAX) throw new Error(`a row of ${bytes} bytes: ${query}`);
    const statement = this.#statement(query);
    const before = statement.isWrite ? this.#changes() : 0;
    const rows = statement.all(bindings);
    if (statement.isWrite) this.rowsWritten += this.#changes() - before;
    this.rowsRead += rows.length;
    return rows;
  }

  /** Runs `body` whole or not at all, as `ctx.storage.transactionSync` does. */
  transactionSync<T>(body: () => T): T {
    this.#database.exec("BEGIN");
    try {
      const answer = body();
      this.#database.exec("COMMIT");
      return answer;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #changes(): number {
    const [row] = this.#statement("SELECT total_changes() AS n").all([]);
    return Number(row?.["n"] ?? 0);
  }

  #statement(query: string): Statement {
    let statement = this.#statements.get(query);
    if (statement === undefined) {
      statement = new Statement(this.#database, query);
      this.#statements.set(query, statement);
    }
    return statement;
  }
}
