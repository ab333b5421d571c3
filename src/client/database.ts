/**
 * What `once` and the transaction table need of a database: one guarded transaction. Each adapter (on-sqlite.ts, on-d1.ts …)
 * says how its driver does that; here are the words that they share. It never opens, closes or configures a database.
 */
import { expectArgument, expectVerbs, wrongArgument } from "./argument.ts";

/** One statement in the database's own SQL, with the values of its placeholders (`?`, or `$1` … for Postgres). */
export interface Statement {
  readonly sql: string;
  readonly params?: readonly SqlValue[];
}

/** What every driver binds. */
export type SqlValue = string | number | null;

/** A row as the drivers give it. */
export type Row = Readonly<Record<string, unknown>>;

/** Whose SQL it speaks. */
export type Dialect = "sqlite" | "postgres" | "mysql";

/** The statement that decides whether work is done: it changes a row the first time, and none when it comes again. */
export interface Guard {
  readonly first: Statement;
  /**
   * The same for a database that cannot look before it goes on (D1): it fails the second time. Then `seen` finds a row exactly
   * when `first` was done before.
   */
  readonly strict?: Statement;
  readonly seen?: Statement;
}

/** How a guarded transaction ended. */
export type Guarded<R> =
  | { readonly isFirst: true; readonly result: R }
  /** Nothing was changed: the guard was done before. */
  | { readonly isFirst: false };

/**
 * A database for `once` and `transactionTable`: `onSqlite`, `onDurableObject`, `onD1`, `onPostgres` and `onMysql` make one.
 * `Tx` is what work gets to write with: statements that go another way are not part of the transaction.
 */
export interface Database<Tx> {
  readonly dialect: Dialect;
  /** The guard, and if it changed a row the work, in one transaction: both or neither. Rejects with the error of either. */
  guarded<R>(guard: Guard, work: (tx: Tx) => R | Promise<R>): Promise<Guarded<R>>;
  /** One statement in a transaction of its own. */
  run(statement: Statement): Promise<void>;
  /** The rows of a query. */
  rows(statement: Statement): Promise<readonly Row[]>;
}

/** Throws unless it is one of the adapters' databases, not a driver's own. */
export function expectDatabase(db: object): void {
  expectArgument("db", db, "object");
  expectVerbs("db", db, "guarded");
}

/** Where work must not wait: statements of others would get into its transaction. */
export function withoutWaiting<R>(result: R | Promise<R>): R {
  const isWaiting =
    typeof result === "object" &&
    result !== null &&
    typeof Reflect.get(result, "then") === "function";
  if (!isWaiting) return result as R;
  // The transaction is rolled back, and this is the error that counts.
  (result as Promise<R>).catch(() => {});
  throw new TypeError("work on SQLite is synchronous: it must not return a promise");
}

const WORD = /^[\x21-\x7e]{1,255}$/u;

/**
 * A key of our tables: what any of the databases stores and compares byte by byte. Callers without types hand over what they like: the
 * `undefined` of an id that is not there would be one key for all.
 */
export function keyText(what: string, text: unknown, prefix = ""): string {
  const isText = typeof text === "string" && text !== "";
  if (isText && WORD.test(prefix + text)) return prefix + text;
  throw wrongArgument(what, `${what} must be 1 to 255 visible ASCII characters`);
}

/** The `index`th placeholder, from 1. */
export const placeholder = (dialect: Dialect, index: number): string =>
  dialect === "postgres" ? `$${index}` : "?";

/** An insert that changes nothing when its key is there, and one that fails then. */
export function insertsOf(
  dialect: Dialect,
  table: string,
  values: Readonly<Record<string, SqlValue>>,
): { readonly first: Statement; readonly strict: Statement } {
  const names = Object.keys(values).join(", ");
  const marks = Object.keys(values).map((_, index) => placeholder(dialect, index + 1));
  const into = `INTO ${table} (${names}) VALUES (${marks.join(", ")})`;
  const params = Object.values(values);
  const first =
    dialect === "mysql" ? `INSERT IGNORE ${into}` : `INSERT ${into} ON CONFLICT DO NOTHING`;
  return { first: { sql: first, params }, strict: { sql: `INSERT ${into}`, params } };
}
