/** MySQL and MariaDB by `mysql2/promise` as a database for `once` and the transaction table. */
import { expectVerbs } from "./argument.ts";
import { type Database, type Row, type SqlValue, type Statement } from "./database.ts";

/** As much of `mysql2/promise`'s PoolConnection as is used. */
export interface MysqlConnection {
  query(sql: string, params?: SqlValue[]): Promise<readonly [unknown, ...unknown[]]>;
  beginTransaction(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  release(): void;
  destroy(): void;
}

/** As much of `mysql2/promise`'s Pool as is used. */
export interface MysqlPool<C extends MysqlConnection> {
  getConnection(): Promise<C>;
}

/**
 * `onMysql(pool)`, with a Pool of `mysql2/promise` and tables that know transactions (InnoDB): work gets a connection of it inside
 * of a transaction, and must not release it.
 */
export function onMysql<C extends MysqlConnection>(pool: MysqlPool<C>): Database<C> {
  expectVerbs("pool", pool, "getConnection");
  const ask = async (connection: C, { sql, params = [] }: Statement): Promise<unknown> => {
    const [result] = await connection.query(sql, [...params]);
    return result;
  };
  const once = async (statement: Statement): Promise<readonly Row[]> =>
    withConnection(pool, (connection) => ask(connection, statement) as Promise<Row[]>);
  return {
    dialect: "mysql",
    guarded: ({ first }, work) =>
      withConnection(pool, async (connection) => {
        await connection.beginTransaction();
        const { affectedRows } = (await ask(connection, first)) as { affectedRows: number };
        if (affectedRows === 0) {
          await connection.rollback();
          return { isFirst: false };
        }
        const result = await work(connection);
        await connection.commit();
        return { isFirst: true, result };
      }),
    async run(statement) {
      await once(statement);
    },
    rows: once,
  };
}

/** A connection that failed is rolled back, and closed when that fails too. */
async function withConnection<C extends MysqlConnection, R>(
  pool: MysqlPool<C>,
  use: (connection: C) => Promise<R>,
): Promise<R> {
  const connection = await pool.getConnection();
  try {
    const result = await use(connection);
    connection.release();
    return result;
  } catch (error) {
    await connection.rollback().then(
      () => connection.release(),
      () => connection.destroy(),
    );
    throw error;
  }
}
