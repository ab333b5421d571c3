/** What reading a log costs that no memory has: little for one message, and few statements for who reads on in order. */
import { expect, test } from "vitest";
import { LongBodies } from "../../src/queue/log/long-bodies.ts";
import { SegmentLog } from "../../src/queue/log/segments.ts";
import { openStorage } from "../../src/queue/storage/schema.ts";
import { TestSql } from "../kit/sqlite.node.ts";

const ROWS = 2_000;
const ENTRY_BYTES = 400;

/** A log of one message a segment, as it is after waking. */
function woken(): { log: SegmentLog; sql: TestSql } {
  const sql = new TestSql();
  const storage = openStorage(sql, LongBodies.schema);
  const written = new SegmentLog(storage, { table: "message_log" });
  for (let n = 0; n < ROWS; n++) {
    written.append(new Uint8Array(ENTRY_BYTES).fill(n % 251), n);
    written.commit(undefined);
  }
  const log = new SegmentLog(storage, { table: "message_log" });
  sql.rowsRead = 0;
  return { log, sql };
}

test("one message out of a log brings a few rows along, and those behind it are there", () => {
  const { log, sql } = woken();
  expect(log.read(1_000)?.entry[0]).toBe(1_000 % 251);
  expect(sql.rowsRead).toBeLessThan(10);
  sql.rowsRead = 0;
  expect(log.read(1_007)?.entry[0]).toBe(1_007 % 251);
  expect(sql.rowsRead).toBe(0);
});

test("who reads on in order gets more at a time, and reads no row twice", () => {
  const { log, sql } = woken();
  let statements = 0;
  sql.onStatement = () => void statements++;
  for (let position = 0; position < ROWS; position++)
    expect(log.read(position)?.entry[0]).toBe(position % 251);
  expect(sql.rowsRead).toBe(ROWS);
  expect(statements).toBeLessThan(15);
});

test("two that read in turns at two places do not take each other's rows away", () => {
  const { log, sql } = woken();
  for (let step = 0; step < 500; step++) {
    expect(log.read(step)?.entry[0]).toBe(step % 251);
    expect(log.read(1_000 + step)?.entry[0]).toBe((1_000 + step) % 251);
  }
  expect(sql.rowsRead).toBeLessThan(2_000);
});
