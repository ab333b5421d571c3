/**
 * Chooses what a receive of one group gets: what is visible again, what order has freed, then what the scan meets next.
 * It leases through the group's state; acks and time are group.ts's.
 */
import { CodecError } from "../../core/bytes.ts";
import { decodeEntry, entryExpiresAt, entryWeight } from "../../core/entry.ts";
import type { MessageFilter } from "../../core/filter/message-filter.ts";
import { readRecordHead } from "../../core/record.ts";
import type { Stored } from "../cold/cold-log.ts";
import type { GroupMemory } from "./memory.ts";
import type { Flight } from "./page.ts";

/** Log entries that one receive looks at in one flush; it goes on in the next. */
const SCAN_MAX = 4_096;
/** Bytes of framing and JSON around a message in an answer, roughly. */
const OVERHEAD_BYTES = 400;

export interface Chosen {
  readonly offset: number;
  readonly storedAt: number;
  readonly entry: Uint8Array;
  readonly generation: number;
  readonly attempt: number;
  readonly invisibleUntil: number;
}

/** What a receive gets. */
export interface Choice {
  readonly chosen: Chosen[];
  /** The scan stopped before the tail with nothing found yet. */
  readonly unfinished: boolean;
  /** A message that would be next, or must be looked at first, is not at hand. */
  readonly coldAt: number | undefined;
}

export interface Ask {
  readonly maxMessages: number;
  readonly bytesMax: number;
  readonly invisibleMs: number;
  /** Of an ordered group: no contiguous batch of a message group. */
  readonly onePerMessageGroup?: boolean;
}

/** A receive under way. */
interface Taking {
  readonly isSingle: boolean;
  readonly nowMs: number;
  readonly until: number;
  readonly room: { bytes: number };
  readonly chosen: Chosen[];
  /** What is known of an earlier delivery of the message at hand. */
  readonly flight?: Flight;
}

export class Chooser {
  readonly #memory: GroupMemory;
  /** Message groups locked by the receive under way: they may go on with a contiguous batch. */
  readonly #batch = new Set<string>();
  /** Of the receive under way. */
  #coldAt: number | undefined;
  /** How many it has found. */
  #found = 0;

  constructor(memory: GroupMemory) {
    this.#memory = memory;
  }

