/**
 * The tables of a queue object, with who writes each and when its rows die. No table has a secondary index, which would cost
 * another written row for each, but for one over the few bodies that are missing. [W1] Every row is sealed: a checksum stands over its blob, seeded with the row's other columns, so that
 * whatever is read as it was not written shows. Layouts carry versions of their own.
 *
 * meta        one row per fact (schema version, route, log base); overwritten; dies with the topic, the letters named by a redrive once it is done
 * *_log       segments: one row per flush that appended; die by retention (message), or with their archived page
 * cold_log    one row per block of old segments that are in the bucket instead; rewritten when retention comes into it, dies by it
 * block_copy  the object of a block with a message in flight; deleted when there is none any more
 * long_body   what of a segment's body or a page does not fit into its row; dies with it
 * delta       the ring: row (seq mod RING) holds all state changes of flush seq; overwritten, never deleted
 * page        checkpoints of live pages of state, written when the ring comes round; deleted when the page retires
 * half_archive wholly decided pages of the half log, kept until `until`
 * delayed_archive wholly settled pages of the delayed log, kept for the topic's retention after the newest fate
 * dead_letter one row per dead letter or held message with its own copy; a dead letter is deleted on purge, ack after redrive,
 *             or after 30 days, a held one when somebody decided and its fate is over
 * large_body  one row per body in the bucket; overwritten as its message moves, deleted once the bucket has let it go
 */
import { Facts, type OpenStorage } from "./facts.ts";
import type { Sql } from "./storage.ts";

const SEGMENTS = (name: string): string => `
  CREATE TABLE IF NOT EXISTS ${name} (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    total INTEGER NOT NULL,
    head BLOB NOT NULL,
    keys BLOB,
    parts INTEGER NOT NULL,
    body BLOB NOT NULL
  ) STRICT`;

const TABLES: readonly string[] = [
  SEGMENTS("message_log"),
  SEGMENTS("half_log"),
  SEGMENTS("delayed_log"),
  "CREATE TABLE IF NOT EXISTS delta (slot INTEGER PRIMARY KEY, seq INTEGER NOT NULL, keys BLOB, data BLOB NOT NULL) STRICT",
  "CREATE TABLE IF NOT EXISTS page (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, seal INTEGER NOT NULL, parts INTEGER NOT NULL, data BLOB NOT NULL) STRICT, WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS half_archive (no INTEGER PRIMARY KEY, until INTEGER NOT NULL, seal INTEGER NOT NULL, data BLOB NOT NULL) STRICT",
  "CREATE TABLE IF NOT EXISTS delayed_archive (no INTEGER PRIMARY KEY, until INTEGER NOT NULL, seal INTEGER NOT NULL, data BLOB NOT NULL) STRICT",
  `CREATE TABLE IF NOT EXISTS dead_letter (
    grp INTEGER NOT NULL, offset INTEGER NOT NULL, stored_at INTEGER NOT NULL, dead_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL, generation INTEGER NOT NULL, reason TEXT NOT NULL, weight INTEGER NOT NULL,
    standing INTEGER NOT NULL, due_at INTEGER NOT NULL, after INTEGER NOT NULL, seal INTEGER NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (grp, offset)) STRICT, WITHOUT ROWID`,
];

/** Rises when a later version could not read what this one writes, or has another table or index: those of storage that has its version are not made again. Storage of another version is not opened. */
const SCHEMA_VERSION = "7";

/**
 * Storage without a version gets the tables: it is written with them, in one stretch. Throws when it has another version, or a
 * fact that is damaged.
 */
export function openStorage(sql: Sql, more: readonly string[]): OpenStorage {
  const facts = new Facts(sql);
  const { version } = facts;
  if (version === SCHEMA_VERSION) return { sql, facts };
  if (version !== undefined)
    throw new Error(`storage has schema ${version}; this version reads ${SCHEMA_VERSION}`);
  for (const statement of [...TABLES, ...more]) sql.exec(statement);
  facts.setVersion(SCHEMA_VERSION);
  return { sql, facts };
}
