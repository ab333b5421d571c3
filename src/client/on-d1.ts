/**
 * D1 as a database for `once` and the transaction table. D1 has no transaction that looks and then goes on, only batches that
 * are done wholly or not at all: so work puts its statements into the batch, and the guard is one that fails the second time.
 */
import { expectVerbs } from "./argument.ts";
import { type Database, type Row, type SqlValue, type Statement } from "./database.ts";

/** As much of a D1 statement as is used. */
export interface D1Statement {
  bind(...params: SqlValue[]): D1Statement;
  all(): Promise<{
    readonly results: readonly unknown[];
    readonly meta: { readonly changes?: number };
  }>;
}

/** As much of a D1 database as is used, with its own kind of statement. */
export interface D1Like<S extends D1Statement> {
  prepare(sql: string): S;
  batch(statements: S[]): Promise<unknown>;
}

/**
 * `onD1(env.DB)`. Work gets the batch, a list to push `env.DB.prepare(…).bind(…)` to; it may read before, outside of the
 * transaction. A guard of your own (`by`) stands alone in D1: work that pushes something beside it rejects with a TypeError.
 */
export function onD1<S extends D1Statement>(db: D1Like<S>): Database<S[]> {
  expectVerbs("db", db, "prepare");
  const prepared = ({ sql, params = [] }: Statement): S => db.prepare(sql).bind(...params) as S;
  const rows = async (statement: Statement): Promise<readonly Row[]> =>
    (await prepared(statement).all()).results as Row[];
  return {
    dialect: "sqlite",
    async guarded({ first, strict, seen }, work) {
      const batch: S[] = [];
      const result = await work(batch);
      if (batch.length === 0) {
        const { meta } = await prepared(first).all();
        return Number(meta.changes) === 0 ? { isFirst: false } : { isFirst: true, result };
      }
      if (strict === undefined || seen === undefined)
        throw new TypeError("in D1 a guard of your own stands alone: work must push no statements");
      try {
        await db.batch([prepared(strict), ...batch]);
      } catch (error) {
        // Of a batch whose answer was lost this finds its own guard: it was done, too.
        if ((await rows(seen)).length > 0) return { isFirst: false };
        throw error;
      }
      return { isFirst: true, result };
    },
    async run(statement) {
      await prepared(statement).all();
    },
    rows,
  };
}
