/**
 * The stock service's own database. The id of a message and what it moves are written together, so that a message which
 * comes twice moves the stock once.
 */
import { DatabaseSync } from "node:sqlite";
import type { Order } from "./orders.ts";

export interface Delivery {
  readonly messageId: string;
  readonly order: number;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS delivery (
    message_id TEXT PRIMARY KEY,
    order_id INTEGER NOT NULL,
    duplicates INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS taken (
    article TEXT PRIMARY KEY,
    quantity INTEGER NOT NULL
  ) STRICT;
`;

export class StockStore {
  readonly #db: DatabaseSync;

  constructor(file: string) {
    this.#db = new DatabaseSync(file);
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000;");
    this.#db.exec(SCHEMA);
  }

  /** Takes the goods of an order out of the stock, or counts a message that was handled before. */
  take(messageId: string, order: Order): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const inserted = this.#db
        .prepare("INSERT OR IGNORE INTO delivery (message_id, order_id) VALUES (?, ?)")
        .run(messageId, order.order);
      if (Number(inserted.changes) === 1) this.#move(order);
      else this.#countDuplicate(messageId);
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  deliveries(): Delivery[] {
    const rows = this.#db.prepare("SELECT message_id, order_id FROM delivery").all();
    return rows.map((row) => ({
      messageId: String(row["message_id"]),
      order: Number(row["order_id"]),
    }));
  }

  /** How much of each article was taken. */
  taken(): Map<string, number> {
    const rows = this.#db.prepare("SELECT article, quantity FROM taken").all();
    return new Map(rows.map((row) => [String(row["article"]), Number(row["quantity"])]));
  }

  duplicates(): number {
    const row = this.#db.prepare("SELECT COALESCE(SUM(duplicates), 0) AS n FROM delivery").get();
    return Number(row?.["n"]);
  }

  close(): void {
    this.#db.close();
  }

  #move(order: Order): void {
    this.#db
      .prepare(
        `INSERT INTO taken (article, quantity) VALUES (?, ?)
           ON CONFLICT (article) DO UPDATE SET quantity = quantity + excluded.quantity`,
      )
      .run(order.article, order.quantity);
  }

  #countDuplicate(messageId: string): void {
    this.#db
      .prepare("UPDATE delivery SET duplicates = duplicates + 1 WHERE message_id = ?")
      .run(messageId);
  }
}
