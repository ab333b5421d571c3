/**
 * A segment of a log in memory, and the one that the flush under way is making: bodies as they are stored, each entry with
 * its length in front. It knows where entries begin, and nothing of what they mean.
 */
import { ByteReader, ByteWriter } from "../../core/bytes.ts";

const PENDING_BYTES_MIN = 512;
const PENDING_BYTES_MAX = 16 * 1_024;

export class Segment {
  readonly first: number;
  readonly storedAt: number;
  /** The owner's summary. */
  readonly head: Uint8Array;
  /** Of its row: body and head. */
  readonly bytes: number;
  readonly #body: Uint8Array;
  readonly #starts: Uint32Array;

  constructor(row: {
    readonly first: number;
    readonly storedAt: number;
    readonly head: Uint8Array;
    readonly bytes: number;
    readonly body: Uint8Array;
    readonly starts: Uint32Array;
  }) {
    this.first = row.first;
    this.storedAt = row.storedAt;
    this.head = row.head;
    this.bytes = row.bytes;
    this.#body = row.body;
    this.#starts = row.starts;
  }

  get count(): number {
    return this.#starts.length;
  }

  /** Its entries as they are stored. */
  get body(): Uint8Array {
    return this.#body;
  }

  /** The position behind its last entry. */
  get end(): number {
    return this.first + this.#starts.length;
  }

  /** A view; undefined outside of the segment. */
  entry(position: number): Uint8Array | undefined {
    const start = this.#starts[position - this.first];
    return start === undefined ? undefined : new ByteReader(this.#body, start).blob();
  }
}

/** Where each entry of a body begins. */
export function startsOf(body: Uint8Array): Uint32Array {
  const reader = new ByteReader(body);
  const starts: number[] = [];
  while (!reader.done) {
    starts.push(reader.position);
    reader.blob();
  }
  return Uint32Array.from(starts);
}

/** What the flush under way appended. */
export class Pending {
  readonly #starts: number[] = [];
  readonly #writer: ByteWriter;

  /** `bytes`: about as many as will come. */
  constructor(bytes: number) {
    const room = Math.min(PENDING_BYTES_MAX, Math.max(PENDING_BYTES_MIN, bytes));
    this.#writer = new ByteWriter(room);
  }

  get bytes(): number {
    return this.#writer.length;
  }

  get count(): number {
    return this.#starts.length;
  }

  add(entry: Uint8Array): void {
    this.#starts.push(this.#writer.length);
    this.#writer.blob(entry);
  }

  /** Entries one behind the other, each with its length in front, and where each of them begins. */
  addFrame(frame: Uint8Array, starts: readonly number[]): void {
    const base = this.#writer.length;
    for (const start of starts) this.#starts.push(base + start);
    this.#writer.raw(frame);
  }

  /** A view; undefined outside. */
  entry(index: number): Uint8Array | undefined {
    const start = this.#starts[index];
    return start === undefined ? undefined : new ByteReader(this.#writer.view(), start).blob();
  }

  /** Bytes of the entries [from, to) in their body. */
  size(from: number, to: number): number {
    return (this.#starts[to] ?? this.#writer.length) - (this.#starts[from] ?? 0);
  }

  /** The body of the entries [from, to), as a view. */
  body(from: number, to: number): Uint8Array {
    return this.#writer.view().subarray(this.#starts[from], this.#starts[to]);
  }

  /** Where each of the entries [from, to) begins in their body. */
  starts(from: number, to: number): Uint32Array {
    const base = this.#starts[from] ?? 0;
    const starts = new Uint32Array(to - from);
    for (let index = from; index < to; index++)
      starts[index - from] = (this.#starts[index] ?? base) - base;
    return starts;
  }
}
