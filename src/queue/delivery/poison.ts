/**
 * Messages of one group that ran out of attempts: they become dead letters, or, with `onPoison: "block"`, hold their place
 * until somebody decides. It says nothing of when an attempt has failed: group.ts does.
 *
 * [D4] With onPoison "block" nothing passes a message that ran out of attempts, and it is not delivered again, before
 * somebody decides.
 */
import type { GroupMemory } from "./memory.ts";
import type { HeldGroup } from "./order.ts";
import type { Flight } from "./page.ts";

/** With so many poisoned messages at one queue the group stops there: each is a row, and a line in memory. */
const HELD_MAX = 10_000;

/** What holds a message group, or, with onPoison "block", only itself. */
export type Held = Omit<HeldGroup, "messageGroup">;

export class Poison {
  readonly #memory: GroupMemory;

  constructor(memory: GroupMemory) {
    this.#memory = memory;
  }

  get #ports(): GroupMemory["ports"] {
    return this.#memory.ports;
  }

  get #number(): number {
    return this.#memory.number;
  }

  /** Was this its last attempt? */
  isOut(flight: Flight): boolean {
    return flight.attempt >= this.#memory.route.settings.maxAttempts;
  }

  get isTooMuch(): boolean {
    return this.#ports.deadLetters.heldCount(this.#number) >= HELD_MAX;
  }

  /** Its last attempt has failed. */
  failed(flight: Flight, reason: string, nowMs: number): void {
    if (this.#memory.route.settings.onPoison === "block") this.#hold(flight, reason, nowMs);
    else this.bury(flight, reason, nowMs);
  }

  /** [D4] */
  #hold(flight: Flight, reason: string, nowMs: number): void {
    const { offset } = flight;
    this.#memory.visible.delete(offset);
    const known = this.#memory.redriven(offset);
    const read = this.#memory.content(offset);
    if (known !== undefined) this.#ports.deadLetters.holdAgain(this.#number, known, reason, nowMs);
    else if (read === undefined) return this.bury(flight, reason, nowMs);
    else {
      this.#ports.deadLetters.hold(this.#number, flight, { ...read, reason, nowMs });
      this.#memory.state.done(offset, 1, "buried");
    }
    this.#memory.waits(offset, "held");
    this.#ports.held(offset, reason);
  }

  /** It is a dead letter now, and what waits behind it goes on. */
  bury(flight: Flight, reason: string, nowMs: number): void {
    const { offset } = flight;
    const { deadLetters } = this.#ports;
    const read = this.#memory.content(offset);
    this.#memory.visible.delete(offset);
    if (this.#memory.redriven(offset) !== undefined)
      deadLetters.buryAgain(this.#number, flight, reason, nowMs);
    else {
      if (read !== undefined) deadLetters.add(this.#number, flight, { ...read, reason, nowMs });
      this.#memory.state.done(offset, 1, "buried");
    }
    this.#ports.dead(offset, reason);
    this.#memory.unlock(offset);
  }

  // ------------------------------------------------------------ what is held

  /** Message groups of which nothing may go, and every held message; in no order. */
  blocked(): Held[] {
    const found: Held[] = [...this.#memory.locks.held()];
    const holders = new Set(found.map(({ offset }) => offset));
    for (const { offset, held } of this.#ports.deadLetters.redriven(this.#number))
      if (held && !holders.has(offset)) found.push({ offset, by: "held", waiting: 0, more: false });
    return found;
  }

  /** The held message is delivered again, in its place, after so many attempts. False when it is not held. */
  retry(offset: number, nowMs: number, attempt = 0): boolean {
    const flight = this.#memory.redriven(offset);
    if (flight?.held !== true) return false;
    this.#ports.deadLetters.free(this.#number, flight, attempt, nowMs);
    this.#memory.comesDue(offset);
    return true;
  }

  /** The held message becomes a dead letter, and what waits behind it goes on. False when it is not held. */
  skip(offset: number): boolean {
    if (!this.#memory.isHeld(offset)) return false;
    const { deadLetters } = this.#ports;
    deadLetters.giveUp(this.#number, offset);
    this.#ports.dead(offset, deadLetters.reasonOf(this.#number, offset));
    this.#memory.unlock(offset);
    return true;
  }

  /** Settings that would not have held a message free it: as a dead letter, or for the attempts that it has now. */
  review(nowMs: number): void {
    const { settings } = this.#memory.route;
    const { deadLetters } = this.#ports;
    if (deadLetters.heldCount(this.#number) === 0) return;
    for (const { offset, held, attempt } of deadLetters.redriven(this.#number)) {
      if (!held) continue;
      if (settings.onPoison !== "block") this.skip(offset);
      else if (attempt < settings.maxAttempts) this.retry(offset, nowMs, attempt);
    }
  }
}
