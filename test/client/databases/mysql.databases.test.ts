/** `once` and the transaction table with MySQL or MariaDB, by `mysql2`: at the address that `npm run test:databases` gives. */
import mysql from "mysql2/promise";
import { afterAll } from "vitest";
import { onMysql } from "../../../src/client/databases.ts";
import { databaseCases, TABLES } from "./cases.ts";

const pool = mysql.createPool(process.env["HALFMQ_TEST_MYSQL"] ?? "");

afterAll(() => pool.end());

databaseCases<mysql.PoolConnection>("MySQL", { waits: true, mixes: true }, async (run) => {
  for (const table of TABLES)
    await pool.query(`${table.replace("TABLE", "TABLE IF NOT EXISTS")} ENGINE = InnoDB`);
  await run({
    db: onMysql(pool),
    write: (connection, { sql, params = [] }) => connection.query(sql, [...params]),
  });
});
