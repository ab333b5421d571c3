/**
 * The layout of a half message in its log, and the summary of a segment of them: enough to wake the undecided without
 * reading a body. Layout only.
 */
import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.ts";
import type { Target } from "../../protocol/rpc.ts";
import type { CheckPolicy } from "../../protocol/topic.ts";

const VERSION = 1;
const SUMMARY_VERSION = 1;
const FLAG = { target: 1, duplicateOf: 2 } as const;

export interface HalfMessage {
  /** Absent: the home queue itself. */
  readonly target?: Target;
  /** Id of the message that had its dedup id when it was prepared; its commit asks again who has it then. */
  readonly duplicateOf?: string;
  readonly record: Uint8Array;
}

/** Who is asked about a half message, and when. */
export interface HalfHead {
  readonly producerGroup: string;
  readonly policy: CheckPolicy;
}

export interface HalfRecord extends HalfHead {
  readonly messages: readonly HalfMessage[];
}

export function encodeHalf(half: HalfRecord): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(1_024);
  writer.byte(VERSION);
  writeHead(writer, half);
  writer.uint(half.messages.length);
  for (const { target, duplicateOf, record } of half.messages) {
    writer.byte(
      (target === undefined ? 0 : FLAG.target) | (duplicateOf === undefined ? 0 : FLAG.duplicateOf),
    );
    if (target !== undefined) writer.text(target.topic).uint(target.incarnation).uint(target.queue);
    if (duplicateOf !== undefined) writer.text(duplicateOf);
    writer.blob(record);
  }
  return writer.finish();
}

export function decodeHalf(bytes: Uint8Array): HalfRecord {
  const reader = begun(bytes);
  const head = readHead(reader);
  const messages: HalfMessage[] = [];
  for (let left = reader.uint(); left > 0; left--) {
    const flags = reader.byte();
    const target =
      (flags & FLAG.target) === 0
        ? undefined
        : { topic: reader.text(), incarnation: reader.uint(), queue: reader.uint() };
    const duplicateOf = (flags & FLAG.duplicateOf) === 0 ? undefined : reader.text();
    messages.push({
      ...(target === undefined ? {} : { target }),
      ...(duplicateOf === undefined ? {} : { duplicateOf }),
      record: reader.blob(),
    });
  }
  return { ...head, messages };
}

function begun(bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes);
  if (reader.byte() !== VERSION) throw new CodecError("unknown half record version");
  return reader;
}

function writeHead(writer: ByteWriter, { producerGroup, policy }: HalfHead): void {
  writer.text(producerGroup).uint(policy.timeoutMs).uint(policy.intervalMs).uint(policy.maxChecks);
}

function readHead(reader: ByteReader): HalfHead {
  return {
    producerGroup: reader.text(),
    policy: { timeoutMs: reader.uint(), intervalMs: reader.uint(), maxChecks: reader.uint() },
  };
}

/** The heads of a segment's half messages; one that is like the one before it takes a byte. */
export function summarizeHalves(entries: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter(256);
  writer.byte(SUMMARY_VERSION);
  let before: HalfHead | undefined;
  for (const entry of entries) {
    const head = readHead(begun(entry));
    const isSame = before !== undefined && sameHead(before, head);
    writer.byte(isSame ? 1 : 0);
    if (!isSame) writeHead(writer, head);
    before = head;
  }
  return writer.finish();
}

export function readSummary(summary: Uint8Array): HalfHead[] {
  const reader = new ByteReader(summary);
  if (reader.byte() !== SUMMARY_VERSION) throw new CodecError("unknown half summary version");
  const heads: HalfHead[] = [];
  while (!reader.done) {
    const before = heads.at(-1);
    const isSame = reader.byte() === 1;
    heads.push(isSame && before !== undefined ? before : readHead(reader));
  }
  return heads;
}

const sameHead = (one: HalfHead, other: HalfHead): boolean =>
  one.producerGroup === other.producerGroup &&
  one.policy.timeoutMs === other.policy.timeoutMs &&
  one.policy.intervalMs === other.policy.intervalMs &&
  one.policy.maxChecks === other.policy.maxChecks;
