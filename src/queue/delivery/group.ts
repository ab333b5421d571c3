/**
 * One consumer group at one queue: chooses what a receive gets, and takes acks, nacks and extensions.
 * Pure of I/O but for reading the log and writing operations through its state; it never waits and never answers
 * anybody: the queue does.
 *
 * [D1] A message has at most one live lease per group. [D2] A receipt dies with the next delivery of its message.
 * [D3] In an ordered group one message of a message group is in flight at a time.
 */
import { decodeEntry } from "../../core/entry.ts";
import { Heap } from "../../core/heap.ts";
import { readRecordHead } from "../../core/record.ts";
import { backoffMs } from "../../core/retry.ts";
import type { GroupRoute } from "../../protocol/rpc.ts";
import type { Journal } from "../journal.ts";
import type { SegmentLog } from "../segments.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { OrderLocks } from "./order.ts";
import type { Flight } from "./page.ts";
import { GroupState } from "./state.ts";

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

export interface GroupPorts {
  readonly log: SegmentLog;
  readonly journal: Journal;
  readonly deadLetters: DeadLetters;
  /** The former queue that a message group's order still waits for, if any. */
  heldFor(group: Group, messageGroup: string): number | undefined;
  dead(group: string, offset: number, reason: string): void;
}

export class Group {
  route: GroupRoute;
  readonly state: GroupState;
  readonly #ports: GroupPorts;
  /** Flights that may be delivered again now, by offset. */
  readonly #visible = new Heap();
  readonly #isVisible = new Set<number>();
  readonly #locks = new OrderLocks();
  #ordered = false;
  /** Message groups locked by the receive under way: they may go on with a contiguous batch. */
  readonly #batch = new Set<string>();
  lastSeenAt = 0;
  readonly consumers = new Map<string, number>();

  constructor(route: GroupRoute, ports: GroupPorts) {
    this.route = route;
    this.state = new GroupState(route.number, ports.journal);
    this.#ports = ports;
  }

  /** After waking or a change of settings: memory that follows from the state is made anew. */
  settle(): void {
    this.#ordered = this.route.settings.ordered;
    this.#locks.clear();
    this.#visible.clear();
    this.#isVisible.clear();
    this.state.settle(!this.#ordered && this.route.settings.filter !== undefined);
    this.state.due.clear();
    for (const flight of this.state.flights()) {
      this.state.due.push(flight.dueAt, flight.offset);
      if (this.#ordered) this.#lockFlight(flight);
    }
    for (const redriven of this.#ports.deadLetters.redriven(this.route.number)) {
      this.state.due.push(redriven.dueAt, redriven.offset);
    }
    // Parked messages are found again by looking at everything that is not done.
    if (this.#ordered) this.state.cursor = this.state.lowWater(this.#ports.log.next);
  }

  #lockFlight(flight: Flight): void {
    const read = this.#ports.log.read(flight.offset);
    if (read === undefined) return;
    const { messageGroup } = readRecordHead(decodeEntry(read.entry).record);
    if (messageGroup !== undefined) this.#locks.lock(messageGroup, flight.offset);
  }

  update(route: GroupRoute): void {
    const before = this.route;
    this.route = route;
    const filterChanged =
      JSON.stringify(before.settings.filter) !== JSON.stringify(route.settings.filter);
    if (filterChanged) this.state.saveAll();
    if (filterChanged || before.settings.ordered !== route.settings.ordered) {
      // What an unordered group passed over is done; say so before order makes gaps mean something else.
      if (route.settings.ordered) this.state.saveAll();
      this.settle();
    }
  }

  seen(consumerId: string | undefined, nowMs: number): void {
    this.lastSeenAt = nowMs;
    if (consumerId === undefined) return;
    this.consumers.delete(consumerId);
    this.consumers.set(consumerId, nowMs);
    for (const oldest of this.consumers.keys()) {
      if (this.consumers.size <= 1_000) break;
      this.consumers.delete(oldest);
    }
  }

  #flight(offset: number): Flight | undefined {
    return this.state.flight(offset) ?? this.#ports.deadLetters.flight(this.route.number, offset);
  }

  // ------------------------------------------------------------ time

  /** When a lease ends or a retry is due next; nothing for what is visible already. */
  nextDueAt(): number | undefined {
    const { due } = this.state;
    for (;;) {
      const dueAt = due.topKey;
      const offset = due.topValue;
      if (dueAt === undefined || offset === undefined) return undefined;
      const flight = this.#flight(offset);
      if (flight !== undefined && flight.dueAt === dueAt && !this.#isVisible.has(offset))
        return dueAt;
      due.pop();
    }
  }

  /** Leases that ran out and retries that are due become visible, or dead letters. */
  promote(nowMs: number): void {
    for (;;) {
      const dueAt = this.nextDueAt();
      if (dueAt === undefined || dueAt > nowMs) return;
      const offset = this.state.due.pop();
      const flight = offset === undefined ? undefined : this.#flight(offset);
      if (flight === undefined) continue;
      if (flight.leased && this.#exhausted(flight)) this.#bury(flight, "lease_expired", nowMs);
      else {
        this.#visible.push(flight.offset, flight.offset);
        this.#isVisible.add(flight.offset);
      }
    }
  }

  #exhausted(flight: Flight): boolean {
    return (
      this.route.settings.onPoison !== "block" && flight.attempt >= this.route.settings.maxAttempts
    );
  }

  #bury(flight: Flight, reason: string, nowMs: number): void {
    const read = this.#content(flight.offset);
    this.#isVisible.delete(flight.offset);
    if (this.#ports.deadLetters.flight(this.route.number, flight.offset) !== undefined) {
      this.#ports.deadLetters.buryAgain(this.route.number, flight, reason, nowMs);
    } else {
      if (read !== undefined)
        this.#ports.deadLetters.add(this.route.number, flight, { ...read, reason, nowMs });
      this.state.done(flight.offset, 1);
    }
    this.#ports.dead(this.route.name, flight.offset, reason);
    this.#unlock(flight.offset);
  }

  #unlock(offset: number): void {
    if (this.#ordered) this.#locks.unlock(offset);
  }

  #content(offset: number): { entry: Uint8Array; storedAt: number } | undefined {
    return (
      this.#ports.deadLetters.content(this.route.number, offset) ?? this.#ports.log.read(offset)
    );
  }

