/**
 * What happened to each message of a topic with `trace`, beyond what its logs tell: deliveries, acks, nacks, checks. An
 * event is some ten bytes in the flush's own delta, consecutive messages sharing one; pages of events are written when the
 * journal's ring comes round. It never decides anything, and forgets a message's events with the message itself.
 */
import { ByteReader, ByteWriter } from "../../core/bytes.ts";
import type { Journal, Page } from "../storage/journal.ts";
import { OPERATION } from "../storage/operations.ts";
import { textOf, type Sql } from "../storage/storage.ts";

/** Which log a message stands in, and how many of its positions share a page. Part of the storage format. */
const FAMILIES = { log: ["l", 256], half: ["h", 1_024], delayed: ["d", 4_096] } as const;
export type TraceFamily = keyof typeof FAMILIES;
const NAMES = ["log", "half", "delayed"] as const;

/** Part of the storage format: a kind's number is its place here. */
const KINDS = [
  "delivered",
  "acked",
  "nacked",
  "leaseExpired",
  "deadLettered",
  "held",
  "redriven",
  "checked",
  "retimed",
  "recalled",
] as const;

/** Events of a page past this are not kept: one message may be tried a thousand times. */
const PAGE_BYTES_MAX = 256 * 1024;
const REASON_CHARS_MAX = 200;
/** Saved pages that stay in memory, and rows that one sweep looks at. */
const PAGES_MAX = 32;
const SWEPT_MAX = 64;

export interface Noted {
  readonly kind: (typeof KINDS)[number];
  /** Number of the consumer group; 0: none. */
  readonly group: number;
  readonly at: number;
  /** The attempt, the number of the check, or the new instant. */
  readonly value: number;
  readonly reason: string;
}

class TracePage implements Page {
  readonly name: string;
  readonly family: TraceFamily;
  readonly number: number;
  savedSeq = 0;
  dirtySeq = 0;
  readonly events = new ByteWriter(256);

  constructor(family: TraceFamily, number: number) {
    this.family = family;
    this.number = number;
    this.name = `t${FAMILIES[family][0]}:${number}`;
  }

  encode(writer: ByteWriter): void {
    writer.raw(this.events.view());
  }
}

export class Trace {
  readonly #sql: Sql;
  readonly #journal: Journal;
  readonly #pages = new Map<string, TracePage>();
  readonly #scratch = new ByteWriter(64);
  #swept = "";
  #enabled = false;
  /** May there be saved pages? */
  hasPages = false;
  /** Of the flush under way. */
  nowMs = 0;

  constructor(sql: Sql, journal: Journal) {
    this.#sql = sql;
    this.#journal = journal;
  }

  /** Whether the topic wants it. */
  get enabled(): boolean {
    return this.#enabled;
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled;
    this.hasPages ||= enabled;
  }

  /** The same happened to consecutive messages. */
  note(
    family: TraceFamily,
    [first, count]: readonly [first: number, count: number],
    what: { kind: Noted["kind"]; group?: number; value?: number; reason?: string },
  ): void {
    if (!this.#enabled) return;
    const size = FAMILIES[family][1];
    const { kind, group = 0, value = 0, reason = "" } = what;
    for (let from = first, end = first + count; from < end;) {
      const page = this.#page(family, Math.floor(from / size));
      const to = Math.min(end, (page.number + 1) * size);
      this.#scratch.reset();
      this.#scratch
        .uint(from % size)
        .uint(to - from)
        .byte(KINDS.indexOf(kind))
        .uint(group);
      this.#scratch.uint(this.nowMs).uint(value).text(reason.slice(0, REASON_CHARS_MAX));
      from = to;
      if (page.events.length + this.#scratch.length > PAGE_BYTES_MAX) continue;
      const event = this.#scratch.view();
      this.#journal
        .change(page)
        .byte(OPERATION.traced)
        .byte(NAMES.indexOf(family))
        .uint(page.number)
        .blob(event);
      page.events.raw(event);
    }
  }

  /** What was noted of a message, oldest first. */
  of(family: TraceFamily, position: number): Noted[] {
    const size = FAMILIES[family][1];
    const page = this.#find(family, Math.floor(position / size));
    if (page === undefined) return [];
    const place = position % size;
    const noted: Noted[] = [];
    const reader = new ByteReader(page.events.view());
    while (!reader.done) {
      const first = reader.uint();
      const count = reader.uint();
      const kind = KINDS[reader.byte()];
      const event = { group: reader.uint(), at: reader.uint(), value: reader.uint() };
      const reason = reader.text();
      if (kind !== undefined && place >= first && place < first + count)
        noted.push({ kind, ...event, reason });
    }
    return noted;
  }

  /** Drops some pages of messages that are gone; all of them come round in turn. */
  sweep(isGone: (family: TraceFamily, first: number, end: number) => boolean): void {
    if (!this.hasPages) return;
    let last = "";
    const query =
      "SELECT name FROM page WHERE name > ? AND name GLOB 't[lhd]:*' ORDER BY name LIMIT ?";
    for (const row of Array.from(this.#sql.exec(query, this.#swept, SWEPT_MAX))) {
      last = textOf(row["name"]);
      const family = NAMES.find((name) => FAMILIES[name][0] === last.charAt(1)) ?? "log";
      const number = Number(last.slice(3));
      const size = FAMILIES[family][1];
      if (!isGone(family, number * size, (number + 1) * size)) continue;
      const page = this.#find(family, number);
      if (page === undefined) continue;
      this.#journal.retire(page);
      this.#pages.delete(page.name);
    }
    this.#swept = last;
  }

  /** The end of a flush: pages that are as they are saved can be read again. */
  trim(): void {
    if (this.#pages.size <= PAGES_MAX) return;
    for (const page of this.#pages.values()) {
      if (page.dirtySeq === 0) this.#pages.delete(page.name);
      if (this.#pages.size <= PAGES_MAX) return;
    }
  }

  #page(family: TraceFamily, number: number): TracePage {
    const found = this.#find(family, number);
    if (found !== undefined) return found;
    const page = new TracePage(family, number);
    this.#pages.set(page.name, page);
    return page;
  }

  #find(family: TraceFamily, number: number): TracePage | undefined {
    const page = new TracePage(family, number);
    const held = this.#pages.get(page.name);
    if (held !== undefined) return held;
    const saved = this.#journal.read(page.name);
    if (saved === undefined) return undefined;
    page.savedSeq = saved.seq;
    page.events.raw(saved.data);
    this.#pages.set(page.name, page);
    return page;
  }

  /** Repeats one operation on waking. */
  apply(reader: ByteReader, seq: number): void {
    const family = NAMES[reader.byte()] ?? "log";
    const page = this.#page(family, reader.uint());
    const event = reader.blob();
    this.hasPages = true;
    if (seq <= page.savedSeq) return;
    this.#journal.restoreDirty(page, seq);
    page.events.raw(event);
  }
}
