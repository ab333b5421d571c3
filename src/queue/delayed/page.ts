/**
 * A page of the fates of delayed messages: 4,096 positions of the delayed log. What still waits has no fate; a waiting
 * one may have a new time. State and layout only.
 */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import type { Page } from "../storage/journal.ts";

export const DELAYED_PAGE = 4_096;
const VERSION = 3;

/** What became of a delayed message. */
export type Fate =
  | { readonly is: "moved"; readonly offset: number }
  | { readonly is: "recalled" }
  /** Sent on to the new queue of its message group; `to` once it arrived there, unless that queue has forgotten where. */
  | { readonly is: "sentOn"; readonly to?: { readonly queue: number; readonly offset: number } };

/** Fates as numbers, in memory and on disk: nothing yet, then these, then 3 and the offset. */
const WAITING = 0;
const RECALLED = 1;
const SENT_ON = 2;
const MOVED = 3;

export function fateCode(fate: Fate): number {
  if (fate.is === "moved") return fate.offset + MOVED;
  return fate.is === "recalled" ? RECALLED : SENT_ON;
}

export class DelayedPage implements Page {
  readonly name: string;
  readonly number: number;
  savedSeq = 0;
  dirtySeq = 0;
  /** When the newest fate came. */
  newestAt = 0;
  readonly retimed = new Map<number, number>();
  readonly #codes = new Float64Array(DELAYED_PAGE);
  /** Undefined: nobody knows where. */
  readonly #arrived = new Map<number, { queue: number; offset: number } | undefined>();
  #settled = 0;
  #sentOn = 0;

  constructor(number: number) {
    this.number = number;
    this.name = `d:${number}`;
  }

  get #base(): number {
    return this.number * DELAYED_PAGE;
  }

  /** Nothing of it can change any more. */
  get complete(): boolean {
    return this.#settled === DELAYED_PAGE && this.#arrived.size === this.#sentOn;
  }

  fate(position: number): Fate | undefined {
    const code = this.#codes[position - this.#base] ?? WAITING;
    if (code === WAITING) return undefined;
    if (code === RECALLED) return { is: "recalled" };
    if (code >= MOVED) return { is: "moved", offset: code - MOVED };
    const to = this.#arrived.get(position);
    return to === undefined ? { is: "sentOn" } : { is: "sentOn", to };
  }

  settle(position: number, code: number, atMs: number): void {
    this.#codes[position - this.#base] = code;
    this.#settled++;
    if (code === SENT_ON) this.#sentOn++;
    this.newestAt = Math.max(this.newestAt, atMs);
    this.retimed.delete(position);
  }

  arrive(position: number, queue: number, offset: number | undefined): void {
    this.#arrived.set(position, offset === undefined ? undefined : { queue, offset });
  }

  encode(writer: ByteWriter): void {
    writer.byte(VERSION).uint(this.newestAt).uint(this.#settled);
    for (const [index, code] of this.#codes.entries())
      if (code !== WAITING) writer.uint(index).uint(code);
    writer.uint(this.#arrived.size);
    for (const [position, to] of this.#arrived) {
      writer.uint(position - this.#base);
      writeOffset(writer.uint(to?.queue ?? 0), to?.offset);
    }
    writer.uint(this.retimed.size);
    for (const [position, dueAt] of this.retimed) writer.uint(position - this.#base).uint(dueAt);
  }

  static decode(number: number, data: Uint8Array, seq: number): DelayedPage {
    const page = new DelayedPage(number);
    page.savedSeq = seq;
    const base = number * DELAYED_PAGE;
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown delayed page version");
    const newestAt = reader.uint();
    for (let left = reader.uint(); left > 0; left--)
      page.settle(base + reader.uint(), reader.uint(), newestAt);
    for (let left = reader.uint(); left > 0; left--)
      page.arrive(base + reader.uint(), reader.uint(), readOffset(reader));
    for (let left = reader.uint(); left > 0; left--)
      page.retimed.set(base + reader.uint(), reader.uint());
    return page;
  }
}

/** An offset that may not be known. */
export const writeOffset = (writer: ByteWriter, offset: number | undefined): ByteWriter =>
  writer.uint((offset ?? -1) + 1);

export function readOffset(reader: ByteReader): number | undefined {
  const offset = reader.uint() - 1;
  return offset < 0 ? undefined : offset;
}
