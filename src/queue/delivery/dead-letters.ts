/**
 * Poisoned messages of all groups of a queue: the one thing that has a row each, with its own copy of the message, because
 * it outlives the log's retention and is rare. A dead letter is out of its group's way; a held one (`onPoison: "block"`)
 * stands in its place until somebody decides; one that is redriven, or freed from its hold, is in flight again from here,
 * until it is acked or fails anew. It decides nothing: group.ts does.
 */
import { entryWeight } from "../../core/entry.ts";
import { DeadLetterRows, type DeadLetterRow } from "./dead-letter-rows.ts";
import type { Sql } from "../storage/storage.ts";
import type { Flight } from "./page.ts";

export interface DeadLetter {
  readonly offset: number;
  readonly storedAt: number;
  readonly deadAt: number;
  readonly attempts: number;
  readonly reason: string;
  /** What it takes of an answer, in bytes. */
  readonly weight: number;
  readonly entry: Uint8Array;
}

/** What a row is now. Persisted. */
const STANDING = { dead: 0, flying: 1, held: 2 } as const;
/** A held message is due never; no entry of a heap of due instants is equal to it. */
const NEVER = 0;

/** A message of the rows here that is in flight again, waits for it, or is held. */
export interface Redriven extends Flight {
  /** In an ordered group it comes behind what the log held below this offset. Its own offset: it never left its place. */
  readonly after: number;
  /** Not delivered before somebody decides. */
  readonly held: boolean;
}

/** A message that ran out of attempts, and why. */
interface Death {
  readonly entry: Uint8Array;
  readonly storedAt: number;
  readonly reason: string;
  readonly nowMs: number;
}

