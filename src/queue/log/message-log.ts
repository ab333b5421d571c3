/**
 * The message log of a queue: its old part in blocks of the bucket, where one is bound (cold), and its segments here (warm).
 * Positions run through both without a hole, and everything but the messages themselves is known of both at once. A message
 * whose block is not at hand is "cold": whoever reads it has it fetched and comes again. Nothing here calls the bucket.
 */
import type { BodyRef } from "../../core/record.ts";
import { stretchOf, type Block } from "../cold/block.ts";
import type { BlockMemory } from "../cold/block-memory.ts";
import { ColdLog, type Stored } from "../cold/cold-log.ts";
import type { OpenStorage } from "../storage/facts.ts";
import type { Segment } from "./segment.ts";
import { SegmentLog } from "./segments.ts";

/** Copies of blocks with messages in flight are made, whatever the storage holds, up to so many. */
const COPIES_MIN = 64;
/** Readers that say in one flush where they go on. */
const AHEAD_MAX = 8;

export interface MessageLogPorts {
  /** Is anything of [from, to) leased or waiting for a retry? */
  isHeld(from: number, to: number): boolean;
  /** Has the storage room beyond what must go on? */
  hasRoom(): boolean;
}

export class MessageLog {
  readonly warm: SegmentLog;
  readonly cold: ColdLog;
  readonly #ports: MessageLogPorts;
  /** The block that a look of the command under way would have needed: what it found is not to be told. */
  missed: Block | undefined;
  /** By their first positions. */
  #ahead = new Map<number, Block>();

  constructor(
    storage: OpenStorage,
    ports: MessageLogPorts,
    fetchedBytesMax: number,
    memory: BlockMemory,
  ) {
    this.warm = new SegmentLog(storage, { table: "message_log" });
    this.cold = new ColdLog(storage.sql, fetchedBytesMax, memory);
    this.#ports = ports;
  }

  // ------------------------------------------------------------ where it stands

  /** The oldest position held. */
  get first(): number {
    return this.cold.first ?? this.warm.first;
  }

  /** The position that the next message gets. */
  get next(): number {
    return this.warm.next;
  }

  /** The same without what the flush under way appends. */
  get nextStored(): number {
    return this.warm.nextStored;
  }

  /** Of all messages held, wherever they are. */
  get bytes(): number {
    return this.warm.bytes + this.coldBytes;
  }

  /** Of those in the bucket. */
  get coldBytes(): number {
    return this.cold.first === undefined ? 0 : this.warm.before - this.cold.before;
  }

  /** Never goes back, whatever the clock does. */
  get lastStoredAt(): number {
    return this.warm.lastStoredAt;
  }

  /** When the oldest segment was stored; nothing while there is none on disk. */
  get firstStoredAt(): number | undefined {
    return this.cold.firstStoredAt ?? this.warm.firstStoredAt;
  }