  /** Might a receive find something now? Cheap; a filter may still say no. */
  get mayHave(): boolean {
    if (this.route.paused) return false;
    return (
      this.#visible.size > 0 ||
      this.#locks.ready.length > 0 ||
      this.state.cursor < this.#ports.log.next
    );
  }

  /** About how many messages are visible. */
  get visibleCount(): number {
    if (this.route.paused) return 0;
    return (
      this.#isVisible.size + this.#locks.ready.length + (this.#ports.log.next - this.state.cursor)
    );
  }

  // ------------------------------------------------------------ choosing

  /** Leases up to the asked number. `unfinished`: the scan stopped before the tail with nothing found yet. */
  receive(ask: Ask, nowMs: number): { chosen: Chosen[]; unfinished: boolean } {
    this.promote(nowMs);
    this.#batch.clear();
    const chosen: Chosen[] = [];
    const room = { bytes: ask.bytesMax };
    const until = nowMs + ask.invisibleMs;
    const full = (): boolean => chosen.length >= ask.maxMessages || room.bytes <= 0;
    while (!full() && this.#visible.size > 0) {
      const offset = this.#visible.topValue ?? 0;
      const flight = this.#isVisible.has(offset) ? this.#flight(offset) : undefined;
      if (flight === undefined) this.#visible.pop();
      else if (!this.#take(flight.offset, { nowMs, until, room, chosen, flight })) break;
      else this.#visible.pop();
    }
    if (this.#ordered) this.#takeReady({ nowMs, until, room, chosen }, full);
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
        if (this.#ports.deadLetters.flight(this.route.number, next.offset) !== undefined) break;
        count++;
      }
      const delivery = { generation: head.generation, attempt: head.attempt, dueAt: until };
      const redriven = this.#ports.deadLetters.flight(this.route.number, head.offset);
      if (redriven === undefined) this.state.lease(head.offset, count, delivery);
      else {
        count = 1;
        this.#ports.deadLetters.lease(this.route.number, redriven, delivery);
        this.state.due.push(until, head.offset);
      }
      at += count;
    }
  }

  /** Answers false when the message does not fit into the answer any more. */
  #take(
    offset: number,
    into: {
      nowMs: number;
      until: number;
      room: { bytes: number };
      chosen: Chosen[];
      flight?: Flight;
    },
  ): boolean {
    const read = this.#content(offset);
    if (read === undefined) {
      this.#isVisible.delete(offset);
      return true;
    }
    const size = read.entry.length + OVERHEAD_BYTES;
    if (into.chosen.length > 0 && size > into.room.bytes) {
      into.room.bytes = 0;
      return false;
    }
    const { expiresAt } = decodeEntry(read.entry);
    if (expiresAt !== undefined && expiresAt <= into.nowMs) {
      this.#isVisible.delete(offset);
      if (this.#ports.deadLetters.flight(this.route.number, offset) === undefined)
        this.state.expire(offset);
      else this.#ports.deadLetters.remove(this.route.number, offset);
      this.#unlock(offset);
      return true;
    }
    into.room.bytes -= size;
    this.#isVisible.delete(offset);
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

  #takeReady(
    into: { nowMs: number; until: number; room: { bytes: number }; chosen: Chosen[] },
    full: () => boolean,
  ): void {
    let turns = this.#locks.ready.length;
    while (!full() && turns-- > 0) {
      const messageGroup = this.#locks.ready.shift();
      if (messageGroup === undefined) return;
      let next = this.#locks.next(messageGroup);
      if (next === "spilled") {
        this.#refill(messageGroup);
        next = this.#locks.next(messageGroup);
        if (next === "spilled") {
          this.#locks.ready.push(messageGroup);
          continue;
        }
      }
      if (next === undefined) continue;
      this.#batch.add(messageGroup);
      while (next !== undefined) {
        this.#locks.lock(messageGroup, next);
        if (!this.#take(next, into)) {
          this.#locks.unpark(messageGroup, next);
          this.#locks.unlock(next);
          break;
        }
        next = full() ? undefined : this.#locks.following(messageGroup);
      }
    }
  }

  /** Looks in the log for further messages of a message group that did not fit in memory. */
  #refill(messageGroup: string): void {
    const found: number[] = [];
    let offset = this.#locks.spilledFrom(messageGroup);
    const end = Math.min(this.state.cursor, offset + SCAN_MAX);
    for (; offset < end && found.length < 256; offset++) {
      if (this.state.isDone(offset) || this.state.flight(offset) !== undefined) continue;
      const read = this.#ports.log.read(offset);
      if (
        read !== undefined &&
        readRecordHead(decodeEntry(read.entry).record).messageGroup === messageGroup
      )
        found.push(offset);
    }
    this.#locks.refill(messageGroup, found, offset < this.state.cursor ? offset : undefined);
  }

