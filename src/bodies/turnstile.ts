/**
 * Bounds what is held in memory at a time: whoever does not fit waits for its turn, in order, but not for long. One alone
 * always fits. It counts bytes and holds none.
 */
import type { Clock } from "../platform/clock.ts";

interface Waiter {
  readonly bytes: number;
  readonly enter: (isIn: boolean) => void;
}

export class Turnstile {
  readonly #bytesMax: number;
  readonly #waitMsMax: number;
  readonly #clock: Clock;
  readonly #waiting: Waiter[] = [];
  #bytes = 0;

  constructor(clock: Clock, bounds: { readonly bytesMax: number; readonly waitMsMax: number }) {
    this.#clock = clock;
    this.#bytesMax = bounds.bytesMax;
    this.#waitMsMax = bounds.waitMsMax;
  }

  /** Whether it is in; then it must leave. */
  enter(bytes: number): Promise<boolean> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#bytes += bytes;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const waiter: Waiter = {
        bytes,
        enter: (isIn) => {
          cancel();
          resolve(isIn);
        },
      };
      const cancel = this.#clock.after(this.#waitMsMax, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        resolve(false);
        this.#admit();
      });
      this.#waiting.push(waiter);
    });
  }

  leave(bytes: number): void {
    this.#bytes -= bytes;
    this.#admit();
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#fits(next.bytes)) return;
      this.#waiting.shift();
      this.#bytes += next.bytes;
      next.enter(true);
    }
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }
}
