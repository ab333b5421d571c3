/** `once` and the transaction table with `node:sqlite`: in memory, and with two processes' worth of connections to one file. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import {
  createOnceTable,
  once,
  onSqlite,
  TransactionTable,
} from "../../../src/client/databases.ts";
import { RollbackError } from "../../../src/client/transact.ts";
import { databaseCases, TABLES } from "./cases.ts";

function opened(file = ":memory:"): DatabaseSync {
  const db = new DatabaseSync(file);
  for (const table of TABLES) db.exec(table.replace("TABLE", "TABLE IF NOT EXISTS"));
  return db;
}

databaseCases<DatabaseSync>("node:sqlite", { waits: false, mixes: true }, async (run) => {
  const db = opened();
  await run({
    db: onSqlite(db),
    write: (tx, { sql, params = [] }) => tx.prepare(sql).run(...params),
  });
  db.close();
});

test("work that returns a promise is refused, and what it wrote before that is gone", async () => {
  const db = opened();
  await createOnceTable(onSqlite(db));
  const late = once(
    onSqlite(db),
    { id: "m" },
    async (tx) => {
      tx.exec("INSERT INTO payment VALUES ('m', 1)");
      throw new Error("nobody waits for this");
    },
    { handler: "h" },
  );
  await expect(late).rejects.toThrow(TypeError);
  expect(db.prepare("SELECT * FROM payment").all()).toEqual([]);
  expect(await once(onSqlite(db), { id: "m" }, () => 1, { handler: "h" })).toBe(true);
});

test("what has no id is refused, and is not one transaction with all others that have none", async () => {
  const db = opened();
  const table = new TransactionTable(onSqlite(db), { prefix: "a:" });
  await table.create();
  await createOnceTable(onSqlite(db));
  let works = 0;
  const work = (): number => ++works;
  // As a program without types may call it: the id for the transaction, the check or the message.
  for (const wrong of ["tx_1", {}, { id: "" }, { transactionId: 5, id: 5 }] as unknown as {
    id: string;
    transactionId: string;
  }[]) {
    await expect(table.run(wrong, work)).rejects.toThrow("must be");
    await expect(table.answer(wrong)).rejects.toThrow("must be");
    await expect(once(onSqlite(db), wrong, work, { handler: "h" })).rejects.toThrow("must be");
  }
  expect(works).toBe(0);
  expect(db.prepare("SELECT * FROM halfmq_transaction").all()).toEqual([]);
});

test("a check on another connection that cannot wait for the local transaction is no answer", async () => {
  const folder = await mkdtemp(join(tmpdir(), "halfmq-once-"));
  const [local, checker] = [opened(join(folder, "db")), opened(join(folder, "db"))];
  checker.exec("PRAGMA busy_timeout = 0");
  const [mine, theirs] = [local, checker].map((db) => new TransactionTable(onSqlite(db)));
  if (mine === undefined || theirs === undefined) throw new Error("two were made");
  await mine.create();
  local.exec("BEGIN IMMEDIATE");
  await expect(theirs.answer({ transactionId: "t" })).rejects.toThrow("locked");
  local.exec("COMMIT");
  await mine.run({ id: "t" }, (tx) => tx.exec("INSERT INTO payment VALUES ('t', 1)"));
  expect(await theirs.answer({ transactionId: "t" })).toBe("commit");
  expect(await theirs.answer({ transactionId: "late" })).toBe("rollback");
  await expect(mine.run({ id: "late" }, () => 1)).rejects.toThrow(RollbackError);
  for (const db of [local, checker]) db.close();
  await rm(folder, { recursive: true, force: true });
});
