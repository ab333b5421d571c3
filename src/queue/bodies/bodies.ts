/**
 * The large bodies that this queue answers for, a row each: those that are about to come, those that a message refers to,
 * with its place, and those that nobody needs any more, until the bucket has let them go. It never reads a body, and
 * never calls the bucket: bin.ts does.
 *
 * [B1] From before an object is put until it is deleted, a queue answers for it. While a message is on its way to another
 * queue both do; the one that it left forgets it once the other has it, and deletes nothing.
 * [B2] What is doomed is referred to by no message any more, and never again.
 */
import { CodecError } from "../../core/bytes.ts";
import { crc32, seedOf } from "../../core/crc32.ts";
import { bytesOf, type Sql, type SqlValue } from "../storage/storage.ts";

/** What a row stands for. `at` is an instant (expected, doomed) or a place. Persisted. */
const STATE = { expected: 0, log: 1, half: 2, delayed: 3, dead: 4, doomed: 5, cold: 6 } as const;
type State = (typeof STATE)[keyof typeof STATE];

/** Where the message stands; `dead`: only its dead letters do, under its offset; `cold`: old segments, from there on. */
export interface BodyPlace {
  readonly in: "log" | "half" | "delayed" | "dead" | "cold";
  readonly at: number;
}

/** An upload is over long before; what has not been referred to by then is given up. */
const EXPECTED_MS = 60 * 60_000;
/** Uploads under way. */
export const EXPECTED_MAX = 10_000;
/** Whoever was given the message a moment ago still fetches its body. */
const GRACE_MS = 60_000;
/** For so long a body must have been missing before its message is dead. */
const DOUBT_MS = 5 * 60_000;
/** How often the bodies of dead letters are looked at, in flushes that happen anyway. */
const DEAD_EVERY_MS = 60_000;

interface Row {
  readonly state: State;
  readonly at: number;
  readonly key: Uint8Array;
  /** When its bucket first said that it is not there; 0: it never did. */
  readonly missingSince: number;
}

const sealOf = ({ state, at, key, missingSince }: Row): number =>
  seedOf("large_body", state, at, crc32(key), missingSince);

/** The row as it was written. */
function opened(row: Record<string, SqlValue>): Row {
  const [state, at] = [Number(row["state"]) as State, Number(row["at"])];
  const key = bytesOf(row["key"]).slice();
  const opening = { state, at, key, missingSince: Number(row["missing_since"]) };
  if (sealOf(opening) !== row["seal"])
    throw new CodecError(`the row of a large body at ${state}/${at} is damaged`);
  return opening;
}

export class Bodies {
  static readonly schema: readonly string[] = [
    "CREATE TABLE IF NOT EXISTS large_body (state INTEGER NOT NULL, at INTEGER NOT NULL, key BLOB NOT NULL, missing_since INTEGER NOT NULL, seal INTEGER NOT NULL, PRIMARY KEY (state, at, key)) STRICT, WITHOUT ROWID",
    // Of those that are missing only: others cost nothing.
    "CREATE INDEX IF NOT EXISTS large_body_missing ON large_body (at) WHERE missing_since <> 0",
  ];

