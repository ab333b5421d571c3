/**
 * The old part of the message log, whose messages are in the bucket: blocks, oldest first, without a hole up to where the
 * segments here begin. What is asked of it is answered from the blocks' rows; messages themselves are there when their block
 * is at hand: in memory, or with a copy here. It never calls the bucket: fetches.ts and mover.ts do.
 *
 * [B3] A block with a message in flight has a copy here, so that only what was not yet delivered can be out of reach.
 * [B4] What a block holds is deleted here only when the bucket has confirmed its digest.
 */
import { CodecError } from "../../core/bytes.ts";
import type { BodyFault } from "../../core/record.ts";
import { locate } from "../log/segment-memory.ts";
import type { Segment } from "../log/segment.ts";
import type { Sql } from "../storage/storage.ts";
import { bytesOf, unpackBlock, type Block, type Stretch } from "./block.ts";
import type { BlockMemory } from "./block-memory.ts";
import { BlockRows } from "./block-rows.ts";
import { FetchedBlocks, type Fetched } from "./fetched.ts";

/** What the bucket has lost is asked for again after this: somebody may have put it right. */
const LOST_MS = 60_000;
/** For so long it must have been missing before it counts as lost: what was removed by mistake may be back by then. */
const DOUBT_MS = 5 * 60_000;

/** What became of a block that was asked for; `doubted`: missing, but not for long enough to believe it. */
type Arrival = "here" | "gone" | "doubted" | "lost";

/** A message as it is stored, and when it was. */
export interface Stored {
  readonly entry: Uint8Array;
  readonly storedAt: number;
}

/** A segment as retention goes through them. */
type Row = Pick<Stretch, "first" | "count" | "storedAt"> & { readonly bytes: number };

const lastOf = ({ stretches }: Block): number => stretches.at(-1)?.storedAt ?? 0;

export class ColdLog {
  readonly #rows: BlockRows;
  readonly #fetched: FetchedBlocks;
  readonly #copies: Set<number>;
  /** By the block's first position: until when it counts as lost. */
  readonly #lost = new Map<number, number>();
  /** Looked at last. */
  #recent: Block | undefined;
  #lowest: Block | undefined;
  #end = 0;
  #lastStoredAt = 0;
  /** Of the flush under way. */
  nowMs = 0;
  /** Since when the bucket does not give what is asked for; fetches.ts says so. */
  unreachableAt: number | undefined;

