/**
 * The half messages of a queue: their log, and what became of each transaction. A check is a redelivery to the producer,
 * commit and rollback are acks of it. It stores and finds; what a decision does is core/half-message.ts's to say, and
 * what a commit does to the other logs is transactions.ts's.
 *
 * Pages whose transactions are all decided leave memory for the archive table until their time is over.
 */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { LastCheck, TransactionState } from "../../protocol/rpc.ts";
import { HalfArchive } from "./archive.ts";
import { readLastCheck, writeLastCheck } from "./last-check.ts";
import { DiscardedPages, HalfShelf } from "./shelf.ts";
import { OpenHalves, type OpenHalf } from "./open.ts";
import {
  HALF_PAGE,
  HalfPage,
  readDecided,
  readPlaced,
  writeDecided,
  writePlaced,
  type Decided,
  type Placed,
  type Progress,
} from "./page.ts";
import {
  decodeHalf,
  encodeHalf,
  readSummary,
  summarizeHalves,
  type HalfHead,
  type HalfRecord,
} from "./record.ts";
import type { Journal, Page } from "../storage/journal.ts";
import { OPERATION } from "../storage/operations.ts";
import { SegmentLog, type BeforeDrop } from "../log/segments.ts";
import type { OpenStorage } from "../storage/facts.ts";

const VERSION = 2;
/** Segments looked at in one go on waking. */
const WAKE_SEGMENTS = 1_000;

export class Halves implements Page {
  readonly name = "h";
  savedSeq = 0;
  dirtySeq = 0;
  readonly log: SegmentLog;
  readonly open = new OpenHalves();
  readonly counts: Record<"committed" | "rolledBack" | "discarded", number> = {
    committed: 0,
    rolledBack: 0,
    discarded: 0,
  };
  readonly #archive: HalfArchive;
  readonly #journal: Journal;
  readonly #pages = new Map<number, HalfPage>();
  readonly #shelf = new HalfShelf();
  readonly #discarded = new DiscardedPages();

  constructor(storage: OpenStorage, journal: Journal) {
    this.#archive = new HalfArchive(storage.sql);
    this.#journal = journal;
    this.log = new SegmentLog(storage, {
      table: "half_log",
      pageEntries: HALF_PAGE,
      summarize: summarizeHalves,
    });
  }

  // ------------------------------------------------------------ changing

  prepare(half: HalfRecord, nowMs: number): OpenHalf {
    const position = this.log.append(encodeHalf(half), nowMs);
    const preparedAt = this.log.storedAt(nowMs);
    return this.#opened(position, half, preparedAt, undefined);
  }

