/**
 * The rows of topics and their groups, and of names that were deleted a moment ago. Each verb is synchronous and belongs
 * in a transaction of its caller; it never decides what may change, and never calls anything.
 */
import { LIMITS } from "../protocol/limits.ts";
import type { GroupRoute, Growth, TopicRoute } from "../protocol/rpc.ts";
import type { GroupSettings, TopicSettings } from "../protocol/topic.ts";
import type { Ports, Row, Storage } from "./ground.ts";
import { nextNumber } from "./schema.ts";

/** Names remembered at a time; the oldest give way, which only lets them be made again early. */
const DELETED_NAMES_MAX = 10_000;

export interface TopicRow {
  readonly incarnation: number;
  readonly name: string;
  /** Deleted for everyone, but not yet dropped by every queue object. */
  readonly deleting: boolean;
  readonly version: number;
  /** The version that every queue object has; 0 before the first. */
  readonly confirmed: number;
  /** The queues of that version. */
  readonly confirmedQueues: number;
  readonly settings: TopicSettings;
  readonly growths: readonly Growth[];
  readonly createdAt: number;
}

/** A group with the topic's version that brought it. */
interface GroupRow extends GroupRoute {
  readonly since: number;
}

const rowOf = (row: Row): TopicRow => ({
  incarnation: Number(row["incarnation"]),
  name: String(row["name"]),
  deleting: row["deleting"] === 1,
  version: Number(row["version"]),
  confirmed: Number(row["confirmed"]),
  confirmedQueues: Number(row["confirmed_queues"]),
  settings: JSON.parse(String(row["settings"])) as TopicSettings,
  growths: JSON.parse(String(row["growths"])) as Growth[],
  createdAt: Number(row["created_at"]),
});

const groupRowOf = (row: Row): GroupRow => ({
  name: String(row["name"]),
  number: Number(row["number"]),
  settings: JSON.parse(String(row["settings"])) as GroupSettings,
  paused: row["paused"] === 1,
  createdAt: Number(row["created_at"]),
  since: Number(row["since"]),
});

export const INCARNATION_BYTES = 5;

/**
 * Where a namespace's incarnations begin. By chance, so that an id leads nowhere in another namespace, nor in a broker that began
 * anew with empty storage.
 */
function firstIncarnation(bytes: Uint8Array): number {
  let number = 0;
  for (const byte of bytes) number = number * 256 + byte;
  return number + 1;
}

export class TopicStore {
  readonly #storage: Storage;
  readonly #namespace: string;
  readonly #randomBytes: (count: number) => Uint8Array;

  constructor(
    storage: Storage,
    { namespace, randomBytes }: Pick<Ports, "namespace" | "randomBytes">,
  ) {
    this.#storage = storage;
    this.#namespace = namespace;
    this.#randomBytes = randomBytes;
  }

  atomically<T>(body: () => T): T {
    return this.#storage.transactionSync(body);
  }

  byName(name: string): TopicRow | undefined {
    const [row] = this.#exec("SELECT * FROM topic WHERE name = ?", name);
    return row === undefined ? undefined : rowOf(row);
  }

  byIncarnation(incarnation: number): TopicRow | undefined {
    const [row] = this.#exec("SELECT * FROM topic WHERE incarnation = ?", incarnation);
    return row === undefined ? undefined : rowOf(row);
  }

