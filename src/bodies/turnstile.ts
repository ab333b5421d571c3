/**
 * Bounds what is held in memory at a time: whoever does not fit waits for its turn, in order, but not for long. One alone
 * always fits. It counts bytes and holds none. A request whose client goes away may end anywhere, without a word and with its
 * timers: what it held or waited for is forgotten after a while, by whoever comes next.
 */
import type { Clock } from "../platform/clock.ts";

/** Longer than a request holds what it has fetched; who may hold it for longer says so. */
const HELD_MS_MAX = 60_000;

/** Who is in, or waits: since when, and how much. */
interface Place {
  readonly bytes: number;
  readonly sinceMs: number;
  readonly heldMsMax: number;
}

interface Waiter extends Place {
  readonly enter: (leave: Leave | undefined) => void;
}

/** To be called once; twice does no harm. */
export type Leave = () => void;

export class Turnstile {
  readonly #bytesMax: number;
  readonly #waitMsMax: number;
  readonly #clock: Clock;
  readonly #waiting: Waiter[] = [];
  readonly #in = new Set<Place>();
  #bytes = 0;

  constructor(clock: Clock, bounds: { readonly bytesMax: number; readonly waitMsMax: number }) {
    this.#clock = clock;
    this.#bytesMax = bounds.bytesMax;
    this.#waitMsMax = bounds.waitMsMax;
  }

  /** How to leave, or undefined for whoever is not let in. It counts until it leaves, or for `heldMsMax`. */
  enter(bytes: number, heldMsMax: number = HELD_MS_MAX): Promise<Leave | undefined> {
    const sinceMs = this.#clock.nowMs();
    this.#forgetGone(sinceMs);
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      return Promise.resolve(this.#letIn({ bytes, sinceMs, heldMsMax }));
    }
    return new Promise((resolve) => {
      const waiter: Waiter = {
        bytes,
        sinceMs,
        heldMsMax,
        enter: (leave) => {
          cancel();
          resolve(leave);
        },
      };
      const cancel = this.#clock.after(this.#waitMsMax, () => {
        const place = this.#waiting.indexOf(waiter);
        if (place >= 0) this.#waiting.splice(place, 1);
        resolve(undefined);
        this.#admit();
      });
      this.#waiting.push(waiter);
    });
  }

  #letIn(place: Place): Leave {
    this.#in.add(place);
    this.#bytes += place.bytes;
    return () => {
      this.#out(place);
      this.#admit();
    };
  }

  #out(place: Place): void {
    if (this.#in.delete(place)) this.#bytes -= place.bytes;
  }

  #forgetGone(nowMs: number): void {
    for (const place of this.#in) {
      if (nowMs - place.sinceMs > place.heldMsMax) this.#out(place);
    }
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      // Its own timer would have taken it away.
      if (nowMs - next.sinceMs <= 2 * this.#waitMsMax) break;
      this.#waiting.shift();
    }
    this.#admit();
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#fits(next.bytes)) return;
      this.#waiting.shift();
      const { bytes, heldMsMax } = next;
      next.enter(this.#letIn({ bytes, heldMsMax, sinceMs: this.#clock.nowMs() }));
    }
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }
}
