/** The layout of the one row that stands for a delivery state as a whole, beside its pages. */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import type { Attempts } from "./attempts.ts";
import { readOwner, writeOwner, type Owner } from "./owner.ts";

const VERSION = 2;

export interface Head {
  epoch: number;
  base: number;
  cursor: number;
  expired: number;
  owner: Owner | undefined;
  readonly drainedFrom: Set<number>;
  readonly attempts: Attempts;
}

export function writeHead(writer: ByteWriter, head: Head): void {
  writer.byte(VERSION).uint(head.epoch).uint(head.base).uint(head.cursor).uint(head.expired);
  writer.uint(head.drainedFrom.size);
  for (const from of head.drainedFrom) writer.uint(from);
  head.attempts.encode(writer);
  writeOwner(writer, head.owner);
}

/** Reads into a head that nothing has happened to yet. */
export function readHead(data: Uint8Array, head: Head): void {
  const reader = new ByteReader(data);
  if (reader.byte() !== VERSION) throw new CodecError("unknown group head version");
  head.epoch = reader.uint();
  head.base = reader.uint();
  head.cursor = reader.uint();
  head.expired = reader.uint();
  for (let left = reader.uint(); left > 0; left--) head.drainedFrom.add(reader.uint());
  head.attempts.restore(reader);
  head.owner = readOwner(reader);
}
