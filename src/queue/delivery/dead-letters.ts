/**
 * Dead letters of all groups of a queue: the one thing that has a row each, with its own copy of the message, because
 * it outlives the log's retention and is rare. A redriven one is in flight again from here, until it is acked or dies anew.
 */
import { bytesOf, textOf, type Sql } from "../storage.ts";
import type { Flight } from "./page.ts";

export interface DeadLetter {
  readonly offset: number;
  readonly storedAt: number;
  readonly deadAt: number;
  readonly attempts: number;
  readonly reason: string;
  readonly entry: Uint8Array;
}

/** A redriven dead letter in flight, or waiting for it. */
export interface Redriven extends Flight {
  /** In an ordered group it comes behind what the log held below this offset. */
  readonly after: number;
}

export class DeadLetters {
  readonly #sql: Sql;
  /** group → offset → flight, of redriven ones. */
  readonly #redriven = new Map<number, Map<number, Redriven>>();
  readonly #counts = new Map<number, number>();

  constructor(sql: Sql) {
    this.#sql = sql;
    for (const row of sql.exec(
      "SELECT grp, offset, generation, attempts, due_at, after FROM dead_letter WHERE redriven = 1",
    )) {
      const attempt = Number(row["attempts"]);
      this.#of(Number(row["grp"])).set(Number(row["offset"]), {
        offset: Number(row["offset"]),
        generation: Number(row["generation"]),
        attempt,
        dueAt: Number(row["due_at"]),
        leased: attempt > 0,
        after: Number(row["after"]),
      });
    }
    for (const row of sql.exec(
      "SELECT grp, COUNT(*) AS n FROM dead_letter WHERE redriven = 0 GROUP BY grp",
    )) {
      this.#counts.set(Number(row["grp"]), Number(row["n"]));
    }
  }

  #of(group: number): Map<number, Redriven> {
    let flights = this.#redriven.get(group);
    if (flights === undefined) {
      flights = new Map();
      this.#redriven.set(group, flights);
    }
    return flights;
  }

  #count(group: number, by: number): void {
    this.#counts.set(group, (this.#counts.get(group) ?? 0) + by);
  }

  count(group: number): number {
    return this.#counts.get(group) ?? 0;
  }

  redriven(group: number): Iterable<Redriven> {
    return this.#redriven.get(group)?.values() ?? [];
  }

  flight(group: number, offset: number): Redriven | undefined {
    return this.#redriven.size === 0 ? undefined : this.#redriven.get(group)?.get(offset);
  }

  has(group: number, offset: number): boolean {
    if (this.count(group) === 0) return false;
    for (const _ of this.#sql.exec(
      "SELECT 1 FROM dead_letter WHERE grp = ? AND offset = ? AND redriven = 0",
      group,
      offset,
    ))
      return true;
    return false;
  }

  content(group: number, offset: number): { entry: Uint8Array; storedAt: number } | undefined {
    if (this.flight(group, offset) === undefined) return undefined;
    for (const row of this.#sql.exec(
      "SELECT entry, stored_at FROM dead_letter WHERE grp = ? AND offset = ?",
      group,
      offset,
    )) {
      return { entry: bytesOf(row["entry"]), storedAt: Number(row["stored_at"]) };
    }
    return undefined;
  }

  add(
    group: number,
    flight: Flight,
    death: { entry: Uint8Array; storedAt: number; reason: string; nowMs: number },
  ): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO dead_letter (grp, offset, stored_at, dead_at, attempts, generation, reason, redriven, due_at, after, entry) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?)",
      group,
      flight.offset,
      death.storedAt,
      death.nowMs,
      flight.attempt,
      flight.generation,
      death.reason,
      death.entry,
    );
    this.#count(group, 1);
  }

  buryAgain(group: number, flight: Flight, reason: string, nowMs: number): void {
    this.#sql.exec(
      "UPDATE dead_letter SET redriven = 0, dead_at = ?, attempts = ?, generation = ?, reason = ? WHERE grp = ? AND offset = ?",
      nowMs,
      flight.attempt,
      flight.generation,
      reason,
      group,
      flight.offset,
    );
    this.#of(group).delete(flight.offset);
    this.#count(group, 1);
  }

  /** In flight again; `after`: what the log held then comes before it in an ordered group. */
  redrive(group: number, offset: number, after: number, nowMs: number): void {
    this.#sql.exec(
      "UPDATE dead_letter SET redriven = 1, attempts = 0, due_at = ?, after = ? WHERE grp = ? AND offset = ?",
      nowMs,
      after,
      group,
      offset,
    );
    for (const row of this.#sql.exec(
      "SELECT generation FROM dead_letter WHERE grp = ? AND offset = ?",
      group,
      offset,
    )) {
      this.#of(group).set(offset, {
        offset,
        generation: Number(row["generation"]),
        attempt: 0,
        dueAt: nowMs,
        leased: false,
        after,
      });
    }
    this.#count(group, -1);
  }

  /** A seek makes a redriven one begin again; older receipts are dead by their epoch. */
  restart(group: number, offset: number, after: number, nowMs: number): void {
    const flight = this.flight(group, offset);
    if (flight === undefined) return;
    this.#sql.exec(
      "UPDATE dead_letter SET attempts = 0, due_at = ?, after = ? WHERE grp = ? AND offset = ?",
      nowMs,
      after,
      group,
      offset,
    );
    this.#of(group).set(offset, { ...flight, attempt: 0, dueAt: nowMs, leased: false, after });
  }

  #save(group: number, flight: Flight): void {
    this.#sql.exec(
      "UPDATE dead_letter SET generation = ?, attempts = ?, due_at = ? WHERE grp = ? AND offset = ?",
      flight.generation,
      flight.attempt,
      flight.dueAt,
      group,
      flight.offset,
    );
  }

  lease(
    group: number,
    flight: Flight,
    delivery: { generation: number; attempt: number; dueAt: number },
  ): void {
    Object.assign(flight, delivery, { leased: true });
    this.#save(group, flight);
  }

  retry(group: number, flight: Flight, dueAt: number): void {
    Object.assign(flight, { dueAt, leased: false });
    this.#save(group, flight);
  }

  extend(group: number, flight: Flight, dueAt: number): void {
    Object.assign(flight, { dueAt, leased: true });
    this.#save(group, flight);
  }

  /** A dead letter that comes again by itself. */
  forgive(group: number, offset: number): void {
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ? AND offset = ?", group, offset);
    this.#count(group, -1);
  }

  /** A redriven one is done with. */
  remove(group: number, offset: number): void {
    if (!this.#of(group).delete(offset)) return;
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ? AND offset = ?", group, offset);
  }

  list(group: number, after: number, limit: number): DeadLetter[] {
    const items: DeadLetter[] = [];
    const query =
      "SELECT * FROM dead_letter WHERE grp = ? AND offset > ? AND redriven = 0 ORDER BY offset LIMIT ?";
    for (const row of this.#sql.exec(query, group, after, limit)) {
      items.push({
        offset: Number(row["offset"]),
        storedAt: Number(row["stored_at"]),
        deadAt: Number(row["dead_at"]),
        attempts: Number(row["attempts"]),
        reason: textOf(row["reason"]),
        entry: bytesOf(row["entry"]),
      });
    }
    return items;
  }

  purge(group: number): number {
    const purged = this.count(group);
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ? AND redriven = 0", group);
    this.#counts.delete(group);
    return purged;
  }

  /** The group is gone. */
  forget(group: number): void {
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ?", group);
    this.#counts.delete(group);
    this.#redriven.delete(group);
  }

  /** Copies are kept for a bounded time. */
  dropBefore(deadBefore: number): void {
    if (this.#counts.size === 0) return;
    this.#sql.exec("DELETE FROM dead_letter WHERE redriven = 0 AND dead_at < ?", deadBefore);
    this.#counts.clear();
    for (const row of this.#sql.exec(
      "SELECT grp, COUNT(*) AS n FROM dead_letter WHERE redriven = 0 GROUP BY grp",
    )) {
      this.#counts.set(Number(row["grp"]), Number(row["n"]));
    }
  }
}