  /** Topics that exist for everyone, oldest first. */
  list(after: number, limit: number): TopicRow[] {
    return this.#exec(
      "SELECT * FROM topic WHERE incarnation > ? AND deleting = 0 AND confirmed > 0 ORDER BY incarnation LIMIT ?",
      after,
      limit,
    ).map(rowOf);
  }

  all(): TopicRow[] {
    return this.#exec("SELECT * FROM topic ORDER BY incarnation").map(rowOf);
  }

  /** Names of topics that some queue object knows too little of. */
  unfinished(): string[] {
    const rows = this.#exec("SELECT name FROM topic WHERE deleting = 1 OR confirmed < version");
    return rows.map((row) => String(row["name"]));
  }

  groups(incarnation: number): GroupRow[] {
    return this.#exec(
      "SELECT * FROM topic_group WHERE incarnation = ? ORDER BY number",
      incarnation,
    ).map(groupRowOf);
  }

  /** What the settings of all groups but one take, in bytes of their JSON. */
  groupSettingsBytes(incarnation: number, exceptFor: string): number {
    const [row] = this.#exec(
      "SELECT sum(length(CAST(settings AS BLOB))) AS bytes FROM topic_group WHERE incarnation = ? AND name <> ?",
      incarnation,
      exceptFor,
    );
    return Number(row?.["bytes"] ?? 0);
  }

  routeOf(row: TopicRow): TopicRoute {
    return {
      namespace: this.#namespace,
      topic: row.name,
      incarnation: row.incarnation,
      version: row.version,
      settings: row.settings,
      createdAt: row.createdAt,
      growths: row.growths,
      groups: this.groups(row.incarnation).map(({ since: _since, ...group }) => group),
    };
  }

  insert(name: string, settings: TopicSettings, nowMs: number): TopicRow {
    const first = firstIncarnation(this.#randomBytes(INCARNATION_BYTES));
    const incarnation = nextNumber(this.#storage, "incarnation", first);
    this.#exec("DELETE FROM deleted_name WHERE name = ?", name);
    this.#exec(
      `INSERT INTO topic (incarnation, name, deleting, version, confirmed, confirmed_queues, next_group, settings, growths, created_at)
       VALUES (?, ?, 0, 1, 0, 0, 1, ?, '[]', ?)`,
      incarnation,
      name,
      JSON.stringify(settings),
      nowMs,
    );
    return this.#known(incarnation);
  }

  change(row: TopicRow, settings: TopicSettings, growths: readonly Growth[]): TopicRow {
    this.#exec(
      "UPDATE topic SET version = version + 1, settings = ?, growths = ? WHERE incarnation = ?",
      JSON.stringify(settings),
      JSON.stringify(growths),
      row.incarnation,
    );
    return this.#known(row.incarnation);
  }

  insertGroup(row: TopicRow, name: string, settings: GroupSettings, nowMs: number): TopicRow {
    const [numbered] = this.#exec(
      "UPDATE topic SET version = version + 1, next_group = next_group + 1 WHERE incarnation = ? RETURNING next_group",
      row.incarnation,
    );
    this.#exec(
      `INSERT INTO topic_group (incarnation, number, name, since, settings, paused, created_at)
       VALUES (?, ?, ?, ?, ?, 0, ?)`,
      row.incarnation,
      Number(numbered?.["next_group"]) - 1,
      name,
      row.version + 1,
      JSON.stringify(settings),
      nowMs,
    );
    return this.#known(row.incarnation);
  }

  changeGroup(
    row: TopicRow,
    group: GroupRoute,
    to: { readonly settings: GroupSettings; readonly paused: boolean },
  ): TopicRow {
    this.#exec(
      "UPDATE topic_group SET settings = ?, paused = ? WHERE incarnation = ? AND number = ?",
      JSON.stringify(to.settings),
      to.paused ? 1 : 0,
      row.incarnation,
      group.number,
    );
    return this.#nextVersion(row);
  }

  deleteGroup(row: TopicRow, group: GroupRoute): TopicRow {
    this.#exec(
      "DELETE FROM topic_group WHERE incarnation = ? AND number = ?",
      row.incarnation,
      group.number,
    );
    return this.#nextVersion(row);
  }

  /** Every queue object has this version. */
  confirm(row: TopicRow): TopicRow {
    this.#exec(
      "UPDATE topic SET confirmed = ?, confirmed_queues = ? WHERE incarnation = ?",
      row.version,
      row.settings.queues,
      row.incarnation,
    );
    return this.#known(row.incarnation);
  }

  /** From here on the topic is gone for everyone; the row stays until its queue objects dropped it. */
  markDeleting(row: TopicRow, nowMs: number): TopicRow {
    this.#exec("UPDATE topic SET deleting = 1 WHERE incarnation = ?", row.incarnation);
    this.#exec("DELETE FROM topic_group WHERE incarnation = ?", row.incarnation);
    this.#rememberDeleted(row.name, nowMs);
    return this.#known(row.incarnation);
  }

  remove(row: TopicRow, nowMs: number): void {
    this.#exec("DELETE FROM topic_group WHERE incarnation = ?", row.incarnation);
    this.#exec("DELETE FROM topic WHERE incarnation = ?", row.incarnation);
    this.#rememberDeleted(row.name, nowMs);
  }

  /** Whether a topic of this name was deleted within the last minute. */
  wasDeleted(name: string, nowMs: number): boolean {
    const [row] = this.#exec(
      "SELECT 1 AS one FROM deleted_name WHERE name = ? AND deleted_at > ?",
      name,
      nowMs - LIMITS.deletedNameMs,
    );
    return row !== undefined;
  }

  /** Forgets names whose minute is over; answers when the next one's is. */
  forgetDeleted(nowMs: number): number | undefined {
    this.#exec("DELETE FROM deleted_name WHERE deleted_at <= ?", nowMs - LIMITS.deletedNameMs);
    const [row] = this.#exec("SELECT min(deleted_at) AS first FROM deleted_name");
    const first = row?.["first"];
    return typeof first === "number" ? first + LIMITS.deletedNameMs : undefined;
  }

  #rememberDeleted(name: string, nowMs: number): void {
    this.#exec(
      "INSERT INTO deleted_name (name, deleted_at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET deleted_at = excluded.deleted_at",
      name,
      nowMs,
    );
    this.#exec(
      "DELETE FROM deleted_name WHERE name IN (SELECT name FROM deleted_name ORDER BY deleted_at DESC, name LIMIT -1 OFFSET ?)",
      DELETED_NAMES_MAX,
    );
  }

  #nextVersion(row: TopicRow): TopicRow {
    this.#exec("UPDATE topic SET version = version + 1 WHERE incarnation = ?", row.incarnation);
    return this.#known(row.incarnation);
  }

  #known(incarnation: number): TopicRow {
    const row = this.byIncarnation(incarnation);
    if (row === undefined) throw new Error(`no row of topic ${incarnation}`);
    return row;
  }

  #exec(query: string, ...bindings: (string | number)[]): Row[] {
    return [...this.#storage.sql.exec(query, ...bindings)];
  }
}
