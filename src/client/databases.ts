/**
 * `import { once, transactionTable, onPostgres } from "halfmq/databases"`: what ties messages to transactions of your database.
 * Apart from the client, so that who needs none of it, a browser above all, does not load it. It brings no driver along.
 */
export type { Database, Dialect, Guard, Guarded, Row, SqlValue, Statement } from "./database.ts";
export { createOnceTable, once, ONCE_TABLE } from "./once.ts";
export type { OnceOptions } from "./once.ts";
export { TRANSACTION_TABLE, TransactionTable, transactionTable } from "./transaction-table.ts";
export type { TransactionTableOptions } from "./transaction-table.ts";
export { onD1 } from "./on-d1.ts";
export type { D1Like, D1Statement } from "./on-d1.ts";
export { onDurableObject } from "./on-durable-object.ts";
export type { DurableObjectDatabase } from "./on-durable-object.ts";
export { onMysql } from "./on-mysql.ts";
export type { MysqlConnection, MysqlPool } from "./on-mysql.ts";
export { onPostgres } from "./on-postgres.ts";
export type { PostgresClient, PostgresPool } from "./on-postgres.ts";
export { onSqlite } from "./on-sqlite.ts";
export type { SqliteDatabase } from "./on-sqlite.ts";
