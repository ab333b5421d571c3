/**
 * What the queues of one process or isolate hold of blocks, together: they share its memory. What was used longest ago goes
 * first, whosever it is; blocks on their way count, too. It counts, and holds no block. It makes nobody wait: one queue's call
 * must not be answered from another's.
 */

/** Of 128 MB that an isolate has. */
const BYTES_MAX = 24 * 1024 * 1024;
/** A call is over long before; one that is not has died with its object. */
const CALL_MS_MAX = 60_000;

interface Held {
  readonly bytes: number;
  readonly drop: () => void;
}

export class BlockMemory {
  readonly #bytesMax: number;
  /** Used last, last. */
  readonly #held = new Map<object, Held>();
  #bytes = 0;
  /** By what they were asked for as, in order. */
  readonly #asked = new Map<object, { readonly bytes: number; readonly at: number }>();
  #onTheWay = 0;

  constructor(bytesMax: number = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Held, and on the way. */
  get bytes(): number {
    return this.#bytes + this.#onTheWay;
  }

  /** A block is held from now on; `drop` is called when it has to go. */
  hold(block: object, bytes: number, drop: () => void): void {
    this.#held.set(block, { bytes, drop });
    this.#bytes += bytes;
    this.#shrink(block);
  }

  used(block: object): void {
    const held = this.#held.get(block);
    if (held === undefined) return;
    this.#held.delete(block);
    this.#held.set(block, held);
  }

  /** It is held no more. */
  release(block: object): void {
    this.#bytes -= this.#held.get(block)?.bytes ?? 0;
    this.#held.delete(block);
  }

  /** May so much be asked for now? Then it is on its way until it has `arrived`, whatever is answered. One alone always may. */
  ask(call: object, bytes: number, nowMs: number): boolean {
    for (const [dead, { at }] of this.#asked) {
      if (at + CALL_MS_MAX > nowMs) break;
      this.arrived(dead);
    }
    if (this.#asked.size > 0 && this.#onTheWay + bytes > this.#bytesMax / 2) return false;
    this.#asked.set(call, { bytes, at: nowMs });
    this.#onTheWay += bytes;
    this.#shrink();
    return true;
  }

  arrived(call: object): void {
    this.#onTheWay -= this.#asked.get(call)?.bytes ?? 0;
    this.#asked.delete(call);
  }

  #shrink(newest?: object): void {
    for (const [block, { drop }] of this.#held) {
      if (this.bytes <= this.#bytesMax || block === newest) return;
      this.release(block);
      drop();
    }
  }
}