  constructor(sql: Sql, fetchedBytesMax: number, memory: BlockMemory) {
    this.#rows = new BlockRows(sql);
    this.#fetched = new FetchedBlocks(fetchedBytesMax, memory);
    this.#look();
    this.#copies = new Set(this.#lowest === undefined ? [] : this.#rows.copies());
    for (const first of this.#copies)
      if (this.#rows.find(first)?.first !== first)
        throw new CodecError(`no block has copy ${first}`);
    if (this.#lowest === undefined) return;
    for (const block of this.#rows.read("ORDER BY first DESC LIMIT 1")) this.#grown(block);
  }

  #look(): void {
    this.#lowest = undefined;
    for (const block of this.#rows.read("ORDER BY first LIMIT 1")) this.#lowest = block;
  }

  #grown(block: Block): void {
    this.#end = block.end;
    this.#lastStoredAt = lastOf(block);
    this.#lowest ??= block;
  }

  // ------------------------------------------------------------ without the messages

  /** The oldest position that retention has left, of the oldest block; undefined when there is none. */
  get first(): number | undefined {
    return this.#lowest?.base;
  }

  /** Where that block begins. */
  get firstBlock(): number | undefined {
    return this.#lowest?.first;
  }

  /** Bytes of the log in front of `first`. */
  get before(): number {
    return this.#lowest?.before ?? 0;
  }

  get firstStoredAt(): number | undefined {
    const lowest = this.#lowest;
    return lowest && stretchAt(lowest, lowest.base).storedAt;
  }

  get lastStoredAt(): number {
    return this.#lastStoredAt;
  }

  /** The block that holds a position from `first` on. */
  blockAt(position: number): Block {
    const recent = this.#recent;
    if (recent !== undefined && position >= recent.first && position < recent.end) return recent;
    const block = this.#rows.find(position);
    if (block === undefined) throw new CodecError(`cold_log has no row with ${position}`);
    this.#recent = block;
    return block;
  }

  storedAt(position: number): number {
    return stretchAt(this.blockAt(position), position).storedAt;
  }

  /** The first position stored at or after the instant, which is not behind the last one's. */
  positionAt(atMs: number): number {
    let low = this.first ?? 0;
    let high = this.#end;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { storedAt, first, count } = stretchAt(this.blockAt(middle), middle);
      if (storedAt >= atMs) high = Math.max(low, first);
      else low = first + count;
    }
    return low;
  }

  /** Oldest first, at most so many. */
  oldest(limit: number): Row[] {
    const rows: Row[] = [];
    for (const { base, stretches } of this.#rows.read("ORDER BY first LIMIT ?", limit)) {
      for (const stretch of stretches) {
        if (rows.length === limit) return rows;
        const { first, count, storedAt } = stretch;
        if (first >= base) rows.push({ first, count, storedAt, bytes: bytesOf(stretch) });
      }
    }
    return rows;
  }

  /** As the log's: what no block below `end` holds, by the newest `rowsMax` blocks. */
  holes(end: number, rowsMax: number) {
    const holes: { offset: number; count: number }[] = [];
    let from = end;
    let rows = 0;
    for (const block of this.#rows.read("ORDER BY first DESC LIMIT ?", rowsMax)) {
      if (block.end !== from)
        holes.push({ offset: Math.min(block.end, from), count: Math.abs(from - block.end) });
      from = block.base;
      rows++;
    }
    const isAll = rows < rowsMax;
    if (isAll && from > (this.first ?? from)) {
      const offset = this.first ?? from;
      holes.push({ offset, count: from - offset });
    }
    return { from: isAll ? (this.first ?? from) : from, holes: holes.toReversed() };
  }

  // ------------------------------------------------------------ the messages

  /** A message from `first` on; "cold": its block is not at hand; undefined: it is lost. */
  read(position: number): Stored | "cold" | undefined {
    const block = this.blockAt(position);
    const segment = locate(this.#atHand(block)?.segments ?? [], position);
    const entry = segment?.entry(position);
    if (segment !== undefined && entry !== undefined) return { entry, storedAt: segment.storedAt };
    return this.#isLost(block) ? undefined : "cold";
  }

  /** Its block is not in the bucket any more, or is not what was put there. */
  isLost(position: number): boolean {
    return this.#lost.size > 0 && this.#isLost(this.blockAt(position));
  }

  #isLost({ first }: Block): boolean {
    return (this.#lost.get(first) ?? 0) > this.nowMs;
  }

  /** Need nobody wait for it? Reads nothing. */
  isSettled(block: Block): boolean {
    return this.#isLost(block) || this.#copies.has(block.first) || this.#fetched.has(block.first);
  }

  /** Of the position's block and the one behind it, what is to be fetched first. */
  awaited(position: number, end: number): Block | undefined {
    const block = this.blockAt(position);
    if (!this.isSettled(block)) return block;
    const next = block.end < end ? this.#rows.find(block.end) : undefined;
    return next === undefined || this.isSettled(next) ? undefined : next;
  }

  #atHand(block: Block): Fetched | undefined {
    const found = this.#fetched.get(block.first, this.nowMs);
    if (found !== undefined || !this.#copies.has(block.first)) return found;
    const object = this.#rows.copy(block.first);
    const copied = { object, segments: unpackBlock(block, object) };
    this.#fetched.put(block.first, copied, this.nowMs);
    return copied;
  }

  /** What the bucket has answered for a block, its own bucket (bodies/bucket.ts). */
  arrived(asked: Block, found: Uint8Array | Exclude<BodyFault, "body_unavailable">): Arrival {
    // Retention may have dropped it meanwhile, and another topic begun here.
    const block = this.#rows.find(asked.first);
    if (block === undefined || !isSame(block, asked)) return "gone";
    if (found === "body_missing" && this.#isDoubted(block)) return "doubted";
    const segments = found instanceof Uint8Array ? unpacked(block, found) : undefined;
    if (segments === undefined || !(found instanceof Uint8Array)) {
      this.#lost.set(block.first, this.nowMs + LOST_MS);
      return "lost";
    }
    if (block.missingSince !== 0) this.#rows.write({ ...block, missingSince: 0 });
    this.#lost.delete(block.first);
    this.#fetched.put(block.first, { object: found, segments }, this.nowMs);
    return "here";
  }

  /** Since when it is missing is on disk, so that a queue that sleeps between two looks comes to an end, too. */
  #isDoubted(block: Block): boolean {
    if (block.missingSince !== 0) return this.nowMs - block.missingSince < DOUBT_MS;
    this.#rows.write({ ...block, missingSince: Math.max(1, this.nowMs) });
    return true;
  }

  // ------------------------------------------------------------ changing

  /** Has the position's block a copy? */
  hasCopy(position: number): boolean {
    return this.#copies.size > 0 && this.#copies.has(this.blockAt(position).first);
  }

  /** Of blocks in memory. */
  get fetchedBytes(): number {
    return this.#fetched.bytes;
  }

  get copyCount(): number {
    return this.#copies.size;
  }

  /** [B3] The position's block, which is at hand, stays so. */
  keep(position: number): void {
    const block = this.blockAt(position);
    const found = this.#atHand(block);
    if (found === undefined) throw new Error(`block ${block.first} is not at hand`);
    this.adopt(block.first, found.object);
  }

  /** [B3] A copy of the block that begins there. */
  adopt(first: number, object: Uint8Array): void {
    this.#rows.putCopy(first, object);
    this.#copies.add(first);
  }

  /** [B3] Copies of blocks without a message in flight go. */
  letGo(isHeld: (from: number, to: number) => boolean): void {
    for (const first of this.#copies) {
      const { base, end } = this.blockAt(first);
      if (isHeld(base, end)) continue;
      this.#rows.dropCopy(first);
      this.#copies.delete(first);
    }
  }

  /** Blocks in memory that nobody has read for a while. */
  forgetUnread(): void {
    this.#fetched.forgetUnread(this.nowMs);
  }

  /** [B4] The bucket has a block that follows the others. */
  add(block: Block): void {
    this.#rows.write(block);
    this.#grown(block);
  }

  /** Everything below the position, which is a segment's first or the end, goes. */
  truncate(position: number): void {
    const lowest = this.#lowest;
    if (lowest === undefined || position <= lowest.base) return;
    const [last] = [...this.#rows.read("WHERE first < ? ORDER BY first DESC LIMIT 1", position)];
    if (last === undefined || position >= last.end) this.#rows.dropBelow(position);
    else {
      const gone = last.stretches.filter(({ first }) => first >= last.base && first < position);
      const before = last.before + gone.reduce((sum, stretch) => sum + bytesOf(stretch), 0);
      this.#rows.dropBelow(last.first);
      this.#rows.write({ ...last, base: position, before });
    }
    this.#recent = undefined;
    this.#look();
    const from = this.firstBlock ?? Infinity;
    this.#fetched.forgetBelow(from);
    for (const set of [this.#copies, this.#lost])
      for (const first of set.keys()) if (first < from) set.delete(first);
  }
}

function stretchAt({ stretches, first }: Block, position: number): Stretch {
  const found = stretches.findLast((stretch) => stretch.first <= position);
  if (found === undefined) throw new CodecError(`block ${first} has no segment with ${position}`);
  return found;
}

const isSame = (one: Block, other: Block): boolean =>
  one.end === other.end && one.ref.key.every((byte, index) => byte === other.ref.key[index]);

function unpacked(block: Block, object: Uint8Array): Segment[] | undefined {
  try {
    return unpackBlock(block, object);
  } catch (error) {
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}