export class DeadLetters {
  readonly #sql: Sql;
  readonly #rows: DeadLetterRows;
  /** group → offset → flight, of redriven ones. */
  readonly #redriven = new Map<number, Map<number, Redriven>>();
  readonly #counts = new Map<number, number>();
  readonly #held = new Map<number, number>();

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#rows = new DeadLetterRows(sql);
    for (const row of this.#rows.read("standing <> 0")) {
      const { group, offset, generation, attempts, dueAt, after } = row;
      const held = row.standing === STANDING.held;
      const leased = attempts > 0 && !held;
      const flight = { offset, generation, attempt: attempts, dueAt, leased, after, held };
      this.#of(group).set(offset, flight);
      if (held) this.#addHeld(group, 1);
    }
    for (const row of sql.exec(
      "SELECT grp, COUNT(*) AS n FROM dead_letter WHERE standing = 0 GROUP BY grp",
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

  #addHeld(group: number, by: number): void {
    this.#held.set(group, (this.#held.get(group) ?? 0) + by);
  }

  heldCount(group: number): number {
    return this.#held.get(group) ?? 0;
  }

  /** All of the group that are not dead. */
  redriven(group: number): Iterable<Redriven> {
    return this.#redriven.get(group)?.values() ?? [];
  }

  redrivenCount(group: number): number {
    return this.#redriven.get(group)?.size ?? 0;
  }

  flight(group: number, offset: number): Redriven | undefined {
    return this.#redriven.size === 0 ? undefined : this.#redriven.get(group)?.get(offset);
  }

  has(group: number, offset: number): boolean {
    return this.attemptsOf(group, offset) !== undefined;
  }

  /** How often a dead letter was delivered; undefined for what is none. */
  attemptsOf(group: number, offset: number): number | undefined {
    if (this.count(group) === 0) return undefined;
    const row = this.#rows.find(group, offset);
    return row?.standing === STANDING.dead ? row.attempts : undefined;
  }

  content(group: number, offset: number): { entry: Uint8Array; storedAt: number } | undefined {
    if (this.flight(group, offset) === undefined) return undefined;
    for (const { entry, storedAt } of this.#rows.whole("grp = ? AND offset = ?", group, offset))
      return { entry, storedAt };
    return undefined;
  }

  #insert(group: number, flight: Flight, death: Death, standing: number): void {
    // An older death of the same offset, before a seek, gives its row to the new one.
    if (this.has(group, flight.offset)) this.#count(group, -1);
    const row: DeadLetterRow = {
      group,
      offset: flight.offset,
      storedAt: death.storedAt,
      deadAt: death.nowMs,
      attempts: flight.attempt,
      generation: flight.generation,
      reason: death.reason,
      weight: entryWeight(death.entry),
      standing,
      dueAt: NEVER,
      after: flight.offset,
    };
    this.#rows.insert(row, death.entry);
  }

  add(group: number, flight: Flight, death: Death): void {
    this.#insert(group, flight, death, STANDING.dead);
    this.#count(group, 1);
  }

  // ------------------------------------------------------------ held

  /** The message stays in its place, undelivered. */
  hold(group: number, flight: Flight, death: Death): void {
    this.#insert(group, flight, death, STANDING.held);
    this.#setHeld(group, { ...flight, after: flight.offset });
  }

  /** One that was redriven, or freed before, stays where it is. */
  holdAgain(group: number, flight: Redriven, reason: string, nowMs: number): void {
    this.#rows.change(group, flight.offset, {
      standing: STANDING.held,
      deadAt: nowMs,
      attempts: flight.attempt,
      generation: flight.generation,
      dueAt: NEVER,
      reason,
    });
    this.#setHeld(group, flight);
  }

  #setHeld(group: number, flight: Flight & { readonly after: number }): void {
    const held = { ...flight, leased: false, held: true, dueAt: NEVER };
    this.#of(group).set(flight.offset, held);
    this.#addHeld(group, 1);
  }

  /** A held one may be delivered again now, in its place, after so many attempts. */
  free(group: number, flight: Redriven, attempt: number, nowMs: number): void {
    const { offset } = flight;
    const standing = STANDING.flying;
    this.#rows.change(group, offset, { standing, attempts: attempt, dueAt: nowMs });
    this.#of(group).set(offset, { ...flight, attempt, dueAt: nowMs, held: false });
    this.#addHeld(group, -1);
  }

  /** A held one becomes a dead letter. */
  giveUp(group: number, offset: number): void {
    this.#rows.change(group, offset, { standing: STANDING.dead });
    this.#of(group).delete(offset);
    this.#addHeld(group, -1);
    this.#count(group, 1);
  }

  reasonOf(group: number, offset: number): string {
    return this.#rows.find(group, offset)?.reason ?? "";
  }

  // ------------------------------------------------------------ in flight again

  buryAgain(group: number, flight: Flight, reason: string, nowMs: number): void {
    this.#rows.change(group, flight.offset, {
      standing: STANDING.dead,
      deadAt: nowMs,
      attempts: flight.attempt,
      generation: flight.generation,
      reason,
    });
    this.#of(group).delete(flight.offset);
    this.#count(group, 1);
  }

  /** In flight again; `after`: what the log held then comes before it in an ordered group. */
  redrive(group: number, offset: number, after: number, nowMs: number): void {
    const standing = STANDING.flying;
    const row = this.#rows.change(group, offset, { standing, attempts: 0, dueAt: nowMs, after });
    if (row !== undefined) {
      const { generation } = row;
      const flight = { offset, generation, attempt: 0, dueAt: nowMs, leased: false, after };
      this.#of(group).set(offset, { ...flight, held: false });
    }
    this.#count(group, -1);
  }

  /** A seek makes a redriven one begin again; older receipts are dead by their epoch. */
  restart(group: number, offset: number, after: number, nowMs: number): void {
    const flight = this.flight(group, offset);
    if (flight === undefined) return;
    this.#rows.change(group, offset, { attempts: 0, dueAt: nowMs, after });
    this.#of(group).set(offset, { ...flight, attempt: 0, dueAt: nowMs, leased: false, after });
  }

  #save(group: number, flight: Flight): void {
    const { generation, attempt, dueAt } = flight;
    this.#rows.change(group, flight.offset, { generation, attempts: attempt, dueAt });
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

  /** A dead letter that comes again by itself, or is purged. */
  forgive(group: number, offset: number): void {
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ? AND offset = ?", group, offset);
    this.#count(group, -1);
  }

  /** One that is in flight, or held, is done with. */
  remove(group: number, offset: number): void {
    const flight = this.flight(group, offset);
    if (flight === undefined) return;
    this.#of(group).delete(offset);
    if (flight.held) this.#addHeld(group, -1);
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ? AND offset = ?", group, offset);
  }

  /** Behind `after`, at most so many and so many bytes of entries, but one at least. `more`: there are others behind. */
  list(
    group: number,
    after: number,
    { limit, bytesMax }: { readonly limit: number; readonly bytesMax: number },
  ): { readonly items: readonly DeadLetter[]; readonly more: boolean } {
    const which = "grp = ? AND offset > ? AND standing = 0 ORDER BY offset LIMIT ?";
    // Weights are looked at before any entry is: a thousand of the largest would be a gigabyte.
    let count = 0;
    let bytes = 0;
    let more = false;
    for (const { weight } of this.#rows.read(which, group, after, limit + 1)) {
      bytes += weight;
      more = count === limit || (count > 0 && bytes > bytesMax);
      if (more) break;
      count++;
    }
    return { items: [...this.#rows.whole(which, group, after, count)], more };
  }

  /** Does any of the groups have a copy of the message, dead, held or in flight again? */
  hasCopy(groups: readonly number[], offset: number): boolean {
    return groups.some((group) => this.#rows.find(group, offset) !== undefined);
  }

  /** Without their entries. */
  offsets(group: number, limit: number): number[] {
    const which = "grp = ? AND standing = 0 ORDER BY offset LIMIT ?";
    return Array.from(this.#rows.read(which, group, limit), ({ offset }) => offset);
  }

  purge(group: number): number {
    const purged = this.count(group);
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ? AND standing = 0", group);
    this.#counts.delete(group);
    return purged;
  }

  /** The group is gone. */
  forget(group: number): void {
    this.#sql.exec("DELETE FROM dead_letter WHERE grp = ?", group);
    this.#counts.delete(group);
    this.#held.delete(group);
    this.#redriven.delete(group);
  }

  /** Copies are kept for a bounded time. */
  dropBefore(deadBefore: number): void {
    if (this.#counts.size === 0) return;
    const old = "standing = 0 AND dead_at < ?";
    // Each must say so itself before it goes.
    if ([...this.#rows.read(old, deadBefore)].length === 0) return;
    this.#sql.exec(`DELETE FROM dead_letter WHERE ${old}`, deadBefore);
    this.#counts.clear();
    for (const row of this.#sql.exec(
      "SELECT grp, COUNT(*) AS n FROM dead_letter WHERE standing = 0 GROUP BY grp",
    )) {
      this.#counts.set(Number(row["grp"]), Number(row["n"]));
    }
  }
}
