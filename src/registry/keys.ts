/**
 * Keys: their rights, and the SHA-256 of their secret. The secret's text leaves once, in the answer that made it, and is
 * never stored; whether a key that is shown is the right one is decided by who asks for its hash.
 */
import { isNamespace, keyText } from "../platform/key-text.ts";
import { sha256 } from "../platform/constant-time.ts";
import { base64url } from "../platform/random.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { KeyRecord, Page } from "../protocol/rpc.ts";
import type { Changes } from "./changes.ts";
import { pageOf, type PageQuery } from "../core/pages.ts";
import type { Ports, Row, Storage } from "./ground.ts";
import { nextNumber } from "./schema.ts";

const SECRET_BYTES = 32;

type Rights = Pick<KeyRecord, "scopes" | "topics" | "expiresAt" | "limits">;

export class Keys {
  readonly #storage: Storage;
  readonly #changes: Changes;
  readonly #ports: Ports;

  constructor(storage: Storage, changes: Changes, ports: Ports) {
    this.#storage = storage;
    this.#changes = changes;
    this.#ports = ports;
  }

  /** A known name gets new rights and a new text; the old text is worth nothing from then on. */
  async put(name: string, rights: Rights): Promise<Outcome<{ record: KeyRecord; key: string }>> {
    const { namespace } = this.#ports;
    if (!isNamespace(namespace)) {
      const detail = "A namespace with keys is made of 1 to 63 of a-z 0-9 -";
      return refuse("invalid_request", detail, { field: "namespace", actual: namespace });
    }
    const secret = base64url(this.#ports.randomBytes(SECRET_BYTES));
    const hash = sha256(secret);
    const record = this.#storage.transactionSync(() => {
      this.#changes.add("key.updated", { key: name });
      return this.#write(name, rights, hash);
    });
    return accept({ record, key: keyText({ namespace, name, secret }) });
  }

  get(name: string): Outcome<KeyRecord> {
    const row = this.#row(name);
    return row === undefined ? missing(name) : accept(this.#recordOf(row));
  }

  hash(name: string): Outcome<{ record: KeyRecord; hash: Uint8Array }> {
    const row = this.#row(name);
    if (row === undefined) return missing(name);
    const hash = row["hash"];
    if (!(hash instanceof ArrayBuffer) && !(hash instanceof Uint8Array)) {
      throw new Error("a key's hash is no blob");
    }
    return accept({ record: this.#recordOf(row), hash: new Uint8Array(hash) });
  }

  list(query: PageQuery): Outcome<Page<KeyRecord>> {
    return pageOf("k", query, (after, limit) =>
      Array.from(
        this.#storage.sql.exec(
          "SELECT * FROM access_key WHERE id > ? ORDER BY id LIMIT ?",
          after,
          limit,
        ),
        (row) => [Number(row["id"]), this.#recordOf(row)] as const,
      ),
    );
  }

  delete(name: string): Outcome<{ deleted: true }> {
    if (this.#row(name) === undefined) return missing(name);
    this.#storage.transactionSync(() => {
      this.#changes.add("key.deleted", { key: name });
      this.#storage.sql.exec("DELETE FROM access_key WHERE name = ?", name);
    });
    return accept({ deleted: true });
  }

  #write(name: string, rights: Rights, hash: Uint8Array): KeyRecord {
    const text = JSON.stringify(rights);
    if (this.#row(name) === undefined) {
      this.#storage.sql.exec(
        "INSERT INTO access_key (id, name, rights, hash, created_at) VALUES (?, ?, ?, ?, ?)",
        nextNumber(this.#storage, "key"),
        name,
        text,
        hash,
        this.#ports.clock.nowMs(),
      );
    } else {
      this.#storage.sql.exec(
        "UPDATE access_key SET rights = ?, hash = ? WHERE name = ?",
        text,
        hash,
        name,
      );
    }
    const row = this.#row(name);
    if (row === undefined) throw new Error("a key that was written is not there");
    return this.#recordOf(row);
  }

  #recordOf(row: Row): KeyRecord {
    const { scopes, topics, expiresAt, limits } = JSON.parse(String(row["rights"])) as Rights;
    return {
      name: String(row["name"]),
      namespace: this.#ports.namespace,
      scopes,
      ...(topics === undefined ? {} : { topics }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(limits === undefined ? {} : { limits }),
      createdAt: Number(row["created_at"]),
    };
  }

  #row(name: string): Row | undefined {
    const [row] = this.#storage.sql.exec("SELECT * FROM access_key WHERE name = ?", name);
    return row;
  }
}

export const missing = (name: string): Refusal =>
  refuse("key_not_found", `No key is called ${name}`, { key: name });
