/**
 * Whatever stands in a queue's storage otherwise than it was written is found out: the queue that wakes from it, or the read
 * that comes upon it, throws; or nothing that anybody is told depends on it. Never is anything else served.
 */
import { hash } from "node:crypto";
import * as fc from "../kit/properties.node.ts";
import { beforeAll, expect, test } from "vitest";
import { CodecError } from "../../src/core/bytes.ts";
import { accept } from "../../src/protocol/errors.ts";
import { BOUNDS } from "../../src/queue/bounds.ts";
import { expectBodies } from "../../src/queue/bodies/keeping.ts";
import { firstOf } from "../../src/queue/duplicates/dedup.ts";
import { decide, prepare } from "../../src/queue/deciding.ts";
import { seek } from "../../src/queue/operating.ts";
import { recall } from "../../src/queue/reading/finding.ts";
import { send } from "../../src/queue/sending.ts";
import { bytesOf, textOf, type SqlValue } from "../../src/queue/storage/storage.ts";
import { QueueStore } from "../../src/queue/store.ts";
import { lifeOf } from "../../src/queue/trace/life.ts";
import type { TestSql } from "../kit/sqlite.node.ts";
import { records } from "./kit.node.ts";
import { asleep, knowledge, RandomRun } from "./random-run.node.ts";

const STEPS = 260;
/** So few that pages are saved all the time. */
const BOUNDS_HERE = { ...BOUNDS, ringDeltas: 64, coldAfterMs: 1_000, blockBytes: 500 };
const PAST_WARM = 5_000_000_000;
const HALF_PAGE = 1_024;
const DELAYED_PAGE = 4_096;
const LONG_BODY_CHARS = 900_000;
const FLIPS = 60;
/** Of eight large bodies, those from here on. */
const GIVEN_UP = 4;
const AT_ONCE = 64;

let run: RandomRun;
let nowMs = 0;
let whole = "";

/** Every kind of row: a random run, then a page of each archive, bodies longer than a row, and sealed runs of keys and dues. */
async function furnish(): Promise<void> {
  run = new RandomRun(11, BOUNDS_HERE, { trace: true });
  await run.configure();
  for (let step = 0; step < STEPS; step++) await run.step();
  const stamp = { incarnation: 7, version: run.version };
  const orders = { topic: "orders", incarnation: 7, queue: 0 };
  const half = (bodies: readonly string[]) => ({
    stamp,
    producerGroup: "p",
    check: { timeoutMs: 90_000, intervalMs: 90_000, maxChecks: 3 },
    records: records(...bodies.map((json) => ({ body: { json } }))),
    targets: bodies.map(() => orders),
  });
  for (let n = 0; n < 2 * HALF_PAGE; n += AT_ONCE)
    await run.do((at) => {
      for (let more = 0; more < AT_ONCE; more++) {
        prepare(run.store, half(["1"]), at);
        const position = run.store.halves.log.next - 1;
        decide(run.store, { stamp, position, decision: "rollback", by: "producer" }, at);
      }
      return accept(undefined);
    });
  const long = JSON.stringify("x".repeat(LONG_BODY_CHARS));
  await run.do((at) => prepare(run.store, half([long, long]), at));
  const waiting = {
    stamp,
    records: records(...Array.from({ length: 512 }, () => ({ delayMs: 9e6 }))),
  };
  const ids: string[] = [];
  while (ids.length < DELAYED_PAGE + 500) {
    const sent = await run.do((at) => send(run.store, waiting, at));
    const stored = sent === undefined || "first" in sent.stored ? [] : sent.stored;
    for (const { id } of stored) if (id !== undefined) ids.push(id);
  }
  await run.do((at) => {
    for (const id of ids.slice(0, -100)) recall(run.store, { stamp, id }, at);
    return accept(undefined);
  });
  const names = Array.from({ length: 8 }, (_, n) => new Uint8Array(16).fill(n));
  await run.do((at) => expectBodies(run.store, names, at));
  await run.do((at) => {
    run.store.bodies.giveUp(names.slice(GIVEN_UP), at);
    run.store.delayed.index.seal();
    run.store.sealKeys(at);
    return accept(undefined);
  });
  for (let step = 0; step < 40; step++) await run.step();
  await coolDown();
}

