/**
 * The disk of one object: SQLite in memory, whose writes are on disk only when their commit has landed. A crash before
 * that takes them back, or finds that they had landed after all. The alarm is written with the rest, as in workerd.
 */
import { DatabaseSync } from "node:sqlite";
import type { SqlValue } from "../../../src/queue/storage/storage.ts";
import type { EventClock } from "../../kit/event-clock.node.ts";
import { type Row, Statement } from "../../kit/statement.node.ts";
import type { Dice } from "./dice.ts";

/** A write that the disk refused, as when it is full. */
export class DiskFault extends Error {}

export interface DiskFaults {
  /** Milliseconds until a commit has landed, at most. */
  readonly commitMsMax: number;
}

export class Disk {
  readonly #database = new DatabaseSync(":memory:");
  readonly #prepared = new Map<string, Statement>();
  readonly #marks = {
    outer: this.#database.prepare("SAVEPOINT outer"),
    landed: this.#database.prepare("RELEASE outer"),
    inner: this.#database.prepare("SAVEPOINT inner"),
    kept: this.#database.prepare("RELEASE inner"),
  };
  readonly #clock: EventClock;
  readonly #dice: Dice;
  readonly #faults: DiskFaults;
  #landing: { readonly promise: Promise<void>; readonly land: () => void } | undefined;
  #cancelLanding: () => void = () => undefined;
  /** What the platform keeps; `landedAlarmAt` is what a crash would bring back. */
  alarmAt: number | undefined;
  #landedAlarmAt: number | undefined;
  /** Statements until one fails; none when infinite. */
  #failsIn = Infinity;

  constructor(clock: EventClock, dice: Dice, faults: DiskFaults) {
    this.#clock = clock;
    this.#dice = dice;
    this.#faults = faults;
    this.#database.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
  }

  exec(query: string, ...bindings: SqlValue[]): Row[] {
    const statement = this.#prepare(query);
    if (statement.isWrite) this.#begin();
    if (--this.#failsIn <= 0) {
      this.#failsIn = Infinity;
      throw new DiskFault("the disk refused a statement");
    }
    return statement.all(bindings);
  }

  /** Whole or not at all, as `ctx.storage.transactionSync` is. */
  transaction<T>(body: () => T): T {
    // What begins with it is undone with it.
    const isFirst = this.#landing === undefined;
    this.#begin();
    if (!isFirst) this.#marks.inner.get();
    const { alarmAt } = this;
    try {
      const value = body();
      if (!isFirst) this.#marks.kept.get();
      return value;
    } catch (error) {
      this.#database.exec(isFirst ? "ROLLBACK TO outer" : "ROLLBACK TO inner; RELEASE inner");
      this.alarmAt = alarmAt;
      throw error;
    }
  }

  setAlarm(atMs: number | undefined): void {
    this.#begin();
    this.alarmAt = atMs;
  }

  deleteAll(): void {
    this.#begin();
    this.alarmAt = undefined;
    const tables = this.#database
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
      .all();
    this.#prepared.clear();
    for (const { name } of tables) this.#database.exec(`DROP TABLE "${String(name)}"`);
  }

  /** Resolves when everything written so far is on disk. */
  synced(): Promise<void> {
    return this.#landing?.promise ?? Promise.resolve();
  }

  /** The next statements but so many fail once. */
  failIn(statements: number): void {
    this.#failsIn = statements;
  }

  /** Power goes; what had not landed is gone, unless it just had. */
  crash(): void {
    this.#failsIn = Infinity;
    if (this.#landing === undefined) return;
    if (this.#dice.chance(0.5)) this.#marks.landed.get();
    else {
      this.#database.exec("ROLLBACK TO outer; RELEASE outer");
      // An alarm that became earlier is told before the commit, so it may ring for nothing; never is one missed.
      const early = Math.min(this.alarmAt ?? Infinity, this.#landedAlarmAt ?? Infinity);
      this.alarmAt = this.#dice.chance(0.5) && early < Infinity ? early : this.#landedAlarmAt;
    }
    this.#landedAlarmAt = this.alarmAt;
    this.#cancelLanding();
    this.#landing = undefined;
  }

  close(): void {
    this.#cancelLanding();
    this.#database.close();
  }

  #begin(): void {
    if (this.#landing !== undefined) return;
    this.#marks.outer.get();
    const { promise, resolve } = Promise.withResolvers<void>();
    const land = (): void => {
      this.#marks.landed.get();
      this.#landedAlarmAt = this.alarmAt;
      this.#landing = undefined;
      resolve();
    };
    this.#landing = { promise, land };
    const commitMs = this.#dice.roll() ** 3 * this.#faults.commitMsMax;
    this.#cancelLanding = this.#clock.after(commitMs, land);
  }

  #prepare(query: string): Statement {
    let statement = this.#prepared.get(query);
    if (statement === undefined) {
      // SQLite compiles a statement again by itself when the tables are others.
      statement = new Statement(this.#database, query);
      this.#prepared.set(query, statement);
    }
    return statement;
  }
}