  #opened(
    position: number,
    half: HalfHead,
    preparedAt: number,
    progress: Progress | undefined,
  ): OpenHalf {
    const open: OpenHalf = {
      position,
      producerGroup: half.producerGroup,
      policy: half.policy,
      preparedAt,
      checks: progress?.checks ?? 0,
      nextCheckAt: progress?.nextCheckAt ?? preparedAt + half.policy.timeoutMs,
      openUntil: progress?.openUntil ?? 0,
      lastCheck: progress?.lastCheck,
      offeredUntil: 0,
    };
    this.open.add(open);
    return open;
  }

  checkBegun(open: OpenHalf, nextCheckAt: number, openUntil: number): void {
    const page = this.#page(open.position);
    this.#journal
      .change(page)
      .byte(OPERATION.checkBegun)
      .uint(open.position)
      .uint(open.checks + 1)
      .uint(nextCheckAt)
      .uint(openUntil);
    this.#progress(page, open, { checks: open.checks + 1, nextCheckAt, openUntil });
  }

  checkEnded(open: OpenHalf, lastCheck: LastCheck): void {
    const page = this.#page(open.position);
    const writer = this.#journal.change(page).byte(OPERATION.checkEnded).uint(open.position);
    writeLastCheck(writer, lastCheck);
    this.#progress(page, open, { openUntil: 0, lastCheck });
  }

  postpone(open: OpenHalf, nextCheckAt: number): void {
    const page = this.#page(open.position);
    this.#journal.change(page).byte(OPERATION.postponed).uint(open.position).uint(nextCheckAt);
    this.#progress(page, open, { nextCheckAt });
  }

  #progress(page: HalfPage, open: OpenHalf, change: Partial<Progress>): void {
    const { checks, nextCheckAt, openUntil, lastCheck } = open;
    const progress = { checks, nextCheckAt, openUntil, lastCheck, ...change };
    page.progress.set(open.position, progress);
    Object.assign(open, progress, { offeredUntil: 0 });
    this.open.schedule(open);
  }

  decide(open: OpenHalf, decided: Decided): void {
    const page = this.#page(open.position);
    const writer = this.#journal.change(page).byte(OPERATION.decided).uint(open.position);
    writeDecided(writer, decided);
    this.#journal.touch(this);
    this.#applyDecided(page, open.position, decided);
    this.#count(open.position, decided.state);
    this.open.delete(open.position);
    this.#archiveIfComplete(page);
  }

  #applyDecided(page: HalfPage, position: number, decided: Decided): void {
    page.progress.delete(position);
    page.decided.set(position, decided);
  }

  #count(position: number, state: "committed" | "rolledBack" | "discarded"): void {
    this.counts[state]++;
    if (state === "discarded") this.#discarded.add(position);
  }

  /** A discarded one is prepared again, its checks at 0. */
  resume(position: number, nextCheckAt: number): OpenHalf | undefined {
    const half = this.read(position);
    const page = this.#unarchive(position);
    if (half === undefined || page === undefined) return undefined;
    this.#journal.change(page).byte(OPERATION.resumed).uint(position).uint(nextCheckAt);
    this.#journal.touch(this);
    this.#applyResumed(page, position, nextCheckAt);
    this.#countResumed(position);
    return this.#opened(position, half, half.preparedAt, page.progress.get(position));
  }

  #applyResumed(page: HalfPage, position: number, nextCheckAt: number): void {
    page.decided.delete(position);
    page.progress.set(position, { checks: 0, nextCheckAt, openUntil: 0, lastCheck: undefined });
  }

  #countResumed(position: number): void {
    this.counts.discarded--;
    this.#discarded.remove(position);
  }

  /** A message that was on its way to another queue arrived there, or never will. */
  place(position: number, index: number, placed: Placed): void {
    const page = this.#unarchive(position);
    const decided = page?.decided.get(position);
    if (page === undefined || decided === undefined) return;
    const writer = this.#journal.change(page).byte(OPERATION.placed).uint(position).uint(index);
    writePlaced(writer, placed);
    decided.placed[index] = placed;
    this.#archiveIfComplete(page);
  }

  // ------------------------------------------------------------ finding

  stateOf(position: number): TransactionState | undefined {
    if (this.open.get(position) !== undefined) return "prepared";
    return this.decidedAt(position)?.state;
  }

  decidedAt(position: number): Decided | undefined {
    return this.#find(Math.floor(position / HALF_PAGE))?.decided.get(position);
  }

  read(position: number): (HalfRecord & { preparedAt: number }) | undefined {
    const read = this.log.read(position);
    return read === undefined
      ? undefined
      : { ...decodeHalf(read.entry), preparedAt: read.storedAt };
  }

  /** Discarded ones from a position on, in order: at least `limit`, if there are as many. */
  discardedFrom(from: number, limit: number): number[] {
    const found: number[] = [];
    for (const number of this.#discarded.from(from)) {
      const decided = [...(this.#find(number)?.decided ?? [])];
      const positions = decided.flatMap(([position, { state }]) =>
        state === "discarded" && position >= from ? [position] : [],
      );
      found.push(...positions.toSorted((a, b) => a - b));
      if (found.length >= limit) break;
    }
    return found;
  }

  #page(position: number): HalfPage {
    const number = Math.floor(position / HALF_PAGE);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new HalfPage(number);
      this.#pages.set(number, page);
    }
    return page;
  }

  #find(number: number): HalfPage | undefined {
    const page = this.#pages.get(number) ?? this.#archive.find(number);
    if (page === undefined && this.#shelf.has(number) && this.log.holds(number * HALF_PAGE))
      throw new CodecError(`half page ${number} is missing`);
    return page;
  }

  // ------------------------------------------------------------ archive

  #archiveIfComplete(page: HalfPage): void {
    if (!page.complete) return;
    for (const { placed } of page.decided.values())
      if (placed.some(({ at }) => at === "link")) return;
    let until = 0;
    for (const { state, at } of page.decided.values()) {
      until = Math.max(until, at + (state === "discarded" ? LIMITS.keptCopyMs : 0));
    }
    this.#archive.put(page, until);
    this.#journal.retire(page);
    this.#pages.delete(page.number);
    this.#shelf.put(page.number);
    this.#journal.save(this);
  }

  #unarchive(position: number): HalfPage | undefined {
    const number = Math.floor(position / HALF_PAGE);
    const live = this.#pages.get(number);
    if (live !== undefined) return live;
    const page = this.#find(number);
    if (page === undefined) return undefined;
    this.#archive.remove(number);
    this.#shelf.take(number);
    this.#pages.set(number, page);
    page.savedSeq = 0;
    this.#journal.save(page);
    this.#journal.save(this);
    return page;
  }

  /**
   * Forgets archived pages whose time is over; `decidedBefore` bounds those that were not discarded. `beforeDrop` is
   * called before rows of the log go, with their positions.
   */
  dropArchived(decidedBefore: number, nowMs: number, beforeDrop: BeforeDrop): void {
    for (const { number } of this.#archive.due(decidedBefore)) {
      const page = this.#archive.find(number);
      if (page === undefined) continue;
      for (const { state, at } of page.decided.values())
        if (state === "discarded" && at + LIMITS.keptCopyMs > nowMs) return;
      beforeDrop(number * HALF_PAGE, (number + 1) * HALF_PAGE);
      this.#discarded.drop(number);
      this.#archive.remove(number);
      this.log.dropPage(number, HALF_PAGE);
      this.#journal.save(this);
    }
  }

  // ------------------------------------------------------------ waking

  encode(writer: ByteWriter): void {
    writer
      .byte(VERSION)
      .uint(this.counts.committed)
      .uint(this.counts.rolledBack)
      .uint(this.counts.discarded);
    this.#shelf.encode(writer);
    this.#discarded.encode(writer);
  }

  restoreHead(data: Uint8Array, seq: number): void {
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown half head version");
    this.savedSeq = seq;
    this.counts.committed = reader.uint();
    this.counts.rolledBack = reader.uint();
    this.counts.discarded = reader.uint();
    this.#shelf.restore(reader);
    this.#discarded.restore(reader);
  }

  restorePage(number: number, data: Uint8Array, seq: number): void {
    this.#pages.set(number, HalfPage.decode(number, data, seq));
  }

  apply(kind: number, reader: ByteReader, seq: number): void {
    const position = reader.uint();
    const number = Math.floor(position / HALF_PAGE);
    const gone = this.#shelf.has(number);
    const page = gone ? new HalfPage(number) : this.#page(position);
    const news = !gone && seq > page.savedSeq;
    if (news) this.#journal.restoreDirty(page, seq);
    switch (kind) {
      case OPERATION.checkBegun: {
        const [checks, nextCheckAt] = [reader.uint(), reader.uint()];
        const change = { checks, nextCheckAt, openUntil: reader.uint() };
        if (news) replay(page, position, change);
        return;
      }
      case OPERATION.checkEnded: {
        const change = { openUntil: 0, lastCheck: readLastCheck(reader) };
        if (news && page.progress.has(position)) replay(page, position, change);
        return;
      }
      case OPERATION.postponed: {
        const change = { nextCheckAt: reader.uint() };
        if (news) replay(page, position, change);
        return;
      }
      case OPERATION.decided: {
        const decided = readDecided(reader);
        if (news) this.#applyDecided(page, position, decided);
        if (seq > this.savedSeq) this.#count(position, decided.state);
        break;
      }
      case OPERATION.resumed: {
        const nextCheckAt = reader.uint();
        if (news) this.#applyResumed(page, position, nextCheckAt);
        if (seq > this.savedSeq) this.#countResumed(position);
        break;
      }
      case OPERATION.placed: {
        const index = reader.uint();
        const placed = readPlaced(reader);
        const decided = news ? page.decided.get(position) : undefined;
        if (decided !== undefined) decided.placed[index] = placed;
        return;
      }
      default:
        throw new CodecError(`unknown half operation ${kind}`);
    }
    if (seq > this.savedSeq) this.#journal.restoreDirty(this, seq);
  }

  /** After the replay: everything in the log that has no decision is open. Reads no bodies, and no archived page. */
  settle(): void {
    let from = this.#shelf.nextOff(0) * HALF_PAGE;
    while (from < this.log.next) {
      const segments = this.log.heads(from, WAKE_SEGMENTS);
      if (segments.length === 0) return;
      for (const { first, count, storedAt, head } of segments) {
        // A segment lies within one page.
        const number = Math.floor(first / HALF_PAGE);
        from = first + count;
        if (this.#shelf.has(number)) {
          from = this.#shelf.nextOff(number) * HALF_PAGE;
          break;
        }
        this.#openAll(first, storedAt, head);
      }
    }
  }

  #openAll(first: number, storedAt: number, head: Uint8Array): void {
    const page = this.#pages.get(Math.floor(first / HALF_PAGE));
    for (const [index, half] of readSummary(head).entries()) {
      const position = first + index;
      if (page?.decided.has(position) === true) continue;
      this.#opened(position, half, storedAt, page?.progress.get(position));
    }
  }
}

/** `nextCheckAt` is in the first change of each. */
function replay(page: HalfPage, position: number, change: Partial<Progress>): void {
  const before = { checks: 0, nextCheckAt: 0, openUntil: 0, lastCheck: undefined };
  page.progress.set(position, { ...before, ...page.progress.get(position), ...change });
}
