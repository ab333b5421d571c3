/**
 * The rows of groups that push: what signs, and what their pusher knows. Versions come from one counter of the namespace.
 * Each verb is synchronous and belongs in a transaction of its caller; it never calls anything.
 */
import type { Row, Storage } from "./ground.ts";
import { nextNumber } from "./schema.ts";
import type { Secret } from "./secrets.ts";

export interface PushRow {
  readonly incarnation: number;
  /** The group's. */
  readonly number: number;
  readonly topic: string;
  readonly group: string;
  /** Over for everyone, but its pusher does not know yet. */
  readonly deleting: boolean;
  readonly version: number;
  /** The version that the pusher has; 0 before the first. */
  readonly confirmed: number;
  /** The version that brought its first secret; 0 without one. */
  readonly secretSince: number;
  readonly secrets: readonly Secret[];
}

const rowOf = (row: Row): PushRow => ({
  incarnation: Number(row["incarnation"]),
  number: Number(row["number"]),
  topic: String(row["topic"]),
  group: String(row["name"]),
  deleting: row["deleting"] === 1,
  version: Number(row["version"]),
  confirmed: Number(row["confirmed"]),
  secretSince: Number(row["secret_since"]),
  secrets: JSON.parse(String(row["secrets"])) as Secret[],
});

export class PushStore {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  find(incarnation: number, number: number): PushRow | undefined {
    const [row] = this.#exec(
      "SELECT * FROM push WHERE incarnation = ? AND number = ?",
      incarnation,
      number,
    );
    return row === undefined ? undefined : rowOf(row);
  }

  /** Those of a topic whose pusher knows too little, oldest group first. */
  unfinishedOf(incarnation: number): PushRow[] {
    return this.#exec(
      "SELECT * FROM push WHERE incarnation = ? AND (deleting = 1 OR confirmed < version) ORDER BY number",
      incarnation,
    ).map(rowOf);
  }

  /** Names of topics with such groups. */
  unfinishedTopics(): string[] {
    const rows = this.#exec(
      "SELECT DISTINCT topic FROM push WHERE deleting = 1 OR confirmed < version",
    );
    return rows.map((row) => String(row["topic"]));
  }

  put(row: Omit<PushRow, "deleting" | "version" | "confirmed" | "secretSince">): void {
    const version = nextNumber(this.#storage, "push_version");
    const known = this.find(row.incarnation, row.number);
    const hadSecret = known !== undefined && known.secrets.length > 0;
    const since = hadSecret ? known.secretSince : row.secrets.length > 0 ? version : 0;
    this.#exec(
      `INSERT INTO push (incarnation, number, topic, name, deleting, version, confirmed, secret_since, secrets)
       VALUES (?, ?, ?, ?, 0, ?, 0, ?, ?)
       ON CONFLICT (incarnation, number) DO UPDATE SET deleting = 0, version = excluded.version,
         secret_since = excluded.secret_since, secrets = excluded.secrets`,
      row.incarnation,
      row.number,
      row.topic,
      row.group,
      version,
      since,
      JSON.stringify(row.secrets),
    );
  }

  confirm({ incarnation, number, version }: PushRow): void {
    this.#exec(
      "UPDATE push SET confirmed = ? WHERE incarnation = ? AND number = ?",
      version,
      incarnation,
      number,
    );
  }

  /** One group's, or all of a topic. */
  markDeleting(incarnation: number, number?: number): void {
    const version = nextNumber(this.#storage, "push_version");
    this.#exec(
      `UPDATE push SET deleting = 1, secrets = '[]', version = ? WHERE incarnation = ? AND ${number === undefined ? "? = 0" : "number = ?"}`,
      version,
      incarnation,
      number ?? 0,
    );
  }

  remove({ incarnation, number }: PushRow): void {
    this.#exec(
      "DELETE FROM push WHERE incarnation = ? AND number = ? AND deleting = 1",
      incarnation,
      number,
    );
  }

  #exec(query: string, ...bindings: (string | number)[]): Row[] {
    return [...this.#storage.sql.exec(query, ...bindings)];
  }
}
