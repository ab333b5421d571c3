/**
 * What changed in the namespace, numbered 1, 2, 3 …: the last thousand changes in rows, and who waits for the next.
 * A change is written in the transaction of what it tells of. A reader that fell behind the ring is told so, never
 * silently left with a gap.
 */
import type { Clock } from "../platform/clock.ts";
import { accept, refuse, type Facts, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { ChangeEvent } from "../protocol/rpc.ts";
import type { Storage } from "./ground.ts";

const EVENTS_MAX = 1_000;

interface Changed {
  readonly events: readonly ChangeEvent[];
  /** Go on after this one. */
  readonly last: number;
  /** Changes between `after` and the first event are lost: read everything again. */
  readonly gap: boolean;
}

export class Changes {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #waitersMax: number;
  readonly #waiters = new Set<() => void>();

  constructor(storage: Storage, clock: Clock, waitersMax: number = LIMITS.waitersMax) {
    this.#storage = storage;
    this.#clock = clock;
    this.#waitersMax = waitersMax;
  }

  /** Writes a change; call it inside the transaction that makes it. Waiters read on once that is over. */
  add(type: ChangeEvent["type"], data: Facts): void {
    const sequence = this.#last() + 1;
    this.#storage.sql.exec(
      "INSERT INTO change (sequence, at, type, data) VALUES (?, ?, ?, ?)",
      sequence,
      this.#clock.nowMs(),
      type,
      JSON.stringify(data),
    );
    this.#storage.sql.exec("DELETE FROM change WHERE sequence <= ?", sequence - EVENTS_MAX);
    for (const wake of this.#waiters) wake();
  }

  /** Changes after `after`; when there are none, the first that come within `waitMs`. -1: from now on. */
  async read(after: number, waitMs: number): Promise<Outcome<Changed>> {
    const from = after < 0 ? this.#last() : after;
    const found = this.#after(from);
    if (found.events.length > 0 || found.gap || waitMs <= 0) return accept(found);
    if (this.#waiters.size >= this.#waitersMax) {
      const facts = { limit: this.#waitersMax, actual: this.#waiters.size + 1 };
      return refuse("too_many_waiters", "Too many wait for changes", facts);
    }
    await this.#wait(Math.min(waitMs, LIMITS.waitMsMax));
    return accept(this.#after(from));
  }

  async #wait(waitMs: number): Promise<void> {
    const woken = Promise.withResolvers<void>();
    const wake = (): void => woken.resolve();
    this.#waiters.add(wake);
    const cancel = this.#clock.after(waitMs, wake);
    try {
      await woken.promise;
    } finally {
      cancel();
      this.#waiters.delete(wake);
    }
  }

  #last(): number {
    const [row] = this.#storage.sql.exec("SELECT max(sequence) AS last FROM change");
    return Number(row?.["last"] ?? 0);
  }

  #after(after: number): Changed {
    const last = this.#last();
    // A number from the future is of another life of this namespace.
    const from = after > last ? 0 : after;
    const gap = after > last || after < last - EVENTS_MAX;
    const rows = this.#storage.sql.exec(
      "SELECT sequence, at, type, data FROM change WHERE sequence > ? ORDER BY sequence",
      from,
    );
    const events = Array.from(rows, (row) => ({
      sequence: Number(row["sequence"]),
      at: Number(row["at"]),
      type: String(row["type"]) as ChangeEvent["type"],
      data: JSON.parse(String(row["data"])) as Facts,
    }));
    return { events, last, gap };
  }
}
