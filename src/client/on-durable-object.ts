/** A Durable Object's SQLite storage as a database for `once` and the transaction table. Its work is synchronous. */
import { expectVerbs } from "./argument.ts";
import {
  type Database,
  type Row,
  type SqlValue,
  type Statement,
  withoutWaiting,
} from "./database.ts";

/** As much of `ctx.storage` as is used. */
export interface DurableObjectDatabase {
  readonly sql: {
    exec(sql: string, ...params: SqlValue[]): { toArray(): unknown[] };
  };
  transactionSync<R>(work: () => R): R;
}

/** `onDurableObject(ctx.storage)`. Work gets the storage, inside of `transactionSync`, and must not return a promise (TypeError). */
export function onDurableObject<S extends DurableObjectDatabase>(storage: S): Database<S> {
  expectVerbs("storage", storage, "transactionSync");
  const ask = ({ sql, params = [] }: Statement): Row[] =>
    storage.sql.exec(sql, ...params).toArray() as Row[];
  return {
    dialect: "sqlite",
    async guarded({ first }, work) {
      return storage.transactionSync(() => {
        ask(first);
        const [counted] = ask({ sql: "SELECT changes() AS changes" });
        if (Number(counted?.["changes"]) === 0) return { isFirst: false };
        return { isFirst: true, result: withoutWaiting(work(storage)) };
      });
    },
    async run(statement) {
      ask(statement);
    },
    async rows(statement) {
      return ask(statement);
    },
  };
}
