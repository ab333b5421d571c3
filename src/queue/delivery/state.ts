/**
 * What one queue knows of one consumer group, or of one consumer of a broadcast group: how far it has read, what it is done with, what is in flight.
 * Every change goes through a method here that changes memory and writes the operation, and `apply` repeats the same
 * change on waking. It decides nothing: chooser.ts and group.ts do.
 *
 * Below `base` (a page number) everything is done. At or above `cursor` nothing was ever delivered.
 */
import type { ByteReader, ByteWriter } from "../../core/bytes.ts";
import { Heap } from "../../core/heap.ts";
import type { Journal, Page } from "../storage/journal.ts";
import { OPERATION } from "../storage/operations.ts";
import type { Balance } from "./account.ts";
import { writeAttempt, type Attempt } from "./attempts.ts";
import { Head, writePaid } from "./head.ts";
import { isNews } from "./owner.ts";
import { DeliveryPage, PAGE_OFFSETS, type Flight } from "./page.ts";
import { pageOf, Pages } from "./pages.ts";

export class GroupState extends Head implements Page {
  readonly group: number;
  readonly name: string;
  savedSeq = 0;
  dirtySeq = 0;
  /** Due instants of flights; stale entries are recognized by comparing with the flight. */
  readonly due = new Heap();
  readonly #pages: Pages;
  readonly #journal: Journal;

  constructor(group: number, journal: Journal) {
    super();
    this.group = group;
    this.name = `g${group}`;
    this.#pages = new Pages(group);
    this.#journal = journal;
  }

  // ------------------------------------------------------------ reading

  get base(): number {
    return this.#pages.base;
  }

  flight(offset: number): Flight | undefined {
    return this.#pages.flight(offset);
  }

  flights(): Iterable<Flight> {
    return this.#pages.flights();
  }

  isDone(offset: number): boolean {
    return this.#pages.isDone(offset);
  }

  /** How many of the offsets below `next` the group is not done with. */
  openCount(next: number): number {
    return next - this.base * PAGE_OFFSETS - this.#pages.doneAboveBase();
  }

  lowWater(next: number): number {
    return this.#pages.lowWater(next);
  }

  holdsBetween(from: number, to: number): boolean {
    return this.#pages.holdsBetween(from, to);
  }

  // ------------------------------------------------------------ changing

