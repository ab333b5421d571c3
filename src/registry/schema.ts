/**
 * The tables of a registry, with who writes each and when its rows die. Rows and indexes are fine here: a namespace changes
 * seldom. Ids come from counters in `counter`, never from a table's highest row: a number is not given twice.
 *
 * counter        one row per counter; only rises
 * topic          one row per topic; `confirmed` is the version that every queue object has; `deleting` until all dropped it
 * topic_group    one row per group of a topic; `since` is the topic's version that brought it
 * deleted_name   names of deleted topics, for 60 s
 * producer_group one row per producer group, `deleting` until its coordinator knows
 * push           one row per group that pushes: its secrets; `deleting` until its pusher knows
 * access_key     one row per key: its rights and the hash of its secret
 * namespace      at `default` only: one row per other namespace; kept for ever
 * change         the last thousand changes
 */
import type { Storage } from "./ground.ts";

const TABLES: readonly string[] = [
  "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  `CREATE TABLE IF NOT EXISTS topic (
    incarnation INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    deleting INTEGER NOT NULL CHECK (deleting IN (0, 1)),
    version INTEGER NOT NULL, confirmed INTEGER NOT NULL CHECK (confirmed <= version),
    confirmed_queues INTEGER NOT NULL, next_group INTEGER NOT NULL,
    settings TEXT NOT NULL, growths TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS topic_group (
    incarnation INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, since INTEGER NOT NULL,
    settings TEXT NOT NULL, paused INTEGER NOT NULL CHECK (paused IN (0, 1)), created_at INTEGER NOT NULL,
    PRIMARY KEY (incarnation, number)) STRICT, WITHOUT ROWID`,
  "CREATE TABLE IF NOT EXISTS deleted_name (name TEXT PRIMARY KEY, deleted_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  `CREATE TABLE IF NOT EXISTS producer_group (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    deleting INTEGER NOT NULL CHECK (deleting IN (0, 1)),
    version INTEGER NOT NULL, confirmed INTEGER NOT NULL, secret_since INTEGER NOT NULL,
    target TEXT, secrets TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS push (
    incarnation INTEGER NOT NULL, number INTEGER NOT NULL, topic TEXT NOT NULL, name TEXT NOT NULL,
    deleting INTEGER NOT NULL CHECK (deleting IN (0, 1)),
    version INTEGER NOT NULL, confirmed INTEGER NOT NULL, secret_since INTEGER NOT NULL,
    secrets TEXT NOT NULL, PRIMARY KEY (incarnation, number)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS access_key (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, rights TEXT NOT NULL, hash BLOB NOT NULL,
    created_at INTEGER NOT NULL) STRICT`,
  "CREATE TABLE IF NOT EXISTS namespace (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, since INTEGER NOT NULL) STRICT",
  "CREATE TABLE IF NOT EXISTS change (sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL) STRICT",
];

/** Rises when an older version could not read what this one writes. */
const SCHEMA_VERSION = 1;

export function createTables(storage: Storage): void {
  storage.transactionSync(() => {
    for (const statement of TABLES) storage.sql.exec(statement);
    storage.sql.exec(
      "INSERT INTO counter (name, value) VALUES ('schema', ?) ON CONFLICT (name) DO NOTHING",
      SCHEMA_VERSION,
    );
  });
  const version = counterValue(storage, "schema");
  if (version > SCHEMA_VERSION) throw new Error(`storage of a later version: schema ${version}`);
}

/** False: nobody ever wrote to this registry, and reading it must not change that. */
export function hasTables(storage: Storage): boolean {
  const found = storage.sql.exec("SELECT 1 AS one FROM sqlite_master WHERE name = 'counter'");
  return [...found].length > 0;
}

/** The next number of a counter, from `first`. */
export function nextNumber(storage: Storage, counter: string, first = 1): number {
  storage.sql.exec(
    "INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + 1",
    counter,
    first,
  );
  return counterValue(storage, counter);
}

function counterValue(storage: Storage, counter: string): number {
  const [row] = storage.sql.exec("SELECT value FROM counter WHERE name = ?", counter);
  return Number(row?.["value"] ?? 0);
}
