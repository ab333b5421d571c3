/** Time that moves only from one timer to the next, so that a count comes out the same on every machine. */
import type { Clock } from "../../src/platform/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

const isBefore = (one: Timer, other: Timer): boolean =>
  one.atMs === other.atMs ? one.order < other.order : one.atMs < other.atMs;

export class EventClock implements Clock {
  /** A heap, earliest first. */
  readonly #timers: Timer[] = [];
  #nowMs = 1_800_000_000_000;
  #order = 0;

  /** Whole milliseconds, as a Worker's clock; timers keep their fractions. */
  nowMs(): number {
    return Math.floor(this.#nowMs);
  }

  after(delayMs: number, run: () => void): () => void {
    const atMs = this.#nowMs + delayMs;
    const timer: Timer = { atMs, order: this.#order++, run, isCancelled: false };
    let at = this.#timers.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#timers[parent];
      if (above === undefined || isBefore(above, timer)) break;
      this.#timers[at] = above;
      at = parent;
    }
    this.#timers[at] = timer;
    return () => void (timer.isCancelled = true);
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /**
   * Runs until the promise is fulfilled; between two timers everything that can go on does: a tick comes when no microtask
   * is left. It costs no turn of the event loop, so that nothing that waits for a thread, as real digests do, goes on.
   */
  async runUntil(promise: Promise<unknown>): Promise<void> {
    const end = { isReached: false };
    const now = Promise.resolve();
    const reached = promise.finally(() => void (end.isReached = true));
    await new Promise<void>((resolve, reject) => {
      const step = (): void => {
        if (end.isReached) return resolve();
        const timer = this.#take();
        if (timer === undefined) return reject(new Error("everything waits, and no timer is left"));
        this.#nowMs = Math.max(this.#nowMs, timer.atMs);
        timer.run();
        // As a microtask of its own: ticks that stand in line go before microtasks. `queueMicrotask` costs more.
        void now.then(toStep);
      };
      const toStep = (): void => process.nextTick(step);
      toStep();
    });
    await reached;
  }

  #take(): Timer | undefined {
    for (;;) {
      const first = this.#pop();
      if (first?.isCancelled !== true) return first;
    }
  }

  #pop(): Timer | undefined {
    const first = this.#timers[0];
    const last = this.#timers.pop();
    if (first === undefined || last === undefined || this.#timers.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = this.#timers[child];
      const right = this.#timers[child + 1];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child++;
      const least = this.#timers[child];
      if (least === undefined || !isBefore(least, last)) break;
      this.#timers[at] = least;
      at = child;
    }
    this.#timers[at] = last;
    return first;
  }
}

/** Random numbers from 0 to below 1 that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
