/** The producer group's record as the registry wrote it through: it survives eviction, and older versions are ignored. */
import type { ProducerGroupRecord } from "../protocol/rpc.ts";
import type { Sql } from "./ports.ts";

export class GroupStore {
  readonly #sql: Sql;
  #record: ProducerGroupRecord | undefined;

  constructor(sql: Sql) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS producer_group (one INTEGER PRIMARY KEY CHECK (one = 1), record TEXT NOT NULL) STRICT",
    );
    for (const { record } of sql.exec("SELECT record FROM producer_group")) {
      this.#record = JSON.parse(String(record)) as ProducerGroupRecord;
    }
  }

  get record(): ProducerGroupRecord | undefined {
    return this.#record;
  }

  /** Undefined: the group was deleted. */
  put(record: ProducerGroupRecord | undefined): void {
    if (record === undefined) {
      this.#sql.exec("DELETE FROM producer_group");
    } else {
      if (this.#record !== undefined && this.#record.version > record.version) return;
      this.#sql.exec(
        "INSERT INTO producer_group (one, record) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET record = excluded.record",
        JSON.stringify(record),
      );
    }
    this.#record = record;
  }
}
