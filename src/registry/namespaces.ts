/**
 * Which namespaces there are. The registry of `default` keeps the list; every other one has itself entered there before it
 * makes its first topic, producer group or key. So the watchdog finds them all, and a key of a namespace that nobody made
 * is refused without touching an object of that name.
 */
import { DEFAULT_NAMESPACE } from "../protocol/rpc.ts";
import { accept, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Page } from "../protocol/rpc.ts";
import type { Ports, Storage } from "./ground.ts";
import { pageOf, type PageQuery } from "../core/pages.ts";
import { nextNumber } from "./schema.ts";

const ENTERED = "entered";

export class Namespaces {
  readonly #storage: Storage;
  readonly #ports: Ports;
  #isEntered: boolean;

  constructor(storage: Storage, ports: Ports) {
    this.#storage = storage;
    this.#ports = ports;
    this.#isEntered = ports.namespace === DEFAULT_NAMESPACE || this.#wasEntered();
  }

  /** Has this namespace entered in the list, once in its life. A refusal says that it is not there yet. */
  async enter(): Promise<Refusal | undefined> {
    if (this.#isEntered) return undefined;
    const outcome = await this.#ports.enterNamespace();
    if (!outcome.ok) return outcome;
    this.#storage.transactionSync(() => {
      if (!this.#wasEntered()) nextNumber(this.#storage, ENTERED);
    });
    this.#isEntered = true;
    return undefined;
  }

  /** At `default` only. */
  add(name: string): Outcome<{ known: true }> {
    if (!this.knows(name)) {
      this.#storage.transactionSync(() =>
        this.#storage.sql.exec(
          "INSERT INTO namespace (id, name, since) VALUES (?, ?, ?)",
          nextNumber(this.#storage, "namespace"),
          name,
          this.#ports.clock.nowMs(),
        ),
      );
    }
    return accept({ known: true });
  }

  knows(name: string): boolean {
    return [...this.#storage.sql.exec("SELECT 1 FROM namespace WHERE name = ?", name)].length > 0;
  }

  /** Oldest first, without `default`. */
  list(query: PageQuery): Outcome<Page<string>> {
    return pageOf("n", query, (after, limit) =>
      Array.from(
        this.#storage.sql.exec(
          "SELECT id, name FROM namespace WHERE id > ? ORDER BY id LIMIT ?",
          after,
          limit,
        ),
        (row) => [Number(row["id"]), String(row["name"])] as const,
      ),
    );
  }

  #wasEntered(): boolean {
    const rows = this.#storage.sql.exec("SELECT 1 FROM counter WHERE name = ?", ENTERED);
    return [...rows].length > 0;
  }
}