/** Old segments go to the bucket, and a message of theirs is in flight. */
async function coolDown(): Promise<void> {
  const stamp = { incarnation: 7, version: run.version };
  const one = { stamp, records: records({ tag: "a" }) };
  for (let n = 0; n < 60; n++) await run.do((at) => send(run.store, one, at));
  run.bench.storedBytes = PAST_WARM;
  await run.bench.pass(5_000);
  const plain = there(run.store.groups.get("plain"));
  await run.do((at) => accept(seek(run.store, [plain], "earliest", at)));
  const call = { stamp, group: "plain", maxMessages: 1, waitMs: 0, bytesMax: 1e6 };
  for (let n = 0; n < 40 && run.store.messages.cold.copyCount === 0; n++)
    await run.receive(plain, { ...call, invisibleMs: 9e6 });
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("it is not there");
  return value;
}

/** Of messages, as they were at first. */
const fetched = new Map<number, string>();

const digest = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? "" : hash("sha1", bytes);

/** All that anybody can be told, as text. */
function told(sql: TestSql): string {
  const store = new QueueStore(sql, asleep, BOUNDS_HERE);
  const texts: unknown[] = [knowledge(store, nowMs)];
  for (const log of [store.messages, store.halves.log, store.delayed.log]) {
    for (let position = log.first; position < log.next; position++) {
      const read = log.read(position);
      // What is not at hand comes from the bucket as it was put there.
      const isCold = read === "cold";
      texts.push(isCold ? store.messages.storedAtOf(position) : read?.storedAt);
      const text = isCold ? (fetched.get(position) ?? "cold") : digest(read?.entry);
      if (log === store.messages && whole === "") fetched.set(position, text);
      texts.push(text);
    }
    for (let at = 0; at < 20; at++) texts.push(log.positionAt(nowMs - at * 5_000));
    texts.push(log.oldest(50));
  }
  for (const group of store.groups) {
    // A weight that is wrong may end a page, and is found out on the next.
    for (let [after, more] = [-1, true]; more;) {
      const page = store.deadLetters.list(group.number, after, { limit: 100, bytesMax: 1e6 });
      for (const item of page.items) texts.push({ ...item, entry: digest(item.entry) });
      after = page.items.at(-1)?.offset ?? after;
      ({ more } = page);
    }
    for (const { offset } of store.deadLetters.redriven(group.number))
      texts.push(digest(store.deadLetters.content(group.number, offset)?.entry));
  }
  for (let n = 0; n < 20; n++) texts.push(firstOf(store, { dedupId: `d${n}` }, nowMs));
  const stamp = { incarnation: 7, version: run.version };
  for (let offset = store.messages.first; offset < store.messages.next; offset++)
    texts.push(lifeOf(store, { id: store.logId(offset) ?? "", stamp }, nowMs));
  // Nothing is deleted that was not given up. A row that is not found deletes nothing.
  texts.push(store.bodies.overdue(nowMs + 1e7, 100).every(([first = 0]) => first >= GIVEN_UP));
  texts.push(store.delayed.index.size(), store.delayed.index.popDue(nowMs + 1e7, 200));
  return JSON.stringify(texts);
}

class Undo extends Error {}

/** What is told after the change, which is then taken back; undefined when it was found out. */
function toldAfter(change: (sql: TestSql) => void): string | undefined {
  const { sql } = run.bench;
  let after: string | undefined;
  try {
    sql.transactionSync(() => {
      change(sql);
      try {
        after = told(sql);
      } catch (error) {
        if (!(error instanceof CodecError)) expect(String(error)).toMatch(/: storage has schema/u);
      }
      throw new Undo();
    });
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
  }
  return after;
}

