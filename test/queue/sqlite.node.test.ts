import { expect, test } from "vitest";
import { bytesOf, numberOf } from "../../src/queue/storage/storage.ts";
import { TestSql } from "../kit/sqlite.node.ts";

test("rows written are counted, and a thrown transaction leaves nothing", () => {
  const sql = new TestSql();
  sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB) STRICT");
  sql.rowsWritten = 0;
  sql.exec(
    "INSERT INTO t (id, body) VALUES (?, ?), (?, ?)",
    1,
    new Uint8Array([7]),
    2,
    new ArrayBuffer(2),
  );
  expect(sql.rowsWritten).toBe(2);
  expect(() =>
    sql.transactionSync(() => {
      sql.exec("DELETE FROM t");
      throw new Error("stop");
    }),
  ).toThrow("stop");
  const rows = sql.exec("SELECT id, body FROM t ORDER BY id");
  expect(rows.map((row) => [numberOf(row["id"]), bytesOf(row["body"]).length])).toEqual([
    [1, 1],
    [2, 2],
  ]);
  expect(() => bytesOf(null)).toThrow("blob");
  expect(() => numberOf("1")).toThrow("number");
});