  /** Leases up to the asked number. */
  receive(ask: Ask, nowMs: number): Choice {
    this.#batch.clear();
    this.#coldAt = undefined;
    const { state, filter, apart, ports } = this.#memory;
    const from = state.cursor;
    const chosen: Chosen[] = [];
    this.#found = 0;
    const room = { bytes: ask.bytesMax };
    const until = nowMs + ask.invisibleMs;
    const most = Math.min(ask.maxMessages, this.#memory.flow.room);
    const full = (): boolean => chosen.length >= most || room.bytes <= 0;
    const isSingle = ask.onePerMessageGroup === true && this.#memory.ordered;
    const into: Taking = { isSingle, nowMs, until, room, chosen };
    while (!full() && this.#memory.visible.size > 0) {
      const offset = this.#memory.visible.first ?? 0;
      const flight = this.#memory.flight(offset);
      if (flight === undefined) this.#memory.visible.delete(offset);
      else if (!this.#take(offset, { ...into, flight })) break;
    }
    const ready = this.#takeReady(into, full);
    const unfinished = this.#scan(into, full) || ready.unfinished;
    this.#writeLeases(chosen, until);
    for (const { offset } of chosen) this.#memory.flow.out(offset);
    this.#memory.flow.gave(chosen.length);
    // Less than a whole turn is looked through between two fetches.
    const isHeldUp = this.#coldAt === state.cursor && state.cursor > from;
    if (isHeldUp && filter !== undefined && !apart) state.scanned();
    ports.log.goOn(state.cursor);
    return { chosen, unfinished: unfinished && chosen.length === 0, coldAt: this.#coldAt };
  }

  /** Consecutive first deliveries share one operation. */
  #writeLeases(chosen: readonly Chosen[], until: number): void {
    let at = 0;
    while (at < chosen.length) {
      const head = chosen[at];
      if (head === undefined) return;
      let count = 1;
      for (;;) {
        const next = chosen[at + count];
        if (next === undefined || next.offset !== head.offset + count) break;
        if (next.generation !== head.generation || next.attempt !== head.attempt) break;
        if (this.#memory.redriven(next.offset) !== undefined) break;
        count++;
      }
      const delivery = { generation: head.generation, attempt: head.attempt, dueAt: until };
      const redriven = this.#memory.redriven(head.offset);
      if (redriven === undefined) this.#memory.state.lease(head.offset, count, delivery);
      else {
        count = 1;
        this.#memory.ports.deadLetters.lease(this.#memory.number, redriven, delivery);
        this.#memory.state.due.push(until, head.offset);
      }
      at += count;
    }
  }

  /** The message in the log; nothing as well when it is lost, and then it is done with. */
  #read(offset: number): Stored | "cold" | undefined {
    const { log } = this.#memory.ports;
    try {
      const read = log.read(offset);
      if (read === "cold") this.#coldAt ??= offset;
      else if (read === undefined && log.isLost(offset)) this.#memory.state.expire(offset);
      return read;
    } catch (error) {
      // What is damaged ends the batch before it, and has the next receive for itself: what was found is as good as ever.
      if (!(error instanceof CodecError) || this.#found === 0) throw error;
      return "cold";
    }
  }

  /** Answers false when the message does not fit into the answer any more, or is not at hand. */
  #take(offset: number, into: Taking): boolean {
    const isApart = this.#memory.redriven(offset) !== undefined;
    const read = isApart ? this.#memory.content(offset) : this.#read(offset);
    if (read === "cold") return false;
    if (read === undefined) {
      this.#memory.visible.delete(offset);
      return true;
    }
    const size = entryWeight(read.entry) + OVERHEAD_BYTES;
    if (into.chosen.length > 0 && size > into.room.bytes) {
      into.room.bytes = 0;
      return false;
    }
    const expiresAt = entryExpiresAt(read.entry);
    if (expiresAt !== undefined && expiresAt <= into.nowMs) {
      this.#memory.visible.delete(offset);
      if (isApart) this.#memory.ports.deadLetters.remove(this.#memory.number, offset);
      else this.#memory.state.expire(offset);
      this.#memory.unlock(offset);
      return true;
    }
    if (!isApart && !this.#memory.ports.log.keepAtHand(offset, into.chosen)) {
      into.room.bytes = 0;
      return false;
    }
    into.room.bytes -= size;
    this.#memory.visible.delete(offset);
    this.#found++;
    into.chosen.push({
      offset,
      storedAt: read.storedAt,
      entry: read.entry,
      generation: (into.flight?.generation ?? 0) + 1,
      attempt: (into.flight?.attempt ?? 0) + 1,
      invisibleUntil: into.until,
    });
    return true;
  }

  /** Message groups that something was freed for: retries first, then what waits behind them. */
  #takeReady(into: Taking, full: () => boolean): { unfinished: boolean } {
    const { locks } = this.#memory;
    let unfinished = false;
    for (let turns = locks.readyCount; turns > 0 && !full(); turns--) {
      const messageGroup = locks.shiftReady();
      if (messageGroup === undefined) break;
      if (this.#takeRetries(messageGroup, into, full))
        unfinished = this.#takeWaiting(messageGroup, into, full).unfinished || unfinished;
      // What is left, because the answer is full or nothing was taken, comes with the next receive.
      locks.settle(messageGroup);
    }
    return { unfinished };
  }

  /** Answers whether the message group is free and has nothing to repeat, so that what waits may go. */
  #takeRetries(messageGroup: string, into: Taking, full: () => boolean): boolean {
    const { locks } = this.#memory;
    const retries = locks.retries(messageGroup);
    if (retries === undefined) return false;
    for (const offset of retries) {
      if (full()) return false;
      const flight = this.#memory.flight(offset);
      if (flight === undefined) locks.land(offset);
      else if (!this.#takeFlying(offset, { ...into, flight })) return false;
      else if (into.isSingle && into.chosen.at(-1)?.offset === offset) return false;
    }
    // In order, what follows a retry waits for its end.
    return retries.length === 0 || !this.#memory.ordered;
  }

  /** `unfinished`: the look for what did not fit into memory goes on in the next turn. */
  #takeWaiting(messageGroup: string, into: Taking, full: () => boolean): { unfinished: boolean } {
    const { locks } = this.#memory;
    this.#batch.add(messageGroup);
    let hasLooked = false;
    while (!full()) {
      const next = locks.next(messageGroup);
      if (next === undefined) break;
      if (next === "spilled") {
        // One look a turn: it is bounded, and may find nothing.
        if (hasLooked) return { unfinished: true };
        const isThrough = this.#refill(messageGroup);
        if (!isThrough) break;
        hasLooked = true;
        continue;
      }
      const flight = this.#memory.redriven(next);
      // A redriven one may have been acked by its last receipt, or purged, while it waited.
      if (flight === undefined && this.#memory.state.isDone(next)) continue;
      locks.fly(messageGroup, next, "leased");
      if (this.#takeFlying(next, flight === undefined ? into : { ...into, flight })) {
        if (into.isSingle && into.chosen.at(-1)?.offset === next) break;
        continue;
      }
      locks.land(next);
      locks.unpark(messageGroup, next);
      break;
    }
    return { unfinished: false };
  }

  /** Takes a message of a locked group; one that turns out to be gone or expired leaves its lock. */
  #takeFlying(offset: number, into: Taking): boolean {
    const before = into.chosen.length;
    if (!this.#take(offset, into)) return false;
    if (into.chosen.length === before) this.#memory.locks.land(offset);
    else this.#memory.locks.stand(offset, "leased");
    return true;
  }

  /**
   * Looks in the log for further messages of a message group that did not fit in memory. Answers whether it came as far as it
   * may in one turn.
   */
  #refill(messageGroup: string): boolean {
    const found: number[] = [];
    let isCold = false;
    let offset = this.#memory.locks.spilledFrom(messageGroup);
    const end = Math.min(this.#memory.state.cursor, offset + SCAN_MAX);
    for (; offset < end && found.length < 256; offset++) {
      if (this.#memory.state.isDone(offset) || this.#memory.state.flight(offset) !== undefined)
        continue;
      const read = this.#read(offset);
      isCold = read === "cold";
      if (read === "cold") break;
      if (
        read !== undefined &&
        readRecordHead(decodeEntry(read.entry).record).messageGroup === messageGroup
      )
        found.push(offset);
    }
    this.#memory.locks.refill(
      messageGroup,
      found,
      offset < this.#memory.state.cursor ? offset : undefined,
    );
    return found.length > 0 || !isCold;
  }

  /** Reads on from the cursor. Answers whether it stopped before the tail for its own limit. */
  #scan(into: Taking, full: () => boolean): boolean {
    const { state, filter } = this.#memory;
    const cost = filter?.cost ?? 1;
    let scanned = 0;
    while (!full()) {
      if (!this.#takeComebacks(into, full)) return false;
      if (full() || state.cursor >= this.#memory.ports.log.next) return false;
      if (scanned >= SCAN_MAX) {
        if (filter !== undefined && !this.#memory.apart) state.scanned();
        return true;
      }
      scanned += cost;
      const offset = state.cursor;
      if (state.isDone(offset) || state.flight(offset) !== undefined) {
        state.cursor++;
        continue;
      }
      if (!this.#memory.apart && filter === undefined) {
        if (!this.#take(offset, into)) return false;
      } else if (!this.#takeChecked(offset, filter, into)) return false;
      state.cursor = Math.max(state.cursor, offset + 1);
    }
    return false;
  }

  #takeChecked(offset: number, filter: MessageFilter | undefined, into: Taking): boolean {
    const read = this.#read(offset);
    if (read === "cold") return false;
    if (read === undefined) return true;
    const { record } = decodeEntry(read.entry);
    if (filter !== undefined && !filter.matches(record)) {
      this.#memory.state.pass(offset);
      return true;
    }
    const messageGroup = this.#memory.apart ? readRecordHead(record).messageGroup : undefined;
    if (messageGroup === undefined) return this.#take(offset, into);
    return this.#takeOrdered(offset, messageGroup, into);
  }

  /** Redriven messages whose place the scan has reached. Answers false when one does not fit. */
  #takeComebacks(into: Taking, full: () => boolean): boolean {
    for (;;) {
      const offset = full() ? undefined : this.#memory.comeback.next(this.#memory.state.cursor);
      if (offset === undefined) return true;
      const flight = this.#memory.redriven(offset);
      const messageGroup = flight === undefined ? undefined : this.#memory.messageGroupOf(offset);
      // It may have been purged or sought away meanwhile.
      if (flight !== undefined && messageGroup !== undefined) {
        if (!this.#takeOrdered(offset, messageGroup, { ...into, flight })) return false;
      }
      this.#memory.comeback.shift();
    }
  }

  /** The next message of a message group: leased when the message group is free, parked when it is not. */
  #takeOrdered(offset: number, messageGroup: string, into: Taking): boolean {
    const after = into.flight === undefined ? undefined : this.#memory.state.cursor;
    const { locks } = this.#memory;
    const isInBatch = !into.isSingle && this.#batch.has(messageGroup);
    const mayGo = locks.mayGoAtScan(messageGroup, isInBatch);
    if (!mayGo) {
      locks.park(messageGroup, offset, after);
      return true;
    }
    const heldFor = this.#memory.ordered
      ? this.#memory.ports.heldFor(this.#memory.state, messageGroup)
      : undefined;
    if (heldFor !== undefined) {
      locks.hold(messageGroup, heldFor);
      locks.park(messageGroup, offset, after);
      return true;
    }
    locks.fly(messageGroup, offset, "leased");
    this.#batch.add(messageGroup);
    const taken = this.#takeFlying(offset, into);
    // What did not fit is met again by the next scan, from the same offset.
    if (!taken) locks.land(offset);
    return taken;
  }
}
