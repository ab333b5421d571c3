/**
 * Blocks: consecutive segments of the message log, together one object of the bucket. The object holds their bodies, the block
 * itself what must be known without them: how many messages each has, when it was stored, how long it is. Pure.
 */
import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.ts";
import { seedOf, withCrc, withoutCrc } from "../../core/crc32.ts";
import type { BodyRef } from "../../core/record.ts";
import { SegmentRows } from "../log/segment-rows.ts";
import { Segment, startsOf } from "../log/segment.ts";

const VERSION = 1;
const NO_HEAD = new Uint8Array();

/** A segment without its body. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
  readonly storedAt: number;
  readonly bodyBytes: number;
}

/** What the log counts it as. Segments of the message log have no heads. */
export const bytesOf = ({ bodyBytes }: Stretch): number => SegmentRows.bytesOf(bodyBytes, 0);

export interface Block {
  readonly first: number;
  /** The position behind its last message. */
  readonly end: number;
  /** The oldest position that retention has left: the first of a segment. */
  readonly base: number;
  /** Bytes of the log in front of `base`, from its beginning on. */
  readonly before: number;
  /** The object. */
  readonly ref: BodyRef;
  /** When its bucket first said that it is not there; 0: it was there when it was asked for last. */
  readonly missingSince: number;
  /** Of the whole object, oldest first. */
  readonly stretches: readonly Stretch[];
}

type Place = Pick<Block, "first" | "end">;

export const stretchOf = ({ first, count, storedAt, body }: Segment): Stretch => ({
  first,
  count,
  storedAt,
  bodyBytes: body.length,
});

const sealOf = ({ first, end }: Place): number => seedOf("block", first, end);

/** The object of the segments, sealed with its place. */
export function packBlock(segments: readonly Segment[]): Uint8Array {
  const bytes = segments.reduce((sum, { body }) => sum + body.length, 1);
  const writer = new ByteWriter(bytes).byte(VERSION);
  for (const { body } of segments) writer.raw(body);
  const place = { first: segments[0]?.first ?? 0, end: segments.at(-1)?.end ?? 0 };
  return withCrc(writer.view(), sealOf(place));
}

/** The segments, as views on the object; `CodecError` when it is not the block's. */
export function unpackBlock(
  block: Pick<Block, "first" | "end" | "stretches">,
  object: Uint8Array,
): Segment[] {
  const reader = new ByteReader(withoutCrc(object, sealOf(block), `block ${block.first}`));
  if (reader.byte() !== VERSION) throw new CodecError("unknown version of a block");
  return block.stretches.map((stretch) => {
    const { first, count, storedAt, bodyBytes } = stretch;
    const body = reader.raw(bodyBytes);
    const starts = startsOf(body);
    if (starts.length !== count) throw new CodecError(`block ${block.first} has other messages`);
    return new Segment({ first, storedAt, head: NO_HEAD, bytes: bytesOf(stretch), body, starts });
  });
}

export function encodeStretches(stretches: readonly Stretch[]): Uint8Array {
  const writer = new ByteWriter(8 * stretches.length + 16).byte(VERSION).uint(stretches.length);
  let last = 0;
  for (const { count, storedAt, bodyBytes } of stretches) {
    // A log's instants never go back.
    writer
      .uint(count)
      .uint(storedAt - last)
      .uint(bodyBytes);
    last = storedAt;
  }
  return writer.finish();
}

export function decodeStretches({ first, end }: Place, data: Uint8Array): Stretch[] {
  const reader = new ByteReader(data);
  if (reader.byte() !== VERSION) throw new CodecError("unknown version of a block's index");
  const stretches: Stretch[] = [];
  let [at, storedAt] = [first, 0];
  for (let left = reader.uint(); left > 0; left--) {
    const count = reader.uint();
    storedAt += reader.uint();
    stretches.push({ first: at, count, storedAt, bodyBytes: reader.uint() });
    at += count;
  }
  if (at !== end) throw new CodecError(`the index of block ${first} has a hole`);
  return stretches;
}
