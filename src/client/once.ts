/**
 * Idempotent consumers: work that is done once for each message, however often that is delivered, because what says that it was
 * done is written in the same transaction. It never asks the broker anything.
 */
import { expectArgument, expectArguments } from "./argument.ts";
import {
  type Database,
  type Dialect,
  expectDatabase,
  type Guard,
  insertsOf,
  keyText,
  placeholder,
  type Statement,
} from "./database.ts";

/** The table of messages that were handled, for a migration of yours; `createOnceTable` does it at once. */
export const ONCE_TABLE: Readonly<Record<Dialect, string>> = {
  sqlite: `CREATE TABLE IF NOT EXISTS halfmq_handled (
  handler TEXT NOT NULL, message TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (handler, message)
) WITHOUT ROWID`,
  postgres: `CREATE TABLE IF NOT EXISTS halfmq_handled (
  handler TEXT NOT NULL, message TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (handler, message)
)`,
  mysql: `CREATE TABLE IF NOT EXISTS halfmq_handled (
  handler VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  message VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL, PRIMARY KEY (handler, message)
) ENGINE = InnoDB`,
};

/** What tells a message that comes again from a new one. */
export type OnceOptions =
  /**
   * A row of `halfmq_handled`, which works for anything. `handler` is who did it: the consumer group, since each group handles
   * each message; with something in front when several deployments or namespaces of HalfMQ meet in this database.
   */
  | { readonly handler: string; readonly nowMs?: number }
  /**
   * A statement of your own that takes effect only once: an insert that a unique constraint turns away without an error (`ON
   * CONFLICT DO NOTHING`, `INSERT IGNORE`), or an update with a precondition (`… WHERE version < ?`). When it changes no row,
   * nothing is done. It runs before the work, in its transaction.
   */
  | { readonly by: Statement };

/** Makes the table of `once` when it is not there. */
export async function createOnceTable(db: Database<unknown>): Promise<void> {
  expectDatabase(db);
  await db.run({ sql: ONCE_TABLE[db.dialect] });
}

/**
 * Does the work of a message if it was not done before: the work and what says so are written in one transaction. Fulfilled with
 * true when the work was done now, with false when it had been: ack in both cases. Rejects with the error of the work or of the
 * database, and then nothing was done, or, if only the answer of the database was lost, the next delivery finds it done: do not ack.
 *
 * `work` gets what the adapter says (a client, a connection, the storage, D1's batch) and must write with that alone. What it does
 * elsewhere, such as calling a payment provider, is done at least once.
 */
export async function once<Tx>(
  db: Database<Tx>,
  message: { readonly id: string },
  work: (tx: Tx) => unknown,
  options: OnceOptions,
): Promise<boolean> {
  expectDatabase(db);
  expectArguments({
    message: [message, "object"],
    work: [work, "function"],
    options: [options, "object"],
  });
  const { isFirst } = await db.guarded(guardOf(db.dialect, message.id, options), work);
  return isFirst;
}

function guardOf(dialect: Dialect, id: string, options: OnceOptions): Guard {
  if ("by" in options) {
    expectArgument("options.by", options.by, "object");
    expectArgument("options.by.sql", options.by.sql, "text");
    return { first: options.by };
  }
  const handler = keyText("handler", options.handler);
  const message = keyText("message.id", id);
  const at = options.nowMs ?? Date.now();
  const [one, two] = [placeholder(dialect, 1), placeholder(dialect, 2)];
  const sql = `SELECT 1 AS seen FROM halfmq_handled WHERE handler = ${one} AND message = ${two}`;
  return {
    ...insertsOf(dialect, "halfmq_handled", { handler, message, at }),
    seen: { sql, params: [handler, message] },
  };
}
