/**
 * The rows of producer groups. Versions come from one counter of the namespace, so that a group that was deleted and made
 * again is newer than anything its coordinator ever heard. It never calls anything.
 */
import type { ProducerGroupRecord } from "../protocol/rpc.ts";
import type { CheckTarget } from "../protocol/topic.ts";
import type { Row, Storage } from "./ground.ts";
import { nextNumber } from "./schema.ts";
import { liveSecrets, type Secret } from "./secrets.ts";

export interface ProducerGroupRow {
  readonly id: number;
  readonly name: string;
  /** Deleted for everyone, but its coordinator does not know yet. */
  readonly deleting: boolean;
  readonly version: number;
  /** The version that the coordinator has; 0 before the first. */
  readonly confirmed: number;
  /** The version that brought its first secret; 0 without one. */
  readonly secretSince: number;
  readonly check?: CheckTarget;
  readonly secrets: readonly Secret[];
  readonly createdAt: number;
}

/** What a change may change. */
interface Content {
  readonly check?: CheckTarget;
  readonly secrets: readonly Secret[];
}

const rowOf = (row: Row): ProducerGroupRow => ({
  id: Number(row["id"]),
  name: String(row["name"]),
  deleting: row["deleting"] === 1,
  version: Number(row["version"]),
  confirmed: Number(row["confirmed"]),
  secretSince: Number(row["secret_since"]),
  ...(typeof row["target"] === "string" ? { check: JSON.parse(row["target"]) as CheckTarget } : {}),
  secrets: JSON.parse(String(row["secrets"])) as Secret[],
  createdAt: Number(row["created_at"]),
});

export const recordOf = (row: ProducerGroupRow, nowMs: number): ProducerGroupRecord => ({
  group: row.name,
  ...(row.check === undefined ? {} : { check: row.check }),
  secrets: liveSecrets(row.secrets, nowMs),
  createdAt: row.createdAt,
  version: row.version,
});

export class ProducerGroupStore {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  atomically<T>(body: () => T): T {
    return this.#storage.transactionSync(body);
  }

  byName(name: string): ProducerGroupRow | undefined {
    const [row] = this.#exec("SELECT * FROM producer_group WHERE name = ?", name);
    return row === undefined ? undefined : rowOf(row);
  }

  list(after: number, limit: number): ProducerGroupRow[] {
    return this.#exec(
      "SELECT * FROM producer_group WHERE id > ? AND deleting = 0 ORDER BY id LIMIT ?",
      after,
      limit,
    ).map(rowOf);
  }

  /** Names of groups that their coordinator knows too little of. */
  unfinished(): string[] {
    const rows = this.#exec(
      "SELECT name FROM producer_group WHERE deleting = 1 OR confirmed < version",
    );
    return rows.map((row) => String(row["name"]));
  }

  insert(name: string, content: Content, nowMs: number): ProducerGroupRow {
    const id = nextNumber(this.#storage, "producer_group");
    const version = nextNumber(this.#storage, "producer_group_version");
    this.#exec(
      `INSERT INTO producer_group (id, name, deleting, version, confirmed, secret_since, target, secrets, created_at)
       VALUES (?, ?, 0, ?, 0, ?, ?, ?, ?)`,
      id,
      name,
      version,
      content.secrets.length > 0 ? version : 0,
      targetText(content),
      JSON.stringify(content.secrets),
      nowMs,
    );
    return this.#known(name);
  }

  change(row: ProducerGroupRow, content: Content): ProducerGroupRow {
    const version = nextNumber(this.#storage, "producer_group_version");
    const isFirst = row.secretSince === 0 && content.secrets.length > 0;
    this.#exec(
      "UPDATE producer_group SET version = ?, secret_since = ?, target = ?, secrets = ? WHERE id = ?",
      version,
      isFirst ? version : row.secretSince,
      targetText(content),
      JSON.stringify(content.secrets),
      row.id,
    );
    return this.#known(row.name);
  }

  confirm(row: ProducerGroupRow): ProducerGroupRow {
    this.#exec("UPDATE producer_group SET confirmed = ? WHERE id = ?", row.version, row.id);
    return this.#known(row.name);
  }

  markDeleting(row: ProducerGroupRow): ProducerGroupRow {
    this.#exec(
      "UPDATE producer_group SET deleting = 1, target = NULL, secrets = '[]' WHERE id = ?",
      row.id,
    );
    return this.#known(row.name);
  }

  remove(row: ProducerGroupRow): void {
    this.#exec("DELETE FROM producer_group WHERE id = ?", row.id);
  }

  #known(name: string): ProducerGroupRow {
    const row = this.byName(name);
    if (row === undefined) throw new Error(`no row of producer group ${name}`);
    return row;
  }

  #exec(query: string, ...bindings: (string | number | null)[]): Row[] {
    return [...this.#storage.sql.exec(query, ...bindings)];
  }
}

const targetText = ({ check }: Content): string | null =>
  check === undefined ? null : JSON.stringify(check);