  /** Reads on from the cursor. Answers whether it stopped before the tail for its own limit. */
  #scan(
    into: { nowMs: number; until: number; room: { bytes: number }; chosen: Chosen[] },
    full: () => boolean,
  ): boolean {
    const { state } = this;
    const { filter } = this.route.settings;
    const tags = filter !== undefined && "tags" in filter ? new Set(filter.tags) : undefined;
    let scanned = 0;
    while (!full() && state.cursor < this.#ports.log.next) {
      if (scanned++ >= SCAN_MAX) {
        if (tags !== undefined && !this.#ordered) state.scanned();
        return true;
      }
      const offset = state.cursor;
      if (state.isDone(offset) || state.flight(offset) !== undefined) {
        state.cursor++;
        continue;
      }
      if (!this.#ordered && tags === undefined) {
        if (!this.#take(offset, into)) return false;
      } else if (!this.#takeChecked(offset, tags, into)) return false;
      state.cursor = Math.max(state.cursor, offset + 1);
    }
    return false;
  }

  #takeChecked(
    offset: number,
    tags: ReadonlySet<string> | undefined,
    into: { nowMs: number; until: number; room: { bytes: number }; chosen: Chosen[] },
  ): boolean {
    const read = this.#ports.log.read(offset);
    if (read === undefined) return true;
    const { tag, messageGroup } = readRecordHead(decodeEntry(read.entry).record);
    if (tags !== undefined && (tag === undefined || !tags.has(tag))) {
      this.state.pass(offset);
      return true;
    }
    if (!this.#ordered || messageGroup === undefined) return this.#take(offset, into);
    const goesOn = this.#batch.has(messageGroup) && this.#locks.isAtScan(messageGroup);
    if (this.#locks.isLocked(messageGroup) && !goesOn) {
      this.#locks.park(messageGroup, offset);
      return true;
    }
    const heldFor = this.#ports.heldFor(this, messageGroup);
    if (heldFor !== undefined) {
      this.#locks.hold(messageGroup, heldFor);
      this.#locks.park(messageGroup, offset);
      return true;
    }
    this.#locks.lock(messageGroup, offset);
    this.#batch.add(messageGroup);
    const taken = this.#take(offset, into);
    // What did not fit is met again by the next scan, from the same offset.
    if (!taken) this.#locks.unlock(offset);
    return taken;
  }

  // ------------------------------------------------------------ settling

  /** What a receipt's generation means now. */
  standing(
    offset: number,
    generation: number,
  ): { is: "live"; flight: Flight } | { is: "done" } | { is: "stale" } | { is: "unknown" } {
    const flight = this.#flight(offset);
    if (flight !== undefined) {
      if (flight.generation === generation) return { is: "live", flight };
      return flight.generation > generation ? { is: "stale" } : { is: "unknown" };
    }
    if (this.#ports.deadLetters.has(this.route.number, offset)) return { is: "stale" };
    if (offset < this.#ports.log.next && this.state.isDone(offset)) return { is: "done" };
    return { is: "unknown" };
  }

  /** The message in flight is processed. Consecutive ones are written together by `acked`. */
  ack(offsets: readonly number[]): void {
    const plain: number[] = [];
    for (const offset of offsets) {
      this.#isVisible.delete(offset);
      if (this.state.flight(offset) === undefined)
        this.#ports.deadLetters.remove(this.route.number, offset);
      else plain.push(offset);
    }
    plain.sort((a, b) => a - b);
    let at = 0;
    while (at < plain.length) {
      const first = plain[at] ?? 0;
      let count = 1;
      while (plain[at + count] === first + count) count++;
      this.state.done(first, count);
      at += count;
    }
    for (const offset of offsets) this.#unlock(offset);
  }

  nack(
    flight: Flight,
    how: { delayMs?: number; reason?: string; retry?: boolean },
    nowMs: number,
  ): void {
    if (!flight.leased) return;
    if (how.retry === false || this.#exhausted(flight)) {
      this.#bury(flight, how.reason ?? "nacked", nowMs);
      return;
    }
    const dueAt = nowMs + (how.delayMs ?? backoffMs(this.route.settings.backoff, flight.attempt));
    this.#isVisible.delete(flight.offset);
    if (this.state.flight(flight.offset) === undefined) {
      this.#ports.deadLetters.retry(this.route.number, flight, dueAt);
      this.state.due.push(dueAt, flight.offset);
    } else this.state.retry(flight, dueAt);
  }

  /** The delivery never left: the message is visible again, and the attempt does not count. */
  release(flight: Flight, nowMs: number): void {
    if (!flight.leased) return;
    const { offset, generation } = flight;
    const delivery = { generation, attempt: Math.max(0, flight.attempt - 1), dueAt: nowMs };
    this.#isVisible.delete(offset);
    if (this.state.flight(offset) === undefined) {
      this.#ports.deadLetters.lease(this.route.number, flight, delivery);
      this.#ports.deadLetters.retry(this.route.number, flight, nowMs);
      this.state.due.push(nowMs, offset);
    } else {
      this.state.lease(offset, 1, delivery);
      const again = this.state.flight(offset);
      if (again !== undefined) this.state.retry(again, nowMs);
    }
    this.promote(nowMs);
  }

  /** Answers whether the lease could be made longer: a nacked message's cannot. */
  extend(flight: Flight, until: number): boolean {
    if (!flight.leased) return false;
    this.#isVisible.delete(flight.offset);
    if (this.state.flight(flight.offset) === undefined) {
      this.#ports.deadLetters.extend(this.route.number, flight, until);
      this.state.due.push(until, flight.offset);
    } else this.state.extend(flight, until);
    return true;
  }

  // ------------------------------------------------------------ the rest

  seek(offset: number): void {
    this.#visible.clear();
    this.#isVisible.clear();
    this.#locks.clear();
    this.state.seek(offset);
  }

  releaseHeld(formerQueue: number): void {
    this.state.drained(formerQueue);
    this.#locks.release(formerQueue);
  }

  redrive(offset: number, nowMs: number): void {
    this.#ports.deadLetters.redrive(this.route.number, offset, nowMs);
    this.state.due.push(nowMs, offset);
  }

  blocked(): ReturnType<OrderLocks["list"]> {
    return this.#locks.list();
  }

  isVisible(offset: number): boolean {
    return this.#isVisible.has(offset);
  }
}
