/** `once` and the transaction table with Postgres, by `pg`: at the address that `npm run test:databases` gives. */
import { Pool, type PoolClient } from "pg";
import { afterAll } from "vitest";
import { onPostgres } from "../../../src/client/databases.ts";
import { databaseCases, TABLES } from "./cases.ts";

const pool = new Pool({ connectionString: process.env["HALFMQ_TEST_POSTGRES"] });

afterAll(() => pool.end());

databaseCases<PoolClient>("Postgres", { waits: true, mixes: true }, async (run) => {
  for (const table of TABLES) await pool.query(table.replace("TABLE", "TABLE IF NOT EXISTS"));
  await run({
    db: onPostgres(pool),
    write: (client, { sql, params = [] }) => client.query(sql, [...params]),
  });
});