  readonly #sql: Sql;
  /** Nothing here costs a statement in a queue without large bodies. */
  #isEmpty: boolean;
  /** Nor in one of which none is missing. Undefined: not looked at since a row went. */
  #isAnyMissing: boolean | undefined;
  /** Lowest `at` of a state; absent: not looked at since that row went. */
  readonly #lowest = new Map<State, number>();
  #deadFrom = -1;
  #lookAtDeadAt = 0;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#isEmpty = [...sql.exec("SELECT 1 FROM large_body LIMIT 1")].length === 0;
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  get expectedCount(): number {
    if (this.#isEmpty) return 0;
    const query = "SELECT COUNT(*) AS n FROM large_body WHERE state = ?";
    for (const row of this.#sql.exec(query, STATE.expected)) return Number(row["n"]);
    return 0;
  }

  // ------------------------------------------------------------ changing

  /** These will be put, and referred to soon. */
  expect(keys: readonly Uint8Array[], nowMs: number): void {
    for (const key of keys) this.#insert(STATE.expected, nowMs + EXPECTED_MS, key);
  }

  isExpected(key: Uint8Array): boolean {
    return this.#expected(key) !== undefined;
  }

  #expected(key: Uint8Array): number | undefined {
    if (this.#isEmpty) return undefined;
    return this.#rows("state = ? AND key = ?", STATE.expected, key)[0]?.at;
  }

  /** A message refers to it there; it was expected, stood at `from`, or came with the message from another queue. */
  place(key: Uint8Array, to: BodyPlace, from?: BodyPlace): void {
    const expected = from === undefined ? this.#expected(key) : undefined;
    if (expected !== undefined) this.#delete(STATE.expected, expected, key);
    if (from !== undefined) this.#delete(STATE[from.in], from.at, key);
    this.#insert(STATE[to.in], to.at, key);
  }

  /** Another queue answers for it now. */
  forget(key: Uint8Array, { in: log, at }: BodyPlace): void {
    this.#delete(STATE[log], at, key);
    this.#look();
  }

  /** The message there does not need it any more. Nothing, if it went on from there. */
  doom(key: Uint8Array, { in: log, at }: BodyPlace, nowMs: number): void {
    if (!this.#isEmpty && this.#has(STATE[log], at, key))
      this.#doom(STATE[log], { at, key }, nowMs);
  }

  /** It came with a message that is not kept. */
  doomStray(key: Uint8Array, nowMs: number): void {
    this.#insert(STATE.doomed, nowMs + GRACE_MS, key);
  }

  /** As far as they are still expected, nothing will refer to them. */
  giveUp(keys: readonly Uint8Array[], nowMs: number): void {
    for (const key of keys) {
      const at = this.#expected(key);
      if (at !== undefined) this.#doom(STATE.expected, { at, key }, nowMs);
    }
  }

  /** Places from…to of a log are dropped. */
  doomRange(log: "half" | "delayed" | "cold", from: number, to: number, nowMs: number): void {
    if (this.#isEmpty) return;
    const rows = this.#rows("state = ? AND at >= ? AND at < ?", STATE[log], from, to);
    for (const row of rows) this.#doom(STATE[log], row, nowMs);
  }

  /** The topic is deleted: nobody is given anything any more. What was announced a moment ago may still be on its way. */
  doomAll(nowMs: number): void {
    if (this.#isEmpty) return;
    for (const { state, at, key } of this.#rows("state >= ?", 0)) {
      const putBy = state === STATE.expected ? at - EXPECTED_MS + GRACE_MS : nowMs;
      this.#delete(state, at, key);
      this.#insert(STATE.doomed, Math.max(nowMs, putBy), key);
    }
  }

  /**
   * Finds what nobody needs any more: uploads that were given up, and bodies below the log's first offset, unless a dead
   * letter still refers to them. At most `max` of each kind; answers whether there may be more.
   */
  sweep(
    { first, isKept }: { first: number; isKept: (offset: number) => boolean },
    nowMs: number,
    max: number,
  ): boolean {
    if (this.#isEmpty) return false;
    const old = this.#below(STATE.expected, nowMs + 1, max);
    for (const row of old) this.#doom(STATE.expected, row, nowMs);
    const dropped = this.#below(STATE.log, first, max);
    for (const row of dropped) {
      if (isKept(row.at))
        this.place(row.key, { in: "dead", at: row.at }, { in: "log", at: row.at });
      else this.#doom(STATE.log, row, nowMs);
    }
    this.#lookAtDead(isKept, nowMs, max);
    return old.length === max || dropped.length === max;
  }

  #lookAtDead(isKept: (offset: number) => boolean, nowMs: number, max: number): void {
    if (nowMs < this.#lookAtDeadAt || this.#lowestOf(STATE.dead) === Infinity) return;
    const which = "state = ? AND at > ? ORDER BY at LIMIT ?";
    const rows = this.#rows(which, STATE.dead, this.#deadFrom, max);
    for (const row of rows) if (!isKept(row.at)) this.#doom(STATE.dead, row, nowMs);
    const last = rows.length === max ? rows.at(-1) : undefined;
    // A message has one body, so that an offset is never cut in two.
    this.#deadFrom = last?.at ?? -1;
    this.#lookAtDeadAt = nowMs + DEAD_EVERY_MS;
  }

  /**
   * The bucket has not the body of the message at the offset: is that not to be believed yet? What was removed by mistake may be
   * back in some minutes. When it began is on disk, however long a queue sleeps between two looks.
   */
  isDoubted(offset: number, nowMs: number): boolean {
    if (this.#isEmpty) return false;
    const [row] = this.#rows("state IN (?, ?) AND at = ?", STATE.log, STATE.dead, offset);
    if (row === undefined) return false;
    if (row.missingSince !== 0) return nowMs - row.missingSince < DOUBT_MS;
    this.#delete(row.state, row.at, row.key);
    this.#insert(row.state, row.at, row.key, Math.max(1, nowMs));
    this.#isAnyMissing = true;
    return true;
  }

  /** Somebody was given the message at the offset with its body: when it is missing again, that begins anew. */
  wasFound(offset: number): void {
    this.#isAnyMissing ??= this.#lookForMissing();
    if (!this.#isAnyMissing) return;
    for (const { state, at, key } of this.#rows("missing_since <> 0 AND at = ?", offset)) {
      if (state !== STATE.log && state !== STATE.dead) continue;
      this.#delete(state, at, key);
      this.#insert(state, at, key);
    }
  }

  // ------------------------------------------------------------ deleting

  /** Doomed ones whose time is over, at most so many. */
  overdue(nowMs: number, max: number): Uint8Array[] {
    return this.#isEmpty ? [] : this.#below(STATE.doomed, nowMs + 1, max).map(({ key }) => key);
  }

  /** The bucket has let them go. */
  deleted(keys: readonly Uint8Array[]): void {
    for (const key of keys) {
      this.#sql.exec("DELETE FROM large_body WHERE state = ? AND key = ?", STATE.doomed, key);
    }
    this.#lowest.delete(STATE.doomed);
    this.#look();
  }

  // ------------------------------------------------------------ time

  /** When the next doomed one may be deleted. */
  get doomedAt(): number {
    return this.#isEmpty ? Infinity : this.#lowestOf(STATE.doomed);
  }

  /** When the next upload is given up. */
  get expectedUntil(): number {
    return this.#isEmpty ? Infinity : this.#lowestOf(STATE.expected);
  }

  // ------------------------------------------------------------ rows

  #look(): void {
    this.#isEmpty = [...this.#sql.exec("SELECT 1 FROM large_body LIMIT 1")].length === 0;
  }

  #lookForMissing(): boolean {
    if (this.#isEmpty) return false;
    const query = "SELECT 1 FROM large_body WHERE missing_since <> 0 LIMIT 1";
    return [...this.#sql.exec(query)].length > 0;
  }

  #insert(state: State, at: number, key: Uint8Array, missingSince = 0): void {
    this.#isEmpty = false;
    this.#sql.exec(
      "INSERT INTO large_body (state, at, key, missing_since, seal) VALUES (?, ?, ?, ?, ?)",
      state,
      at,
      key,
      missingSince,
      sealOf({ state, at, key, missingSince }),
    );
    const lowest = this.#lowest.get(state);
    if (lowest !== undefined && at < lowest) this.#lowest.set(state, at);
  }

  #delete(state: State, at: number, key: Uint8Array): void {
    this.#sql.exec("DELETE FROM large_body WHERE state = ? AND at = ? AND key = ?", state, at, key);
    if (this.#lowest.get(state) === at) this.#lowest.delete(state);
    // None comes but by being doubted, so that what was false stays so.
    if (this.#isAnyMissing === true) this.#isAnyMissing = undefined;
  }

  #has(state: State, at: number, key: Uint8Array): boolean {
    return this.#rows("state = ? AND at = ? AND key = ?", state, at, key).length > 0;
  }

  #doom(state: State, { at, key }: Pick<Row, "at" | "key">, nowMs: number): void {
    this.#delete(state, at, key);
    this.#insert(STATE.doomed, nowMs + GRACE_MS, key);
  }

  #below(state: State, limit: number, max: number): Row[] {
    if (this.#lowestOf(state) >= limit) return [];
    return this.#rows("state = ? AND at < ? ORDER BY at LIMIT ?", state, limit, max);
  }

  /** Copies: rows change while they are gone through. */
  #rows(which: string, ...bindings: SqlValue[]): Row[] {
    const query = `SELECT state, at, key, missing_since, seal FROM large_body WHERE ${which}`;
    return Array.from(this.#sql.exec(query, ...bindings), opened);
  }

  #lowestOf(state: State): number {
    const known = this.#lowest.get(state);
    if (known !== undefined) return known;
    let lowest = Infinity;
    const query = "SELECT at FROM large_body WHERE state = ? ORDER BY at LIMIT 1";
    for (const row of this.#sql.exec(query, state)) lowest = Number(row["at"]);
    this.#lowest.set(state, lowest);
    return lowest;
  }
}
