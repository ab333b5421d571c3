/**
 * A page of transaction states: 1,024 positions of the half log. Undecided ones stand in it only once they were checked
 * or postponed; the decided ones with their decision. State and layout; the rules are in core/half-message.ts.
 */
import { ByteReader, CodecError, type ByteWriter } from "../../core/bytes.ts";
import type { Decider, LastCheck } from "../../protocol/rpc.ts";
import { readLastCheck, writeLastCheck } from "./last-check.ts";
import type { Page } from "../storage/journal.ts";

export const HALF_PAGE = 1_024;
const VERSION = 2;

/** Where a message of a committed transaction went. */
export type Placed =
  | { readonly at: "log"; readonly queue: number; readonly offset: number }
  | { readonly at: "delayed"; readonly position: number; readonly deliverAt: number }
  /** On its way to another queue. */
  | { readonly at: "link" }
  | {
      readonly at: "remote";
      readonly queue: number;
      readonly offset?: number;
      /** Its position among the delayed messages there. */
      readonly delayed?: number;
      readonly deliverAt?: number;
    }
  | { readonly at: "undeliverable" }
  /** Another message with its dedup id was there first. */
  | { readonly at: "duplicate"; readonly id: string };

export interface Decided {
  readonly state: "committed" | "rolledBack" | "discarded";
  readonly by: Decider | undefined;
  readonly at: number;
  readonly checks: number;
  readonly lastCheck?: LastCheck | undefined;
  placed: Placed[];
}

/** What of an undecided transaction is not in its half log entry. */
export interface Progress {
  checks: number;
  nextCheckAt: number;
  openUntil: number;
  lastCheck: LastCheck | undefined;
}

const STATES = ["committed", "rolledBack", "discarded"] as const;
const DECIDERS = ["producer", "check", "operator"] as const;

export function writePlaced(writer: ByteWriter, placed: Placed): void {
  switch (placed.at) {
    case "log":
      writer.byte(1).uint(placed.queue).uint(placed.offset);
      return;
    case "delayed":
      writer.byte(2).uint(placed.position).uint(placed.deliverAt);
      return;
    case "link":
      writer.byte(3);
      return;
    case "remote":
      writer
        .byte(7)
        .uint(placed.queue)
        .uint((placed.offset ?? -1) + 1)
        .uint((placed.delayed ?? -1) + 1)
        .uint(placed.deliverAt ?? 0);
      return;
    case "undeliverable":
      writer.byte(5);
      return;
    case "duplicate":
      writer.byte(6).text(placed.id);
      return;
  }
}

export function readPlaced(reader: ByteReader): Placed {
  const kind = reader.byte();
  switch (kind) {
    case 1:
      return { at: "log", queue: reader.uint(), offset: reader.uint() };
    case 2:
      return { at: "delayed", position: reader.uint(), deliverAt: reader.uint() };
    case 3:
      return { at: "link" };
    case 7: {
      const queue = reader.uint();
      const offset = reader.uint() - 1;
      const delayed = reader.uint() - 1;
      const deliverAt = reader.uint();
      return {
        at: "remote",
        queue,
        ...(offset < 0 ? {} : { offset }),
        ...(delayed < 0 ? {} : { delayed }),
        ...(deliverAt === 0 ? {} : { deliverAt }),
      };
    }
    case 5:
      return { at: "undeliverable" };
    case 6:
      return { at: "duplicate", id: reader.text() };
    default:
      throw new CodecError(`unknown place ${kind}`);
  }
}

export function writeDecided(writer: ByteWriter, decided: Decided): void {
  writer
    .byte(STATES.indexOf(decided.state))
    .byte(decided.by === undefined ? 0 : DECIDERS.indexOf(decided.by) + 1);
  writer.uint(decided.at).uint(decided.checks).uint(decided.placed.length);
  for (const placed of decided.placed) writePlaced(writer, placed);
  writeLastCheck(writer, decided.lastCheck);
}

export function readDecided(reader: ByteReader): Decided {
  const state = STATES[reader.byte()];
  if (state === undefined) throw new CodecError("unknown decision");
  const decider = reader.byte();
  const by = decider === 0 ? undefined : DECIDERS[decider - 1];
  const at = reader.uint();
  const checks = reader.uint();
  const placed: Placed[] = [];
  for (let left = reader.uint(); left > 0; left--) placed.push(readPlaced(reader));
  return { state, by, at, checks, placed, lastCheck: readLastCheck(reader) };
}

export class HalfPage implements Page {
  readonly name: string;
  readonly number: number;
  savedSeq = 0;
  dirtySeq = 0;
  readonly progress = new Map<number, Progress>();
  readonly decided = new Map<number, Decided>();

  constructor(number: number) {
    this.number = number;
    this.name = `h:${number}`;
  }

  get complete(): boolean {
    return this.decided.size === HALF_PAGE;
  }

  encode(writer: ByteWriter): void {
    const base = this.number * HALF_PAGE;
    writer.byte(VERSION).uint(this.progress.size);
    for (const [position, { checks, nextCheckAt, openUntil, lastCheck }] of this.progress) {
      writer
        .uint(position - base)
        .uint(checks)
        .uint(nextCheckAt)
        .uint(openUntil);
      writeLastCheck(writer, lastCheck);
    }
    writer.uint(this.decided.size);
    for (const [position, decided] of this.decided) {
      writer.uint(position - base);
      writeDecided(writer, decided);
    }
  }

  static decode(number: number, data: Uint8Array, seq: number): HalfPage {
    const page = new HalfPage(number);
    page.savedSeq = seq;
    const base = number * HALF_PAGE;
    const reader = new ByteReader(data);
    if (reader.byte() !== VERSION) throw new CodecError("unknown half page version");
    for (let left = reader.uint(); left > 0; left--) {
      const position = base + reader.uint();
      page.progress.set(position, {
        checks: reader.uint(),
        nextCheckAt: reader.uint(),
        openUntil: reader.uint(),
        lastCheck: readLastCheck(reader),
      });
    }
    for (let left = reader.uint(); left > 0; left--)
      page.decided.set(base + reader.uint(), readDecided(reader));
    return page;
  }
}
