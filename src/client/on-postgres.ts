/** Postgres by `pg` as a database for `once` and the transaction table. */
import { expectVerbs } from "./argument.ts";
import { type Database, type Row, type SqlValue, type Statement } from "./database.ts";

/** As much of `pg`'s PoolClient as is used. */
export interface PostgresClient {
  query(sql: string, params?: SqlValue[]): Promise<{ rows: unknown[]; rowCount: number | null }>;
  /** With true the connection is closed, not given back. */
  release(isBroken?: boolean): void;
}

/** As much of `pg`'s Pool as is used. */
export interface PostgresPool<C extends PostgresClient> {
  connect(): Promise<C>;
}

/**
 * `onPostgres(pool)`, with a `pg` Pool: work gets a client of it inside of a transaction, and must not release it. Two that come
 * with the same message wait for one another in the database.
 */
export function onPostgres<C extends PostgresClient>(pool: PostgresPool<C>): Database<C> {
  expectVerbs("pool", pool, "connect");
  const ask = async (client: C, { sql, params = [] }: Statement) => client.query(sql, [...params]);
  const once = async (statement: Statement): Promise<readonly Row[]> => {
    const client = await pool.connect();
    let isBroken = true;
    try {
      const { rows } = await ask(client, statement);
      isBroken = false;
      return rows as Row[];
    } finally {
      client.release(isBroken);
    }
  };
  return {
    dialect: "postgres",
    async guarded({ first }, work) {
      const client = await pool.connect();
      let isBroken = true;
      try {
        await client.query("BEGIN");
        const { rowCount } = await ask(client, first);
        if (rowCount === 0) {
          await client.query("ROLLBACK");
          isBroken = false;
          return { isFirst: false };
        }
        const result = await work(client);
        await client.query("COMMIT");
        isBroken = false;
        return { isFirst: true, result };
      } catch (error) {
        isBroken = await client.query("ROLLBACK").then(
          () => false,
          () => true,
        );
        throw error;
      } finally {
        client.release(isBroken);
      }
    },
    async run(statement) {
      await once(statement);
    },
    rows: once,
  };
}
