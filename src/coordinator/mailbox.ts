/**
 * Checks that wait for a producer to come and poll: references only, one SQLite row per laid batch, all of them in
 * memory too. A transaction has at most one reference here, the one laid last. It never holds a message, and never
 * knows whether a transaction is still undecided: who hands a reference out asks the queue.
 *
 * A row is rewritten when part of it is handed out and deleted when nothing of it is left. What a later batch
 * supersedes is taken out of memory only, for a row per reference would be written else: after an eviction such a
 * reference may be read again, and its attempt number tells that it is old.
 */
import type { CheckOffer } from "../protocol/rpc.ts";
import type { Sql } from "./ports.ts";

/** One laid check. Its identity as an object is what a claim holds on to. */
export interface Ref extends CheckOffer {
  readonly row: number;
  claimed: boolean;
}

type Batch = readonly [topic: string, incarnation: number, queue: number, refs: [number, number][]];

const REFS_MAX = 100_000;
/** How far a claim looks for more of the same queue. */
const SCAN_MAX = 1_024;

const keyOf = (ref: CheckOffer): string => `${ref.incarnation}.${ref.queue}.${ref.position}`;
/** Tells the queues of all topics apart. */
export const queueKey = (ref: CheckOffer): string => `${ref.incarnation}.${ref.queue}`;

export class Mailbox {
  readonly #sql: Sql;
  readonly #refsMax: number;
  /** In the order of hand-out. */
  readonly #refs = new Map<string, Ref>();
  readonly #rows = new Map<number, Set<Ref>>();
  #nextRow = 1;

  constructor(sql: Sql, refsMax: number = REFS_MAX) {
    this.#sql = sql;
    this.#refsMax = refsMax;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS mailbox (row INTEGER PRIMARY KEY, batch TEXT NOT NULL) STRICT",
    );
    for (const { row, batch } of sql.exec("SELECT row, batch FROM mailbox ORDER BY row")) {
      this.#nextRow = Number(row) + 1;
      this.#read(Number(row), JSON.parse(String(batch)) as Batch);
    }
    this.#write(new Set([...this.#rows].filter(([, refs]) => refs.size === 0).map(([row]) => row)));
  }

  get size(): number {
    return this.#refs.size;
  }

  /** Lays checks of one queue. Past the bound the oldest go: their transactions' next checks are laid again. */
  lay(offers: readonly CheckOffer[]): { readonly dropped: number } {
    const [first] = offers;
    if (first === undefined) return { dropped: 0 };
    const row = this.#nextRow++;
    const { topic, incarnation, queue } = first;
    const refs = offers.map(({ position, attempt }): [number, number] => [position, attempt]);
    const batch: Batch = [topic, incarnation, queue, refs];
    this.#sql.exec("INSERT INTO mailbox (row, batch) VALUES (?, ?)", row, JSON.stringify(batch));
    const emptied = this.#read(row, batch);
    let dropped = 0;
    for (const ref of this.#refs.values()) {
      if (this.#refs.size <= this.#refsMax) break;
      if (ref.claimed) continue;
      dropped++;
      if (this.#forget(ref)) emptied.add(ref.row);
    }
    this.#write(emptied);
    return { dropped };
  }

  /** The next checks of one queue, kept from other claims until they are released or spent. */
  claim(countMax: number, skippedQueues: ReadonlySet<string>): Ref[] {
    const claim: Ref[] = [];
    let wanted: string | undefined;
    let scanned = 0;
    for (const ref of this.#refs.values()) {
      if (claim.length >= countMax || (wanted !== undefined && ++scanned > SCAN_MAX)) break;
      const queue = queueKey(ref);
      if (ref.claimed || queue !== (wanted ?? queue) || skippedQueues.has(queue)) continue;
      wanted = queue;
      ref.claimed = true;
      claim.push(ref);
    }
    return claim;
  }

  release(claim: readonly Ref[]): void {
    for (const ref of claim) ref.claimed = false;
  }

  /** Claimed checks that were handed out, or that nobody needs any more: they do not come back. */
  spend(claim: readonly Ref[]): void {
    const changed = new Set<number>();
    for (const ref of claim) {
      this.#forget(ref);
      changed.add(ref.row);
    }
    this.#write(changed);
  }

  /** Takes a batch into memory; answers the rows that it emptied by superseding what they held. */
  #read(row: number, [topic, incarnation, queue, refs]: Batch): Set<number> {
    const emptied = new Set<number>();
    const live = new Set<Ref>();
    this.#rows.set(row, live);
    for (const [position, attempt] of refs) {
      const ref: Ref = { topic, incarnation, queue, position, attempt, row, claimed: false };
      const key = keyOf(ref);
      const older = this.#refs.get(key);
      if (older !== undefined && this.#rows.get(older.row)?.delete(older) === true) {
        if (this.#rows.get(older.row)?.size === 0) emptied.add(older.row);
      }
      // An older one's place in the line is kept: its transaction has waited longest.
      this.#refs.set(key, ref);
      live.add(ref);
    }
    return emptied;
  }

  /** Takes a reference out of memory; true when its row is empty now. */
  #forget(ref: Ref): boolean {
    const key = keyOf(ref);
    if (this.#refs.get(key) === ref) this.#refs.delete(key);
    const live = this.#rows.get(ref.row);
    live?.delete(ref);
    return live?.size === 0;
  }

  #write(rows: ReadonlySet<number>): void {
    for (const row of rows) {
      const [first, ...others] = this.#rows.get(row) ?? [];
      if (first === undefined) {
        this.#rows.delete(row);
        this.#sql.exec("DELETE FROM mailbox WHERE row = ?", row);
        continue;
      }
      const { topic, incarnation, queue } = first;
      const refs = [first, ...others].map((ref): [number, number] => [ref.position, ref.attempt]);
      const batch: Batch = [topic, incarnation, queue, refs];
      this.#sql.exec("UPDATE mailbox SET batch = ? WHERE row = ?", JSON.stringify(batch), row);
    }
  }
}