  #isOld(position: number): boolean {
    return position < this.warm.first && position >= this.first;
  }

  /** The first position stored at or after the instant; `next` when there is none. */
  positionAt(atMs: number): number {
    const isOld = this.cold.first !== undefined && this.cold.lastStoredAt >= atMs;
    return isOld ? this.cold.positionAt(atMs) : this.warm.positionAt(atMs);
  }

  /** When the message was stored; undefined outside first … next−1. */
  storedAtOf(position: number): number | undefined {
    return this.#isOld(position)
      ? this.cold.storedAt(position)
      : this.warm.read(position)?.storedAt;
  }

  /** Positions that no row holds, by the newest `rowsMax` rows of each part, and from where on those were looked at. */
  holes(rowsMax: number): ReturnType<SegmentLog["holes"]> {
    const warm = this.warm.holes(rowsMax);
    if (this.cold.first === undefined || warm.from > this.warm.first) return warm;
    const cold = this.cold.holes(this.warm.first, rowsMax);
    return { from: cold.from, holes: [...cold.holes, ...warm.holes] };
  }

  // ------------------------------------------------------------ reading

  /** A message with when it was stored; "cold": come again when it is here; undefined outside first … next−1, or lost. */
  read(position: number): Stored | "cold" | undefined {
    return this.#isOld(position) ? this.cold.read(position) : this.warm.read(position);
  }

  /** A message in flight, which is at hand. [B3] */
  held(position: number): Stored | undefined {
    const read = this.read(position);
    if (read === "cold") throw new Error(`the message at ${position} is not at hand`);
    return read;
  }

  /** The same for who only looks, and looks again when something was `missed`. */
  look(position: number): Stored | undefined {
    const read = this.read(position);
    if (read !== "cold") return read;
    this.miss(position);
    return undefined;
  }

  /** The command under way can do nothing without the cold message there. */
  miss(position: number): void {
    this.missed ??= this.cold.blockAt(position);
  }

  /** Nobody will ever have it, unless somebody puts the bucket right. */
  isLost(position: number): boolean {
    return this.#isOld(position) && this.cold.isLost(position);
  }

  /** Somebody reads on from here: what comes next is fetched ahead. */
  goOn(position: number): void {
    if (!this.#isOld(position) || this.#ahead.size >= AHEAD_MAX) return;
    const block = this.cold.awaited(position, this.warm.first);
    if (block !== undefined) this.#ahead.set(block.first, block);
  }

  /** What readers of the flush come to next. */
  takeAhead(): Iterable<Block> {
    const ahead = this.#ahead;
    if (ahead.size > 0) this.#ahead = new Map();
    return ahead.values();
  }

  // ------------------------------------------------------------ changing

  append(entry: Uint8Array, nowMs: number): number {
    return this.warm.append(entry, nowMs);
  }

  /** As the segments' log has it. */
  appendFrame(frame: Uint8Array, starts: readonly number[], nowMs: number): number {
    return this.warm.appendFrame(frame, starts, nowMs);
  }

  /** The instant at which an entry appended now counts as stored. */
  storedAt(nowMs: number): number {
    return this.warm.storedAt(nowMs);
  }

  commit(keys: Uint8Array | undefined): boolean {
    return this.warm.commit(keys);
  }

  keyBlobs(position: number): Uint8Array[] {
    return this.warm.keyBlobs(position);
  }

  /**
   * [B3] A message that is at hand is about to be in flight, like those `beside` it, which no state knows of yet. False: there
   * is no room to keep it at hand.
   */
  keepAtHand(position: number, beside: readonly { readonly offset: number }[]): boolean {
    if (!this.#isOld(position) || this.cold.hasCopy(position)) return true;
    if (!this.#hasRoom) this.#letGo(beside);
    if (!this.#hasRoom) return false;
    this.cold.keep(position);
    return true;
  }

  get #hasRoom(): boolean {
    return this.cold.copyCount < COPIES_MIN || this.#ports.hasRoom();
  }

  /** Copies that nobody needs any more go. */
  #letGo(beside: readonly { readonly offset: number }[] = []): void {
    const isNeeded = (from: number, to: number): boolean =>
      this.#ports.isHeld(from, to) || beside.some(({ offset }) => offset >= from && offset < to);
    if (this.cold.copyCount > 0) this.cold.letGo(isNeeded);
  }

  /** The same, and blocks in memory that nobody has read for a while. */
  tidy(): void {
    this.#letGo();
    this.cold.forgetUnread();
  }

  /** The lowest segments here are in the bucket now. */
  freeze(segments: readonly Segment[], object: Uint8Array, ref: BodyRef): void {
    const first = this.warm.first;
    const end = segments.at(-1)?.end ?? first;
    const stretches = segments.map(stretchOf);
    const before = this.warm.before;
    this.cold.add({ first, end, base: first, before, ref, stretches, missingSince: 0 });
    if (this.#ports.isHeld(first, end)) this.cold.adopt(first, object);
    this.warm.truncate(end);
  }

  /** The segments that may go first: oldest first, at most `limit`, read as they are asked for. */
  *oldest(limit: number): Generator<ReturnType<ColdLog["oldest"]>[number]> {
    const cold = this.cold.first === undefined ? [] : this.cold.oldest(limit);
    yield* cold;
    yield* this.warm.oldest(limit - cold.length);
  }

  /** Drops everything below the position, which is a segment's first or `next`. Not while entries are pending. */
  truncate(position: number): void {
    this.cold.truncate(position);
    if (position > this.warm.first) this.warm.truncate(position);
  }
}
