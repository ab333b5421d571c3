/**
 * A growing byte buffer and a bounded reader over one: the two hands of every codec here.
 * Numbers are unsigned LEB128 up to 2^53; texts and blobs carry their length in front. A reader never passes its end:
 * damaged bytes end in `CodecError`, never in wrong values from a neighbour.
 */

/** Bytes that do not decode. It never leaves the object as an answer: it means damaged storage or a bug. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** The length of a text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (unit >= 0xd800 && unit < 0xdc00) {
      const next = text.charCodeAt(index + 1);
      if (next >= 0xdc00 && next < 0xe000) index++;
    }
  }
  return bytes;
}

/** Texts up to these lengths are written and read here, if they are ASCII: for them, a call of an encoder costs more. */
const SHORT_CHARS = 48;
const SHORTEST_BYTES = 10;

function ascii(bytes: Uint8Array): string | undefined {
  let text = "";
  for (const byte of bytes) {
    if (byte >= 0x80) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** A non-negative integer up to 2^53 − 1. */
  uint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new CodecError(`not an unsigned integer: ${value}`);
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }

  text(value: string): this {
    if (value.length <= SHORT_CHARS && this.#ascii(value)) return this;
    const bytesMax = value.length * 3;
    this.#reserve(bytesMax + 8);
    // Short texts take one length byte; encode straight behind it and only move when the guess was wrong.
    const start = this.#length + 1;
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(start, start + bytesMax));
    if (written < 0x80) {
      this.#bytes[this.#length] = written;
      this.#length = start + written;
      return this;
    }
    const copy = this.#bytes.slice(start, start + written);
    return this.blob(copy);
  }

  /** Faster than an encoder is called; false, and nothing is written, when the text is not ASCII. */
  #ascii(value: string): boolean {
    this.#reserve(value.length + 1);
    const bytes = this.#bytes;
    const start = this.#length + 1;
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index);
      if (unit >= 0x80) return false;
      bytes[start + index] = unit;
    }
    bytes[start - 1] = value.length;
    this.#length = start + value.length;
    return true;
  }

  blob(value: Uint8Array): this {
    return this.uint(value.length).raw(value);
  }

  /** Bytes without a length; the reader must know it. */
  raw(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** A text's UTF-8 without a length. */
  rawText(value: string): this {
    // Three bytes a unit are always enough; where there is no room for a guess, it is counted.
    const bytesMax = value.length * 3;
    if (this.#length + bytesMax > this.#bytes.length) this.#reserve(utf8Length(value));
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.#length));
    this.#length += written;
    return this;
  }

  /** The bytes so far, as a copy of exact size. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** The bytes so far without a copy; invalid after the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get position(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  byte(): number {
    const value = this.#at < this.#end ? this.#bytes[this.#at] : undefined;
    if (value === undefined) throw new CodecError("bytes end early");
    this.#at++;
    return value;
  }

  uint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new CodecError("number too long");
  }

  text(): string {
    const bytes = this.blob();
    return (bytes.length <= SHORTEST_BYTES ? ascii(bytes) : undefined) ?? decoder.decode(bytes);
  }

  /** A view on the next blob, not a copy. */
  blob(): Uint8Array {
    return this.raw(this.uint());
  }

  raw(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#end) throw new CodecError("bytes end early");
    const view = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return view;
  }

  skip(length: number): void {
    if (this.#at + length > this.#end) throw new CodecError("bytes end early");
    this.#at += length;
  }

  /** A view on everything that is left. */
  rest(): Uint8Array {
    const view = this.#bytes.subarray(this.#at, this.#end);
    this.#at = this.#end;
    return view;
  }
}

/** A writer that is used again and again for what is copied at once; one that a large value blew up is thrown away. */
export class Scratch {
  #writer = new ByteWriter(SCRATCH_BYTES);

  /** Empty. What was written before is no longer valid. */
  take(): ByteWriter {
    if (this.#writer.capacity > SCRATCH_BYTES_MAX) this.#writer = new ByteWriter(SCRATCH_BYTES);
    this.#writer.reset();
    return this.#writer;
  }
}

const SCRATCH_BYTES = 4_096;
const SCRATCH_BYTES_MAX = 256 * 1_024;

export const encodeText = (text: string): Uint8Array => encoder.encode(text);
export const decodeText = (bytes: Uint8Array): string => decoder.decode(bytes);

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text that the bytes are in UTF-8, a byte order mark included; undefined when they are none. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}
