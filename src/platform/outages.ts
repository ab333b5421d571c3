/**
 * What is logged of objects that cannot be reached: the first failure, then a line for each now and then that counts those
 * held back, and one when it answers again. One that comes and goes is logged no more often. In memory only, and bounded.
 */
import type { Log } from "./log.ts";

/** An object gets a line about its failures this often at most. */
const EVERY_MS = 10_000;
/** Objects remembered at a time; past that the one that failed first is forgotten. */
const OBJECTS_MAX = 1_000;

interface Outage {
  sinceMs: number;
  loggedAt: number;
  heldBack: number;
  isOut: boolean;
}

export interface Failure {
  readonly message: string | undefined;
  readonly attempts: number;
  readonly overloaded: boolean;
}

export class Outages {
  readonly #outages = new Map<string | undefined, Outage>();

  failed(log: Log, object: string | undefined, failure: Failure, nowMs: number): void {
    const outage = this.#outages.get(object) ?? this.#enter(object, nowMs);
    if (!outage.isOut) outage.sinceMs = nowMs;
    outage.isOut = true;
    if (nowMs - outage.loggedAt < EVERY_MS) {
      outage.heldBack++;
      return;
    }
    const { heldBack } = outage;
    log.error("object.unreachable", { object, ...failure, ...(heldBack > 0 ? { heldBack } : {}) });
    outage.loggedAt = nowMs;
    outage.heldBack = 0;
  }

  /** An answer, whatever it says. */
  answered(log: Log, object: string | undefined, nowMs: number): void {
    if (this.#outages.size === 0) return;
    const outage = this.#outages.get(object);
    if (outage === undefined) return;
    // One of which no failure was logged since it was there last needs no end either.
    if (outage.isOut && outage.loggedAt >= outage.sinceMs) {
      const { sinceMs, heldBack } = outage;
      log.info("object.reachable", { object, unreachableMs: nowMs - sinceMs, heldBack });
      outage.heldBack = 0;
    }
    outage.isOut = false;
    if (nowMs - outage.loggedAt >= EVERY_MS) this.#outages.delete(object);
  }

  #enter(object: string | undefined, nowMs: number): Outage {
    if (this.#outages.size >= OBJECTS_MAX)
      for (const oldest of this.#outages.keys()) {
        this.#outages.delete(oldest);
        break;
      }
    const outage = { sinceMs: nowMs, loggedAt: -Infinity, heldBack: 0, isOut: false };
    this.#outages.set(object, outage);
    return outage;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#outages.size;
  }
}
