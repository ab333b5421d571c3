/**
 * The rows of schedules. Tables are made with the first of them, so that asking an object that has none writes nothing.
 *
 * counter   one row per counter; only rises
 * schedule  one row per schedule: small, because each run writes it twice
 * message   what a schedule sends, and what a run sends that had begun before the schedule got another message
 */
import type { ScheduleRule, ScheduleRun, SchedulePending } from "../protocol/rpc.ts";
import type { Row, Storage } from "./ports.ts";

/** A run that has begun: on disk before its message is sent. */
export interface Claim extends SchedulePending {
  /** Which run of its schedule it is. */
  readonly run: number;
  /** The row of its message. */
  readonly message: number;
  /** Not tried again before. */
  readonly retryAt: number;
}

export interface Schedule {
  readonly id: number;
  readonly name: string;
  /** The producer of its messages; no other schedule, before or after, has the same. */
  readonly producer: string;
  readonly rule: ScheduleRule;
  readonly message: number;
  readonly paused: boolean;
  readonly createdAt: number;
  /** How many runs have begun. */
  readonly runs: number;
  /** Undefined: never, as far as the calendar goes. While paused it stands still. */
  readonly nextAt?: number;
  readonly claim?: Claim;
  readonly last?: ScheduleRun;
}

export interface Message {
  readonly topic: string;
  readonly record: Uint8Array;
}

const TABLES: readonly string[] = [
  "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  `CREATE TABLE IF NOT EXISTS schedule (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL) STRICT`,
  "CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, record BLOB NOT NULL) STRICT",
];

/** Rises when an older version could not read what this one writes. */
const SCHEMA_VERSION = 1;

export class ScheduleStore {
  readonly #storage: Storage;
  #isMade: boolean;

  constructor(storage: Storage) {
    this.#storage = storage;
    const found = this.#exec("SELECT 1 AS one FROM sqlite_master WHERE name = 'schedule'");
    this.#isMade = found.length > 0;
    if (!this.#isMade) return;
    const version = this.#counter("schema");
    if (version > SCHEMA_VERSION) throw new Error(`storage of a later version: schema ${version}`);
  }

  atomically<T>(body: () => T): T {
    return this.#storage.transactionSync(body);
  }

  /** All of them, oldest first. */
  all(): Schedule[] {
    if (!this.#isMade) return [];
    return this.#exec("SELECT id, name, body FROM schedule ORDER BY id").map(
      (row) =>
        ({
          ...(JSON.parse(String(row["body"])) as object),
          id: Number(row["id"]),
          name: String(row["name"]),
        }) as Schedule,
    );
  }

  /** A number that was never given before. */
  nextNumber(counter: "schedule" | "message"): number {
    this.#make();
    this.#exec(
      "INSERT INTO counter (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
      counter,
    );
    return this.#counter(counter);
  }

  put({ id, name, ...body }: Schedule): void {
    this.#exec(
      `INSERT INTO schedule (id, name, body) VALUES (?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET body = excluded.body`,
      id,
      name,
      JSON.stringify(body),
    );
  }

  remove({ id, message, claim }: Schedule): void {
    this.#exec("DELETE FROM schedule WHERE id = ?", id);
    this.removeMessage(message);
    if (claim !== undefined && claim.message !== message) this.removeMessage(claim.message);
  }

  putMessage({ topic, record }: Message): number {
    const id = this.nextNumber("message");
    this.#exec("INSERT INTO message (id, topic, record) VALUES (?, ?, ?)", id, topic, record);
    return id;
  }

  message(id: number): Message {
    const [row] = this.#exec("SELECT topic, record FROM message WHERE id = ?", id);
    const record = row?.["record"];
    if (!(record instanceof ArrayBuffer) && !(record instanceof Uint8Array))
      throw new Error(`message ${id} of a schedule is not there`);
    return { topic: String(row?.["topic"]), record: new Uint8Array(record) };
  }

  removeMessage(id: number): void {
    this.#exec("DELETE FROM message WHERE id = ?", id);
  }

  #make(): void {
    if (this.#isMade) return;
    for (const statement of TABLES) this.#exec(statement);
    this.#exec("INSERT INTO counter (name, value) VALUES ('schema', ?)", SCHEMA_VERSION);
    this.#isMade = true;
  }

  #counter(name: string): number {
    const [row] = this.#exec("SELECT value FROM counter WHERE name = ?", name);
    return Number(row?.["value"] ?? 0);
  }

  #exec(query: string, ...bindings: (string | number | Uint8Array)[]): Row[] {
    return [...this.#storage.sql.exec(query, ...bindings)];
  }
}

export function withNext(schedule: Schedule, nextAt: number | undefined): Schedule {
  const { nextAt: _former, ...rest } = schedule;
  return nextAt === undefined ? rest : { ...rest, nextAt };
}

export function withoutClaim(schedule: Schedule): Schedule {
  const { claim: _ended, ...rest } = schedule;
  return rest;
}
