/**
 * Chooses what a receive of one group gets: what is visible again, what order has freed, then what the scan meets next.
 * It leases through the group's state; acks and time are group.ts's.
 */
import { decodeEntry } from "../../core/entry.ts";
import type { MessageFilter } from "../../core/filter/message-filter.ts";
import { readRecordHead } from "../../core/record.ts";
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

export interface Ask {
  readonly maxMessages: number;
  readonly bytesMax: number;
  readonly invisibleMs: number;
}

/** A receive under way. */
interface Taking {
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

  constructor(memory: GroupMemory) {
    this.#memory = memory;
  }

  /** Leases up to the asked number. `unfinished`: the scan stopped before the tail with nothing found yet. */
  receive(ask: Ask, nowMs: number): { chosen: Chosen[]; unfinished: boolean } {
    this.#batch.clear();
    const chosen: Chosen[] = [];
    const room = { bytes: ask.bytesMax };
    const until = nowMs + ask.invisibleMs;
    const full = (): boolean => chosen.length >= ask.maxMessages || room.bytes <= 0;
    while (!full() && this.#memory.visible.size > 0) {
      const offset = this.#memory.visible.first ?? 0;
      const flight = this.#memory.flight(offset);
      if (flight === undefined) this.#memory.visible.delete(offset);
      else if (!this.#take(offset, { nowMs, until, room, chosen, flight })) break;
    }
    if (this.#memory.ordered) this.#takeReady({ nowMs, until, room, chosen }, full);
    const unfinished = this.#scan({ nowMs, until, room, chosen }, full);
    this.#writeLeases(chosen, until);
    return { chosen, unfinished: unfinished && chosen.length === 0 };
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
        this.#memory.ports.deadLetters.lease(this.#memory.route.number, redriven, delivery);
        this.#memory.state.due.push(until, head.offset);
      }
      at += count;
    }
  }

  /** Answers false when the message does not fit into the answer any more. */
  #take(offset: number, into: Taking): boolean {
    const read = this.#memory.content(offset);
    if (read === undefined) {
      this.#memory.visible.delete(offset);
      return true;
    }
    const size = read.entry.length + OVERHEAD_BYTES;
    if (into.chosen.length > 0 && size > into.room.bytes) {
      into.room.bytes = 0;
      return false;
    }
    const { expiresAt } = decodeEntry(read.entry);
    if (expiresAt !== undefined && expiresAt <= into.nowMs) {
      this.#memory.visible.delete(offset);
      if (this.#memory.redriven(offset) === undefined) this.#memory.state.expire(offset);
      else this.#memory.ports.deadLetters.remove(this.#memory.route.number, offset);
      this.#memory.unlock(offset);
      return true;
    }
    into.room.bytes -= size;
    this.#memory.visible.delete(offset);
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

  #takeReady(into: Taking, full: () => boolean): void {
    let turns = this.#memory.locks.ready.length;
    while (!full() && turns-- > 0) {
      const messageGroup = this.#memory.locks.ready.shift();
      if (messageGroup === undefined) return;
      let next = this.#memory.locks.next(messageGroup);
      if (next === "spilled") {
        this.#refill(messageGroup);
        next = this.#memory.locks.next(messageGroup);
        if (next === "spilled") {
          this.#memory.locks.ready.push(messageGroup);
          continue;
        }
      }
      if (next === undefined) continue;
      this.#batch.add(messageGroup);
      while (next !== undefined) {
        this.#memory.locks.lock(messageGroup, next);
        const flight = this.#memory.redriven(next);
        if (!this.#take(next, flight === undefined ? into : { ...into, flight })) {
          this.#memory.locks.unpark(messageGroup, next);
          this.#memory.locks.unlock(next);
          break;
        }
        next = full() ? undefined : this.#memory.locks.following(messageGroup);
      }
    }
  }

  /** Looks in the log for further messages of a message group that did not fit in memory. */
  #refill(messageGroup: string): void {
    const found: number[] = [];
    let offset = this.#memory.locks.spilledFrom(messageGroup);
    const end = Math.min(this.#memory.state.cursor, offset + SCAN_MAX);
    for (; offset < end && found.length < 256; offset++) {
      if (this.#memory.state.isDone(offset) || this.#memory.state.flight(offset) !== undefined)
        continue;
      const read = this.#memory.ports.log.read(offset);
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
        if (filter !== undefined && !this.#memory.ordered) state.scanned();
        return true;
      }
      scanned += cost;
      const offset = state.cursor;
      if (state.isDone(offset) || state.flight(offset) !== undefined) {
        state.cursor++;
        continue;
      }
      if (!this.#memory.ordered && filter === undefined) {
        if (!this.#take(offset, into)) return false;
      } else if (!this.#takeChecked(offset, filter, into)) return false;
      state.cursor = Math.max(state.cursor, offset + 1);
    }
    return false;
  }

  #takeChecked(offset: number, filter: MessageFilter | undefined, into: Taking): boolean {
    const read = this.#memory.ports.log.read(offset);
    if (read === undefined) return true;
    const { record } = decodeEntry(read.entry);
    if (filter !== undefined && !filter.matches(record)) {
      this.#memory.state.pass(offset);
      return true;
    }
    const messageGroup = this.#memory.ordered ? readRecordHead(record).messageGroup : undefined;
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

  /** The next message of a message group in its order: leased when the group is free, parked when it is not. */
  #takeOrdered(offset: number, messageGroup: string, into: Taking): boolean {
    const after = into.flight === undefined ? undefined : this.#memory.state.cursor;
    const goesOn = this.#batch.has(messageGroup) && this.#memory.locks.isAtScan(messageGroup);
    if (this.#memory.locks.isLocked(messageGroup) && !goesOn) {
      this.#memory.locks.park(messageGroup, offset, after);
      return true;
    }
    const heldFor = this.#memory.ports.heldFor(this.#memory.state, messageGroup);
    if (heldFor !== undefined) {
      this.#memory.locks.hold(messageGroup, heldFor);
      this.#memory.locks.park(messageGroup, offset, after);
      return true;
    }
    this.#memory.locks.lock(messageGroup, offset);
    this.#batch.add(messageGroup);
    const taken = this.#take(offset, into);
    // What did not fit is met again by the next scan, from the same offset.
    if (!taken) this.#memory.locks.unlock(offset);
    return taken;
  }
}
