/** `node:sqlite` (and drivers of the same shape) as a database for `once` and the transaction table. Its work is synchronous. */
import { expectVerbs } from "./argument.ts";
import { type Database, type Row, type SqlValue, withoutWaiting } from "./database.ts";

/** As much of `node:sqlite`'s DatabaseSync as is used; better-sqlite3's Database is of the same shape. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): {
    run(...params: SqlValue[]): { readonly changes: number | bigint };
    all(...params: SqlValue[]): unknown[];
  };
}

/**
 * Work gets the database itself, inside of `BEGIN IMMEDIATE`, and must not return a promise (TypeError). Another writer is
 * waited for as long as the database's busy timeout says.
 */
export function onSqlite<D extends SqliteDatabase>(db: D): Database<D> {
  expectVerbs("db", db, "prepare");
  return {
    dialect: "sqlite",
    async guarded({ first }, work) {
      db.exec("BEGIN IMMEDIATE");
      try {
        const { changes } = db.prepare(first.sql).run(...(first.params ?? []));
        if (Number(changes) === 0) {
          db.exec("ROLLBACK");
          return { isFirst: false };
        }
        const result = withoutWaiting(work(db));
        db.exec("COMMIT");
        return { isFirst: true, result };
      } catch (error) {
        rollBack(db);
        throw error;
      }
    },
    async run({ sql, params = [] }) {
      db.prepare(sql).run(...params);
    },
    async rows({ sql, params = [] }) {
      return db.prepare(sql).all(...params) as Row[];
    },
  };
}

/** SQLite ends some transactions by itself (disk full, an error of the commit): then there is nothing to roll back. */
function rollBack(db: SqliteDatabase): void {
  try {
    db.exec("ROLLBACK");
  } catch {
    // The error that led here says more.
  }
}
