/**
 * What is logged of objects that cannot be reached: the first failure, then a line for each now and then that counts those
 * held back, and one when it answers again. One that comes and goes is logged no more often. In memory only, and bounded, as
 * are the lines: past so many objects at a time further ones are only counted.
 */
import type { Log } from "./log.ts";

/** An object gets a line about its failures this often at most. */
const EVERY_MS = 10_000;
/** Objects remembered at a time; past that the one whose line is the oldest is forgotten, or the newcomer only counted. */
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
  /** The one whose line is the oldest first. */
  readonly #outages = new Map<string | undefined, Outage>();
  /** Failures of objects that there was no place for, since the last line. */
  #others = 0;

  failed(log: Log, object: string | undefined, failure: Failure, nowMs: number): void {
    const outage = this.#outages.get(object) ?? this.#enter(object, nowMs);
    if (outage === undefined) {
      this.#others++;
      return;
    }
    if (!outage.isOut) outage.sinceMs = nowMs;
    outage.isOut = true;
    if (nowMs - outage.loggedAt < EVERY_MS) {
      outage.heldBack++;
      return;
    }
    const { heldBack } = outage;
    const others = this.#others;
    log.error("object.unreachable", {
      object,
      ...failure,
      ...(heldBack > 0 ? { heldBack } : {}),
      ...(others > 0 ? { ofOthers: others } : {}),
    });
    outage.loggedAt = nowMs;
    outage.heldBack = 0;
    this.#others = 0;
    this.#outages.delete(object);
    this.#outages.set(object, outage);
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

  /** Undefined when there is no place: all that are remembered had their lines a moment ago. */
  #enter(object: string | undefined, nowMs: number): Outage | undefined {
    if (this.#outages.size >= OBJECTS_MAX)
      for (const [oldest, { loggedAt }] of this.#outages) {
        if (nowMs - loggedAt < EVERY_MS) return undefined;
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
