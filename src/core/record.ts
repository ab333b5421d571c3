/**
 * A record: what a producer said, in bytes. The Worker encodes it once at the edge and decodes it once on delivery;
 * in between the queue reads its routing fields only and never touches the body.
 * Layout, version 1: version byte, flags, then each field whose flag is set in the order of FLAG, then the body.
 */
import {
  ByteReader,
  type ByteWriter,
  CodecError,
  decodeText,
  Scratch,
  utf8Length,
} from "./bytes.ts";
import type { ProducerMark } from "./producer.ts";
import type { JsonText } from "./raw-body.ts";

const VERSION = 1;

const FLAG = {
  jsonBody: 1 << 0,
  delayMs: 1 << 1,
  deliverAt: 1 << 2,
  ttlMs: 1 << 3,
  expiresAt: 1 << 4,
  messageGroup: 1 << 5,
  tag: 1 << 6,
  dedupId: 1 << 7,
  producer: 1 << 8,
  bodyRef: 1 << 9,
  contentType: 1 << 10,
  keys: 1 << 11,
  properties: 1 << 12,
  traceparent: 1 << 13,
} as const;

/** A large body that stands in the bucket: enough to find it, and to know it again. */
export interface BodyRef {
  /** Names the object; chosen by chance, so that nobody guesses it. */
  readonly key: Uint8Array;
  readonly bytes: number;
  /** SHA-256 of the body. */
  readonly digest: Uint8Array;
  /** Names the bucket that it was put into (bodies/bucket-mark.ts). */
  readonly home: string;
}

/** What a queue needs to know of a message to place it. */
export interface RecordHead {
  readonly delayMs?: number;
  readonly deliverAt?: number;
  readonly ttlMs?: number;
  readonly expiresAt?: number;
  readonly messageGroup?: string;
  readonly tag?: string;
  readonly dedupId?: string;
  readonly producer?: ProducerMark;
  /** Its body is not in the record. */
  readonly bodyRef?: BodyRef;
}

/** Why a large body is not there: gone, not what was stored, or out of reach for now. */
export type BodyFault = "body_missing" | "body_damaged" | "body_unavailable";

/** A body, or where it stands; `fault` once it was looked for in vain. */
export type Body =
  | JsonText
  | { readonly bytes: Uint8Array }
  | { readonly isJson: boolean; readonly ref: BodyRef; readonly fault?: BodyFault };

/** The length of a body, wherever it stands. */
export function bodyLength(body: Body): number {
  if ("json" in body) return body.utf8?.length ?? utf8Length(body.json);
  return "bytes" in body ? body.bytes.length : body.ref.bytes;
}

