/**
 * What the queues of one process or isolate hold of blocks, together: they share its memory. What was used longest ago goes
 * first, whosever it is; blocks on their way count, too. It counts, and keeps no block: those of a queue that was evicted go with it. It makes nobody wait: one queue's call
 * must not be answered from another's.
 */

/** Of 128 MB that an isolate has. */
const BYTES_MAX = 24 * 1024 * 1024;
/** A call is over long before; one that is not has died with its object. */
const CALL_MS_MAX = 60_000;

/** A block in somebody's memory. */
export interface HeldBlock {
  /** It has to go. */
  readonly drop: () => void;
}

interface Held {
  readonly bytes: number;
  /** A queue that is gone is not kept by what it held. */
  readonly block: WeakRef<HeldBlock>;
}

export class BlockMemory {
  readonly #bytesMax: number;
  /** Used last, last. */
  readonly #held = new Set<Held>();
  readonly #ofBlock = new WeakMap<HeldBlock, Held>();
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

  /** A block is held from now on, until it is released, dropped, or gone with its queue. */
  hold(block: HeldBlock, bytes: number): void {
    const held = { bytes, block: new WeakRef(block) };
    this.#held.add(held);
    this.#ofBlock.set(block, held);
    this.#bytes += bytes;
    this.#shrink(held);
  }

  used(block: HeldBlock): void {
    const held = this.#ofBlock.get(block);
    if (held !== undefined && this.#held.delete(held)) this.#held.add(held);
  }

  /** It is held no more. */
  release(block: HeldBlock): void {
    const held = this.#ofBlock.get(block);
    if (held !== undefined) this.#forget(held);
  }

  #forget(held: Held): void {
    if (this.#held.delete(held)) this.#bytes -= held.bytes;
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

  #shrink(newest?: Held): void {
    if (this.bytes <= this.#bytesMax) return;
    for (const held of this.#held) if (held.block.deref() === undefined) this.#forget(held);
    for (const held of this.#held) {
      if (this.bytes <= this.#bytesMax || held === newest) return;
      this.#forget(held);
      held.block.deref()?.drop();
    }
  }
}