  #write(page: Page, operation: number): ByteWriter {
    return this.#journal.change(page).byte(operation).uint(this.group).uint(this.epoch);
  }

  /** Leases a run of consecutive offsets that share generation and attempt. */
  lease(
    first: number,
    count: number,
    delivery: { generation: number; attempt: number; dueAt: number },
  ): void {
    for (const { page, from, to } of this.#pages.runs(first, count)) {
      this.#write(page, OPERATION.lease)
        .uint(from)
        .uint(to - from)
        .uint(delivery.generation)
        .uint(delivery.attempt)
        .uint(delivery.dueAt);
      this.#journal.touch(this);
      this.#applyLease(page, from, to, delivery);
    }
    // The cursor is the scan's: in an ordered group that has just woken it stands below what is in flight, and what
    // lies between is not looked at yet.
  }

  #applyLease(
    page: DeliveryPage,
    from: number,
    to: number,
    delivery: { generation: number; attempt: number; dueAt: number },
  ): void {
    for (let offset = from; offset < to; offset++) {
      page.flights.set(offset, { offset, ...delivery, leased: true });
      this.due.push(delivery.dueAt, offset);
    }
  }

  /** The group is done with a run of consecutive offsets: acked, or put aside among the dead letters. */
  done(first: number, count: number, how: "acked" | "buried"): void {
    for (const { page, from, to } of this.#pages.runs(first, count)) {
      this.#write(page, how === "acked" ? OPERATION.done : OPERATION.buried)
        .uint(from)
        .uint(to - from);
      this.#journal.touch(this);
      this.account[how] += to - from;
      for (let offset = from; offset < to; offset++) this.#applyDone(page, offset);
    }
    this.#retirePages();
  }

  /** What became of all messages below `next` since the group began or was moved. */
  balance(next: number, filters: boolean): Balance {
    return this.account.balance(next, this.openCount(next), this.expired, filters);
  }

  /** The filter changes: what the present one has passed over stays so, and what it means for waking is saved. */
  refilter(next: number, filters: boolean): void {
    this.account.passedBefore = this.balance(next, filters).passed;
    this.saveAll();
  }

  #applyDone(page: DeliveryPage, offset: number): void {
    page.flights.delete(offset);
    page.setDone(offset);
  }

  /** The message is past its own time to live. */
  expire(offset: number): void {
    const page = this.#pages.at(offset);
    this.#write(page, OPERATION.expired).uint(offset);
    this.#journal.touch(this);
    this.#applyDone(page, offset);
    this.expired++;
    this.#retirePages();
  }

  /** Passed over by the filter. Costs no operation: waking evaluates the filter again, up to the last `scanned`. */
  pass(offset: number): void {
    const page = this.#pages.at(offset);
    page.setDone(offset);
    this.#retirePages();
  }

  /** Everything below `cursor` that is not in flight is done: kept once in a while, so that waking need not rescan. */
  scanned(): void {
    this.#write(this, OPERATION.scanned).uint(this.cursor);
  }

  retry(flight: Flight, dueAt: number): void {
    const page = this.#pages.at(flight.offset);
    this.#write(page, OPERATION.retry).uint(flight.offset).uint(dueAt);
    flight.leased = false;
    flight.dueAt = dueAt;
    this.due.push(dueAt, flight.offset);
  }

  extend(flight: Flight, dueAt: number): void {
    const page = this.#pages.at(flight.offset);
    this.#write(page, OPERATION.extend).uint(flight.offset).uint(dueAt);
    flight.leased = true;
    flight.dueAt = dueAt;
    this.due.push(dueAt, flight.offset);
  }

  rememberAttempt(key: string, attempt: Attempt, nowMs: number): void {
    writeAttempt(this.#write(this, OPERATION.attempt).text(key), attempt);
    this.attempts.tidy(
      ({ until, items }) =>
        until > nowMs &&
        items.some(({ offset, generation }) => this.flight(offset)?.generation === generation),
    );
    this.attempts.set(key, attempt);
  }

  /** Starts anew at the offset; every lease and receipt so far is void. */
  seek(offset: number): void {
    this.epoch++;
    this.#write(this, OPERATION.seek).uint(offset);
    for (const page of this.#pages) this.#journal.retire(page);
    this.#applySeek(offset);
    // The head's row stands for the seek from now on, so what it made of the page must be in a row as well.
    for (const page of this.#pages) this.#journal.save(page);
    this.#journal.save(this);
  }

  #applySeek(offset: number): void {
    this.due.clear();
    this.attempts.clear();
    this.#pages.begin(offset);
    this.cursor = offset;
    this.account.begin(offset, this.expired);
  }

  /** First sight of the group: it begins at the offset. */
  begin(offset: number): void {
    this.#applySeek(offset);
    this.#journal.save(this);
    for (const page of this.#pages) this.#journal.save(page);
  }

  drained(from: number): void {
    if (this.drainedFrom.has(from)) return;
    this.#write(this, OPERATION.drained).uint(from);
    this.drainedFrom.add(from);
  }

  /** Deliveries are paid for until then. */
  pace(paidUntil: number): void {
    writePaid(this.#write(this, OPERATION.paced), paidUntil);
    this.paidUntil = paidUntil;
  }

  /** The consumer has shown itself. */
  seen(nowMs: number): void {
    if (this.owner === undefined || !isNews(this.owner, nowMs)) return;
    this.#write(this, OPERATION.seen).uint(nowMs);
    this.owner = { ...this.owner, seenAt: nowMs };
  }

  /** Retention took everything below the offset; answers how many the group had not done. */
  truncate(offset: number): number {
    const lost = this.#pages.openBelow(offset);
    this.cursor = Math.max(this.cursor, offset);
    // Who is done with all of it, as most are, has nothing to write.
    if (lost === 0) return 0;
    this.#write(this, OPERATION.truncated).uint(offset).uint(lost);
    this.expired += lost;
    const cut = this.#applyTruncate(offset);
    if (cut !== undefined) this.#journal.touch(cut);
    return lost;
  }

  /** Answers the page that the offset lies in, when some of it is left. */
  #applyTruncate(offset: number): DeliveryPage | undefined {
    for (const page of this.#pages.truncate(offset)) this.#journal.retire(page);
    this.cursor = Math.max(this.cursor, offset);
    if (offset % PAGE_OFFSETS === 0 || pageOf(offset) < this.base) return undefined;
    const page = this.#pages.at(offset);
    for (let below = page.number * PAGE_OFFSETS; below < offset; below++)
      this.#applyDone(page, below);
    return page;
  }

  /** A wholly done page at the low end goes, and the head is saved in the same flush so that nothing forgets it [J1]. */
  #retirePages(): void {
    let page = this.#pages.get(this.base);
    if (page === undefined || !page.complete) return;
    while (page !== undefined && page.complete && page.flights.size === 0) {
      this.#journal.retire(page);
      this.#pages.delete(this.base);
      page = this.#pages.get(++this.#pages.base);
    }
    this.cursor = Math.max(this.cursor, this.base * PAGE_OFFSETS);
    this.#journal.save(this);
  }

  /** Every page and the head in full: what was only passed over by the present filter stays passed over. */
  saveAll(): void {
    for (const page of this.#pages) this.#journal.save(page);
    this.#journal.save(this);
  }

  /** The group is gone: so is every row of it. */
  forget(): void {
    for (const page of this.#pages) this.#journal.retire(page);
    this.#journal.retire(this);
  }

  // ------------------------------------------------------------ waking

  encode(writer: ByteWriter): void {
    this.writeHead(writer, this.base);
  }

  restoreHead(data: Uint8Array, seq: number): void {
    this.#pages.base = this.readHead(data);
    this.savedSeq = seq;
  }

  restorePage(number: number, data: Uint8Array, seq: number): void {
    if (number < this.base) return;
    const page = DeliveryPage.decode(this.group, number, data, seq);
    this.#pages.set(page);
    for (const flight of page.flights.values()) this.due.push(flight.dueAt, flight.offset);
  }

  /** Repeats one operation whose kind and group are read already. */
  apply(kind: number, reader: ByteReader, seq: number): void {
    const epoch = reader.uint();
    const live = epoch === this.epoch || (kind === OPERATION.seek && epoch > this.epoch);
    const head = live && seq > this.savedSeq;
    if (head) this.#journal.restoreDirty(this, seq);
    switch (kind) {
      case OPERATION.lease:
        return this.#replayLease(reader, seq, live);
      case OPERATION.done:
      case OPERATION.buried: {
        const [from, count] = [reader.uint(), reader.uint()];
        if (head) this.account[kind === OPERATION.done ? "acked" : "buried"] += count;
        const page = live ? this.#replayPage(from, seq) : undefined;
        if (page !== undefined)
          for (let offset = from; offset < from + count; offset++) this.#applyDone(page, offset);
        return;
      }
      case OPERATION.expired: {
        const offset = reader.uint();
        if (head) this.expired++;
        const page = live ? this.#replayPage(offset, seq) : undefined;
        if (page !== undefined) this.#applyDone(page, offset);
        return;
      }
      case OPERATION.retry:
      case OPERATION.extend: {
        const offset = reader.uint();
        const dueAt = reader.uint();
        const flight = live ? this.#replayPage(offset, seq)?.flights.get(offset) : undefined;
        if (flight === undefined) return;
        flight.leased = kind === OPERATION.extend;
        flight.dueAt = dueAt;
        this.due.push(dueAt, offset);
        return;
      }
      case OPERATION.seek: {
        const offset = reader.uint();
        if (!head) return;
        this.epoch = epoch;
        this.#applySeek(offset);
        return;
      }
      case OPERATION.truncated:
        return this.#replayTruncate(reader, seq, live);
      default:
        return this.replayHead(kind, reader, head);
    }
  }

  /** The page, if the operation is news to it. */
  #replayPage(offset: number, seq: number): DeliveryPage | undefined {
    if (pageOf(offset) < this.base) return undefined;
    const page = this.#pages.at(offset);
    if (seq <= page.savedSeq) return undefined;
    this.#journal.restoreDirty(page, seq);
    return page;
  }

  #replayLease(reader: ByteReader, seq: number, live: boolean): void {
    const from = reader.uint();
    const to = from + reader.uint();
    const delivery = { generation: reader.uint(), attempt: reader.uint(), dueAt: reader.uint() };
    if (!live) return;
    const page = this.#replayPage(from, seq);
    if (page !== undefined) this.#applyLease(page, from, to, delivery);
    if (seq > this.savedSeq) this.cursor = Math.max(this.cursor, to);
  }

  #replayTruncate(reader: ByteReader, seq: number, live: boolean): void {
    const offset = reader.uint();
    const lost = reader.uint();
    if (!live) return;
    if (seq > this.savedSeq) this.expired += lost;
    const cut = this.#applyTruncate(offset);
    if (cut !== undefined && seq > cut.savedSeq) this.#journal.restoreDirty(cut, seq);
  }

  /**
   * After the replay. Without order or filter gaps, what lies below the cursor and is not in flight was passed over. So was what
   * seems open below the log's first offset: what retention took from the group it wrote down.
   */
  settle(skipsAreDone: boolean, first: number): void {
    if (this.#pages.openBelow(first) > 0) this.#applyTruncate(first);
    if (skipsAreDone) this.#pages.passOver(this.cursor);
    this.#retirePages();
  }
}