/** A whole message as its producer sent it. */
export interface Content extends Omit<RecordHead, "bodyRef"> {
  /** The JSON text exactly as it came, or raw bytes, or where they stand. */
  readonly body: Body;
  readonly contentType?: string;
  readonly keys?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly traceparent?: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function flagsOf(content: Content): number {
  const { body } = content;
  const isJson = "ref" in body ? body.isJson : "json" in body;
  let flags = isJson ? FLAG.jsonBody : 0;
  if (content.delayMs !== undefined) flags |= FLAG.delayMs;
  if (content.deliverAt !== undefined) flags |= FLAG.deliverAt;
  if (content.ttlMs !== undefined) flags |= FLAG.ttlMs;
  if (content.expiresAt !== undefined) flags |= FLAG.expiresAt;
  if (content.messageGroup !== undefined) flags |= FLAG.messageGroup;
  if (content.tag !== undefined) flags |= FLAG.tag;
  if (content.dedupId !== undefined) flags |= FLAG.dedupId;
  if (content.producer !== undefined) flags |= FLAG.producer;
  if ("ref" in body) flags |= FLAG.bodyRef;
  if (content.contentType !== undefined) flags |= FLAG.contentType;
  if (content.keys !== undefined) flags |= FLAG.keys;
  if (content.properties !== undefined) flags |= FLAG.properties;
  if (content.traceparent !== undefined) flags |= FLAG.traceparent;
  return flags;
}

/** All of a record but a body that stands in it. */
function writeFields(writer: ByteWriter, content: Content): void {
  const { body } = content;
  writer.byte(VERSION).uint(flagsOf(content));
  if (content.delayMs !== undefined) writer.uint(content.delayMs);
  if (content.deliverAt !== undefined) writer.uint(content.deliverAt);
  if (content.ttlMs !== undefined) writer.uint(content.ttlMs);
  if (content.expiresAt !== undefined) writer.uint(content.expiresAt);
  if (content.messageGroup !== undefined) writer.text(content.messageGroup);
  if (content.tag !== undefined) writer.text(content.tag);
  if (content.dedupId !== undefined) writer.text(content.dedupId);
  if (content.producer !== undefined) {
    writer.text(content.producer.id).uint(content.producer.epoch).uint(content.producer.sequence);
  }
  if ("ref" in body) {
    const { key, bytes, digest, home } = body.ref;
    writer.blob(key).uint(bytes).blob(digest).text(home);
  }
  if (content.contentType !== undefined) writer.text(content.contentType);
  if (content.keys !== undefined) {
    writer.uint(content.keys.length);
    for (const key of content.keys) writer.text(key);
  }
  if (content.properties !== undefined) {
    const entries = Object.entries(content.properties);
    writer.uint(entries.length);
    for (const [name, value] of entries) writer.text(name).text(value);
  }
  if (content.traceparent !== undefined) writer.text(content.traceparent);
}

/** The body's bytes, where they are known without encoding it. */
function bytesOf(body: Body): Uint8Array | undefined {
  if ("json" in body) return body.utf8;
  return "bytes" in body ? body.bytes : NOTHING;
}

const NOTHING = new Uint8Array();

const scratch = new Scratch();
const frameScratch = new Scratch();

export function encodeRecord(content: Content): Uint8Array<ArrayBuffer> {
  const writer = scratch.take();
  writeFields(writer, content);
  const bytes = bytesOf(content.body);
  if (bytes !== undefined) writer.raw(bytes);
  else if ("json" in content.body) writer.rawText(content.body.json);
  return writer.finish();
}

/** `frame()` of the records of all contents, with one copy of each body. */
export function frameContents(contents: Iterable<Content>): Uint8Array<ArrayBuffer> {
  const frame = frameScratch.take();
  for (const content of contents) {
    const bytes = bytesOf(content.body);
    const flags = flagsOf(content);
    if (bytes !== undefined && flags <= FLAG.jsonBody) {
      frame
        .uint(bytes.length + 2)
        .byte(VERSION)
        .byte(flags)
        .raw(bytes);
      continue;
    }
    const fields = scratch.take();
    writeFields(fields, content);
    if (bytes !== undefined) {
      frame
        .uint(fields.length + bytes.length)
        .raw(fields.view())
        .raw(bytes);
    } else if ("json" in content.body) {
      frame.blob(fields.rawText(content.body.json).view());
    }
  }
  return frame.finish();
}

function readHead(reader: ByteReader): { flags: number; head: Mutable<RecordHead> } {
  const version = reader.byte();
  if (version !== VERSION) throw new CodecError(`unknown record version ${version}`);
  const flags = reader.uint();
  const head: Mutable<RecordHead> = {};
  if (flags & FLAG.delayMs) head.delayMs = reader.uint();
  if (flags & FLAG.deliverAt) head.deliverAt = reader.uint();
  if (flags & FLAG.ttlMs) head.ttlMs = reader.uint();
  if (flags & FLAG.expiresAt) head.expiresAt = reader.uint();
  if (flags & FLAG.messageGroup) head.messageGroup = reader.text();
  if (flags & FLAG.tag) head.tag = reader.text();
  if (flags & FLAG.dedupId) head.dedupId = reader.text();
  if (flags & FLAG.producer)
    head.producer = { id: reader.text(), epoch: reader.uint(), sequence: reader.uint() };
  if (flags & FLAG.bodyRef) {
    const [key, bytes, digest] = [reader.blob(), reader.uint(), reader.blob()];
    head.bodyRef = { key, bytes, digest, home: reader.text() };
  }
  return { flags, head };
}

/** That of a message of which nothing is said but its body. */
export const PLAIN_HEAD: RecordHead = {};

/** The plainest message (a body, nothing else) is by far the commonest: two bytes tell it. */
const isPlain = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === VERSION && (bytes[at + 1] ?? 0xff) <= FLAG.jsonBody;

/** The routing fields alone; the body is not looked at. */
export function readRecordHead(record: Uint8Array): RecordHead {
  return isPlain(record, 0) ? PLAIN_HEAD : readHead(new ByteReader(record)).head;
}

/** What a filter looks at: of the properties only the wanted ones, and nothing of the body. */
export function readRecordWords(
  record: Uint8Array,
  wanted: ReadonlySet<string>,
): { tag?: string; keys?: readonly string[]; properties: ReadonlyMap<string, string> } {
  const reader = new ByteReader(record);
  const { flags, head } = readHead(reader);
  const properties = new Map<string, string>();
  if (flags & FLAG.contentType) reader.blob();
  const keys = flags & FLAG.keys ? readTexts(reader) : undefined;
  if (flags & FLAG.properties) {
    for (let left = reader.uint(); left > 0; left--) {
      const name = reader.text();
      if (wanted.has(name)) properties.set(name, reader.text());
      else reader.blob();
    }
  }
  return {
    ...(head.tag === undefined ? {} : { tag: head.tag }),
    ...(keys === undefined ? {} : { keys }),
    properties,
  };
}

function readTexts(reader: ByteReader): string[] {
  const texts: string[] = [];
  for (let left = reader.uint(); left > 0; left--) texts.push(reader.text());
  return texts;
}

export function decodeRecord(record: Uint8Array): Content {
  const reader = new ByteReader(record);
  const { flags, head } = readHead(reader);
  const { bodyRef } = head;
  if (bodyRef !== undefined) delete head.bodyRef;
  const content: Mutable<Omit<Content, "body">> = head;
  if (flags & FLAG.contentType) content.contentType = reader.text();
  if (flags & FLAG.keys) content.keys = readTexts(reader);
  if (flags & FLAG.properties) {
    const entries: [string, string][] = [];
    for (let left = reader.uint(); left > 0; left--) entries.push([reader.text(), reader.text()]);
    // fromEntries defines own properties, so that a property named __proto__ stays a property.
    content.properties = Object.fromEntries(entries);
  }
  if (flags & FLAG.traceparent) content.traceparent = reader.text();
  const isJson = (flags & FLAG.jsonBody) !== 0;
  if (bodyRef !== undefined) return { ...content, body: { isJson, ref: bodyRef } };
  const rest = reader.rest();
  return { ...content, body: isJson ? { json: decodeText(rest) } : { bytes: rest } };
}

/** Records one behind the other, each with its length in front: how a batch travels in one buffer. */
export function frame(records: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const writer = frameScratch.take();
  for (const record of records) writer.blob(record);
  return writer.finish();
}

/** Where each record of a frame begins, with its length, if nothing is said of any of them but its body; else undefined. */
export function plainStarts(bytes: Uint8Array): number[] | undefined {
  const reader = new ByteReader(bytes);
  const starts: number[] = [];
  while (!reader.done) {
    starts.push(reader.position);
    const length = reader.uint();
    if (length < 2 || !isPlain(bytes, reader.position)) return undefined;
    reader.skip(length);
  }
  return starts;
}

/** The inverse of `frame`, as views. */
export function unframe(bytes: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bytes);
  const records: Uint8Array[] = [];
  while (!reader.done) records.push(reader.blob());
  return records;
}
