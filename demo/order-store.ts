/**
 * The order service's own database. One row per transaction says how it ended, and is written with the change of the
 * customer's credit: what a check asks for is looked up here, never remembered.
 * An order is final when one of its transactions is sold or refused; an abandoned one is sold again with a new transaction.
 */
import { DatabaseSync } from "node:sqlite";
import { CREDIT_CENTS, type Order } from "./orders.ts";

/** sold: commit. refused by the credit rule, or abandoned because a check came first: roll back. */
export type Outcome = "sold" | "refused" | "abandoned";

export interface SaleRow {
  readonly transactionId: string;
  readonly order: number;
  readonly outcome: Outcome;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS account (
    customer TEXT PRIMARY KEY,
    credit INTEGER NOT NULL CHECK (credit >= 0)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS sale (
    transaction_id TEXT PRIMARY KEY,
    order_id INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('sold', 'refused', 'abandoned'))
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS final_sale ON sale (order_id) WHERE outcome <> 'abandoned';
`;

export class OrderStore {
  readonly #db: DatabaseSync;

  constructor(file: string) {
    this.#db = new DatabaseSync(file);
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000;");
    this.#db.exec(SCHEMA);
  }

  /** The local transaction: all of it, or nothing. */
  sell(transactionId: string, order: Order): Outcome {
    return this.#atomically(() => {
      const known = this.outcome(transactionId);
      if (known !== undefined) return known;
      const outcome = this.#charge(order) ? "sold" : "refused";
      this.#insert(transactionId, order.order, outcome);
      return outcome;
    });
  }

  /** How it ended. One that is not known here is abandoned now, so that a local commit that comes late is blocked. */
  decide(transactionId: string, order: number): Outcome {
    return this.#atomically(() => {
      const known = this.outcome(transactionId);
      if (known !== undefined) return known;
      this.#insert(transactionId, order, "abandoned");
      return "abandoned";
    });
  }

  outcome(transactionId: string): Outcome | undefined {
    const row = this.#db
      .prepare("SELECT outcome FROM sale WHERE transaction_id = ?")
      .get(transactionId);
    return row === undefined ? undefined : (row["outcome"] as Outcome);
  }

  /** Whether the order needs no further transaction. */
  isFinal(order: number): boolean {
    const query = "SELECT 1 FROM sale WHERE order_id = ? AND outcome <> 'abandoned'";
    return this.#db.prepare(query).get(order) !== undefined;
  }

  rows(): SaleRow[] {
    const query = "SELECT transaction_id, order_id, outcome FROM sale ORDER BY order_id";
    return this.#db
      .prepare(query)
      .all()
      .map((row) => ({
        transactionId: String(row["transaction_id"]),
        order: Number(row["order_id"]),
        outcome: row["outcome"] as Outcome,
      }));
  }

  /** What each customer has spent. */
  spentCents(): Map<string, number> {
    const rows = this.#db.prepare("SELECT customer, credit FROM account").all();
    return new Map(
      rows.map((row) => [String(row["customer"]), CREDIT_CENTS - Number(row["credit"])]),
    );
  }

  close(): void {
    this.#db.close();
  }

  /** Takes the amount from the customer's credit; false when that does not suffice. */
  #charge(order: Order): boolean {
    this.#db
      .prepare("INSERT OR IGNORE INTO account (customer, credit) VALUES (?, ?)")
      .run(order.customer, CREDIT_CENTS);
    const charged = this.#db
      .prepare("UPDATE account SET credit = credit - ?1 WHERE customer = ?2 AND credit >= ?1")
      .run(order.amountCents, order.customer);
    return Number(charged.changes) === 1;
  }

  #insert(transactionId: string, order: number, outcome: Outcome): void {
    this.#db
      .prepare("INSERT INTO sale (transaction_id, order_id, outcome) VALUES (?, ?, ?)")
      .run(transactionId, order, outcome);
  }

  #atomically<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }
}
