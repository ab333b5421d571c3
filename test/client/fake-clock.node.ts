/** A clock that the test turns. Its timers run only when it is advanced, in the order of their time. */
import type { Clock } from "../../src/client/clock.ts";

const TURNS = 12;

export class FakeClock implements Clock {
  nowMs = 1_800_000_000_000;
  chance = 0;
  readonly #timers = new Set<{ readonly dueAt: number; readonly call: () => void }>();

  readonly now = (): number => this.nowMs;

  readonly random = (): number => this.chance;

  readonly after = (delayMs: number, call: () => void): (() => void) => {
    const timer = { dueAt: this.nowMs + delayMs, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and everything happen that happens meanwhile. */
  async advance(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    await turns();
    for (;;) {
      const [next] = [...this.#timers].toSorted((a, b) => a.dueAt - b.dueAt);
      if (next === undefined || next.dueAt > until) break;
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.dueAt);
      next.call();
      await turns();
    }
    this.nowMs = until;
  }
}

/** Lets everything happen that waits for nothing but its turn. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