interface Place {
  readonly table: string;
  /** In the order of the table. */
  readonly row: number;
  readonly column: string;
}

function damaged(value: SqlValue, at: number, bit: number): SqlValue {
  if (typeof value === "number") return Number(BigInt(value) ^ (1n << BigInt(bit + 8 * (at % 4))));
  const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(bytesOf(value));
  const index = at % bytes.length;
  // A text stays one: SQLite itself says when it is not.
  bytes[index] = (bytes[index] ?? 0) ^ (typeof value === "string" ? 1 << (bit % 4) : 1 << bit);
  return typeof value === "string" ? bytes.toString() : new Uint8Array(bytes);
}

function flip({ table, row, column }: Place, at: number, bit: number): boolean {
  const { sql } = run.bench;
  const keys = sql.exec(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0 ORDER BY pk`);
  const names = keys.map(({ name }) => textOf(name));
  const [found] = sql.exec(`SELECT * FROM ${table} ORDER BY ${names.join()} LIMIT 1 OFFSET ?`, row);
  const value = found?.[column] ?? null;
  if (
    found === undefined ||
    value === null ||
    (typeof value === "object" && value.byteLength === 0)
  )
    return true;
  const where = names.map((name) => `${name} = ?`).join(" AND ");
  const key = names.map((name) => found[name] ?? null);
  // A key that is there already is no place to move to.
  const update = `UPDATE OR REPLACE ${table} SET ${column} = ? WHERE ${where}`;
  const after = toldAfter((into) => into.exec(update, damaged(value, at, bit), ...key));
  return after === undefined || after === whole;
}

const places: Place[] = [];

beforeAll(async () => {
  await furnish();
  const { sql } = run.bench;
  nowMs = run.bench.clock.nowMs();
  whole = told(sql);
  for (const { name } of sql.exec(
    "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
  )) {
    const table = textOf(name);
    const [count] = sql.exec(`SELECT COUNT(*) AS n FROM ${table}`);
    const rows = Number(count?.["n"]);
    for (const info of sql.exec(`SELECT name FROM pragma_table_info('${table}')`))
      for (let row = 0; row < rows; row++)
        places.push({ table, row, column: textOf(info["name"]) });
  }
}, 120_000);

test("every table has rows, and a queue that is left as it is tells the same", () => {
  const tables = run.bench.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'");
  expect(new Set(places.map(({ table }) => table))).toEqual(
    new Set(tables.map(({ name }) => name)),
  );
  expect(toldAfter(() => undefined)).toBe(whole);
});

test(
  "a flipped bit in any column of any row is found out, or changes nothing that is told",
  { timeout: 120_000 },
  () => {
    const byColumn = Map.groupBy(places, ({ table, column }) => `${table}.${column}`);
    // A dead letter that moved to another group's number is missing from its own, and throws in the other's list.
    byColumn.delete("dead_letter.grp");
    const column = fc.constantFrom(...byColumn.values());
    const place = column.chain((rows) => fc.constantFrom(...rows));
    fc.assert(fc.property(place, fc.nat(), fc.integer({ min: 0, max: 7 }), flip), {
      numRuns: FLIPS,
      examples: [[{ table: "dead_letter", row: 21, column: "weight" }, 1_426_553_883, 0]],
    });
  },
);

test.each([
  ["message_log", "first = (SELECT MAX(first) FROM message_log WHERE first < ?)"],
  ["half_log", "first = (SELECT MIN(first) + 0 * ? FROM half_log WHERE first > 2048)"],
  ["delta", "seq = (SELECT MAX(seq) - 1 + 0 * ? FROM delta)"],
  ["half_archive", "no <= ?"],
  ["cold_log", "first = (SELECT MAX(first) FROM cold_log WHERE first < ?)"],
  ["due_state", "id <= ?"],
])("a row of %s that is missing is found out", (table, which) => {
  const last = run.store.messages.next - 1;
  expect(toldAfter((sql) => sql.exec(`DELETE FROM ${table} WHERE ${which}`, last))).toBeUndefined();
});
