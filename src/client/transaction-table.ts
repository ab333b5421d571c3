/**
 * The table that answers check-backs by itself: a row is written with the local transaction and says that it committed. A check
 * that finds no row writes one that says the opposite, so that a local transaction that is still on its way can commit no more:
 * "rollback" is then the truth for ever, and nobody has to guess how long local work may take.
 */
import { expectArgument, expectArguments } from "./argument.ts";
import type { Check } from "./check.ts";
import {
  type Database,
  type Dialect,
  expectDatabase,
  insertsOf,
  keyText,
  placeholder,
} from "./database.ts";
import { RollbackError } from "./transact.ts";
import type { Resolution } from "./transaction.ts";

/** The table of local transactions, for a migration of yours; `TransactionTable.create` does it at once. */
export const TRANSACTION_TABLE: Readonly<Record<Dialect, string>> = {
  sqlite: `CREATE TABLE IF NOT EXISTS halfmq_transaction (
  id TEXT NOT NULL PRIMARY KEY, committed INTEGER NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID`,
  postgres: `CREATE TABLE IF NOT EXISTS halfmq_transaction (
  id TEXT NOT NULL PRIMARY KEY, committed SMALLINT NOT NULL, at BIGINT NOT NULL
)`,
  mysql: `CREATE TABLE IF NOT EXISTS halfmq_transaction (
  id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  committed SMALLINT NOT NULL, at BIGINT NOT NULL
) ENGINE = InnoDB`,
};

/** How a transaction table works. */
export interface TransactionTableOptions {
  /**
   * In front of each id, when several deployments or namespaces of HalfMQ meet in this database, whose ids may be the same.
   * Default none.
   */
  readonly prefix?: string;
  /** The time of a row's `at`. Default the system's clock. */
  readonly now?: () => number;
}

/** `transactionTable(onPostgres(pool))`. */
export class TransactionTable<Tx> {
  readonly #db: Database<Tx>;
  readonly #prefix: string;
  readonly #now: () => number;

  constructor(db: Database<Tx>, options: TransactionTableOptions = {}) {
    expectDatabase(db);
    expectArgument("options", options, "object");
    this.#db = db;
    this.#prefix = options.prefix ?? "";
    this.#now = options.now ?? Date.now;
  }

  /** Makes the table when it is not there. */
  create(): Promise<void> {
    return this.#db.run({ sql: TRANSACTION_TABLE[this.#db.dialect] });
  }

  /**
   * The local transaction of a HalfMQ transaction: the work and the row that says so, both or neither. For `mq.transact`:
   * `(tx) => table.run(tx, (client) => client.query("INSERT …"))`. Fulfilled with the work's result; with undefined, and the work
   * not done, when it was committed before. Rejects with a RollbackError when a check has been answered "rollback" meanwhile,
   * and with the error of the work or of the database.
   */
  async run<R>(
    transaction: { readonly id: string },
    work: (tx: Tx) => R | Promise<R>,
  ): Promise<R | undefined> {
    expectArguments({ transaction: [transaction, "object"], work: [work, "function"] });
    const { id } = transaction;
    const seen = this.#query(id);
    const done = await this.#db.guarded({ ...this.#inserts(id, true), seen }, work);
    if (done.isFirst) return done.result;
    if (await this.#isCommitted(id)) return undefined;
    throw new RollbackError(`a check of ${id} came first, and was answered with rollback`);
  }

  /**
   * The answer to a check, for `mq.pollChecks`, `mq.checkHandler` and listeners: "commit" when the row is there, else "rollback",
   * and from then on `run` commits nothing for this transaction. While the local transaction holds its row the database makes
   * this wait, or it rejects, which counts as "unknown": the broker asks again. May be handed on without its object.
   */
  readonly answer = async (check: Pick<Check, "transactionId">): Promise<Resolution> => {
    expectArgument("check", check, "object");
    const { transactionId: id } = check;
    if (await this.#isCommitted(id)) return "commit";
    await this.#db.run(this.#inserts(id, false).first);
    return (await this.#isCommitted(id)) ? "commit" : "rollback";
  };

  async #isCommitted(id: string): Promise<boolean> {
    const [row] = await this.#db.rows(this.#query(id));
    return Number(row?.["committed"] ?? 0) === 1;
  }

  #query(id: string) {
    const mark = placeholder(this.#db.dialect, 1);
    const sql = `SELECT committed FROM halfmq_transaction WHERE id = ${mark}`;
    return { sql, params: [this.#key(id)] };
  }

  #inserts(id: string, isCommitted: boolean) {
    const values = { id: this.#key(id), committed: Number(isCommitted), at: this.#now() };
    return insertsOf(this.#db.dialect, "halfmq_transaction", values);
  }

  #key(id: string): string {
    return keyText("transactionId", id, this.#prefix);
  }
}

/** A table of local transactions in a database: writes with them how they ended, and answers checks from that. */
export const transactionTable = <Tx>(
  db: Database<Tx>,
  options: TransactionTableOptions = {},
): TransactionTable<Tx> => new TransactionTable(db, options);
