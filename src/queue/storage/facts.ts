/**
 * The few facts of a queue that stand in rows of their own, each sealed: all are read when the storage is opened, and held. It
 * does not know what they say.
 */
import { CodecError } from "../../core/bytes.ts";
import { seedOf } from "../../core/crc32.ts";
import { textOf, type Sql } from "./storage.ts";

const TABLE =
  "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID";
/** Must be readable whatever it says: it has no seal. */
const VERSION = "schema";

/** What a store may need of storage that is opened. */
export interface OpenStorage {
  readonly sql: Sql;
  readonly facts: Facts;
}

export class Facts {
  readonly #sql: Sql;
  readonly #values = new Map<string, string>();
  #version: string | undefined;

  /** Throws when one is not as it was written. */
  constructor(sql: Sql) {
    this.#sql = sql;
    sql.exec(TABLE);
    for (const row of sql.exec("SELECT name, value FROM meta")) {
      const [name, value] = [textOf(row["name"]), textOf(row["value"])];
      if (name === VERSION) this.#version = value;
      else this.#values.set(name, unsealed(name, value));
    }
  }

  /** Of the storage's layout; undefined when it is new. */
  get version(): string | undefined {
    return this.#version;
  }

  setVersion(version: string): void {
    this.#write(VERSION, version);
    this.#version = version;
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: string): void {
    this.#write(name, sealed(name, value));
    this.#values.set(name, value);
  }

  /** Nothing, if there is no such fact. */
  remove(name: string): void {
    if (!this.#values.delete(name)) return;
    this.#sql.exec("DELETE FROM meta WHERE name = ?", name);
  }

  #write(name: string, text: string): void {
    this.#sql.exec(
      "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name,
      text,
    );
  }
}

const sealed = (name: string, value: string): string => `${seedOf(name, value)} ${value}`;

function unsealed(name: string, text: string): string {
  const value = text.slice(text.indexOf(" ") + 1);
  if (text !== sealed(name, value)) throw new CodecError(`the fact ${name} is damaged`);
  return value;
}
