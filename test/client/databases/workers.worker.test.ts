/** `once` and the transaction table inside workerd, with D1 and with a Durable Object's SQLite. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import {
  createOnceTable,
  once,
  onD1,
  onDurableObject,
  TransactionTable,
} from "../../../src/client/databases.ts";
import { databaseCases, TABLES } from "./cases.ts";

const bound = env as unknown as { TEST_DATABASE: D1Database; REGISTRY: DurableObjectNamespace };
const d1 = bound.TEST_DATABASE;
const makeTables = TABLES.map((table) => table.replace("TABLE", "TABLE IF NOT EXISTS"));

databaseCases<D1PreparedStatement[]>("D1", { waits: false, mixes: false }, async (run) => {
  await d1.batch(makeTables.map((sql) => d1.prepare(sql)));
  await run({
    db: onD1(d1),
    write: (batch, { sql, params = [] }) => void batch.push(d1.prepare(sql).bind(...params)),
  });
});

databaseCases<DurableObjectStorage>("Durable Object", { waits: false, mixes: true }, (run) =>
  runInDurableObject(bound.REGISTRY.getByName("once"), async (_, { storage }) => {
    for (const sql of makeTables) storage.sql.exec(sql);
    await run({
      db: onDurableObject(storage),
      write: (tx, { sql, params = [] }) => void tx.sql.exec(sql, ...params),
    });
  }),
);

test("a batch of D1 whose answer was lost is done, and not done again", async () => {
  await d1.batch(makeTables.map((sql) => d1.prepare(sql)));
  const losing = {
    prepare: (sql: string) => d1.prepare(sql),
    async batch(statements: D1PreparedStatement[]): Promise<never> {
      await d1.batch(statements);
      throw new Error("the line broke");
    },
  };
  const pay = (batch: D1PreparedStatement[]): void =>
    void batch.push(d1.prepare("INSERT INTO payment VALUES ('lost', 1)"));
  const table = new TransactionTable(onD1(losing));
  await Promise.all([createOnceTable(onD1(d1)), table.create()]);
  expect(await once(onD1(losing), { id: "lost" }, pay, { handler: "h" })).toBe(false);
  expect(await once(onD1(d1), { id: "lost" }, pay, { handler: "h" })).toBe(false);
  expect(await table.run({ id: "lost" }, pay)).toBeUndefined();
  expect(await table.answer({ transactionId: "lost" })).toBe("commit");
  const { results } = await d1.prepare("SELECT * FROM payment WHERE message = 'lost'").all();
  expect(results).toHaveLength(2);
});

test("a Durable Object's work that returns a promise is refused, and leaves nothing", () =>
  runInDurableObject(bound.REGISTRY.getByName("once-async"), async (_, { storage }) => {
    for (const sql of makeTables) storage.sql.exec(sql);
    const db = onDurableObject(storage);
    await createOnceTable(db);
    const late = once(
      db,
      { id: "m" },
      async (tx) => {
        tx.sql.exec("INSERT INTO payment VALUES ('m', 1)");
        await Promise.resolve();
      },
      { handler: "h" },
    );
    await expect(late).rejects.toThrow(TypeError);
    expect(storage.sql.exec("SELECT * FROM payment").toArray()).toEqual([]);
  }));
