/**
 * One consumer group at one queue: what is due, and what acks, nacks, extensions, seeks and redrives do to it. Whom a
 * receive gets is chooser.ts's to say.
 * Pure of I/O but for reading the log and writing operations through its state; it never waits and never answers
 * anybody: the queue does.
 *
 * [D1] A message has at most one live lease per group. [D2] A receipt dies with the next delivery of its message.
 * [D3] In an ordered group one message of a message group is in flight at a time. [D4] With onPoison "block" nothing passes
 * a message that ran out of attempts, and it is not delivered again, before somebody decides.
 */
import { backoffMs } from "../../core/retry.ts";
import type { GroupRoute } from "../../protocol/rpc.ts";
import { Chooser, type Ask, type Chosen } from "./chooser.ts";
import { GroupMemory, type GroupPorts } from "./memory.ts";
import type { HeldGroup } from "./order.ts";
import type { Flight } from "./page.ts";
import type { GroupState } from "./state.ts";

/** With so many poisoned messages at one queue the group stops there: each is a row, and a line in memory. */
const HELD_MAX = 10_000;

/** What holds a message group, or, with onPoison "block", only itself. */
export type Held = Omit<HeldGroup, "messageGroup">;

/** Looked at in one go: a hundred thousand leases may end in the same instant, and each may write. The rest stays due. */
const PROMOTED_MAX = 4_096;

export class Group {
  readonly #memory: GroupMemory;
  readonly #chooser: Chooser;
  lastSeenAt = 0;
  readonly consumers = new Map<string, number>();

  constructor(route: GroupRoute, ports: GroupPorts) {
    this.#memory = new GroupMemory(route, ports);
    this.#chooser = new Chooser(this.#memory);
  }

  get route(): GroupRoute {
    return this.#memory.route;
  }

  get state(): GroupState {
    return this.#memory.state;
  }

  get #ports(): GroupPorts {
    return this.#memory.ports;
  }

  /** After waking or a change of settings: memory that follows from the state is made anew. */
  settle(): void {
    this.#memory.settle();
  }

  update(route: GroupRoute, nowMs: number): void {
    const before = this.route;
    this.#memory.route = route;
    const filterChanged =
      JSON.stringify(before.settings.filter) !== JSON.stringify(route.settings.filter);
    if (filterChanged) this.state.saveAll();
    if (filterChanged || before.settings.ordered !== route.settings.ordered) {
      // What an unordered group passed over is done; say so before order makes gaps mean something else.
      if (route.settings.ordered) this.state.saveAll();
      // What waited for its message group stands below the scan, and is met again from the low-water mark.
      else if (before.settings.ordered) {
        this.state.cursor = this.state.lowWater(this.#ports.log.next);
        this.state.saveAll();
      }
      this.settle();
    }
    this.#reviewHeld(nowMs);
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

  // ------------------------------------------------------------ time

  /** When a lease ends or a retry is due next; nothing for what is visible already. */
  nextDueAt(): number | undefined {
    const { due } = this.state;
    for (;;) {
      const dueAt = due.topKey;
      const offset = due.topValue;
      if (dueAt === undefined || offset === undefined) return undefined;
      const flight = this.#memory.flight(offset);
      if (flight !== undefined && flight.dueAt === dueAt && !this.#memory.visible.has(offset))
        return dueAt;
      due.pop();
    }
  }

  /** Leases that ran out and retries that are due become visible, or dead letters. */
  promote(nowMs: number): void {
    for (let left = PROMOTED_MAX; left > 0; left--) {
      const dueAt = this.nextDueAt();
      if (dueAt === undefined || dueAt > nowMs) return;
      const offset = this.state.due.pop();
      const flight = offset === undefined ? undefined : this.#memory.flight(offset);
      if (flight === undefined) continue;
      if (flight.leased) this.#ports.lapsed(this.route.number, flight.offset, flight.attempt);
      if (flight.leased && this.#exhausted(flight)) this.#poisoned(flight, "lease_expired", nowMs);
      else if (!this.#memory.locks.stand(flight.offset, "due"))
        this.#memory.visible.add(flight.offset);
    }
  }

  #exhausted(flight: Flight): boolean {
    return flight.attempt >= this.route.settings.maxAttempts;
  }

  #poisoned(flight: Flight, reason: string, nowMs: number): void {
    if (this.route.settings.onPoison === "block") this.#hold(flight, reason, nowMs);
    else this.#bury(flight, reason, nowMs);
  }

  /** [D4] */
  #hold(flight: Flight, reason: string, nowMs: number): void {
    const { offset } = flight;
    const { number, name } = this.route;
    this.#memory.visible.delete(offset);
    const known = this.#memory.redriven(offset);
    const read = this.#memory.content(offset);
    if (known !== undefined) this.#ports.deadLetters.holdAgain(number, known, reason, nowMs);
    else if (read === undefined) return this.#bury(flight, reason, nowMs);
    else {
      this.#ports.deadLetters.hold(number, flight, { ...read, reason, nowMs });
      this.state.done(offset, 1);
    }
    this.#memory.locks.stand(offset, "held");
    this.#ports.held(name, offset, reason);
  }

  #bury(flight: Flight, reason: string, nowMs: number): void {
    const read = this.#memory.content(flight.offset);
    this.#memory.visible.delete(flight.offset);
    if (this.#ports.deadLetters.flight(this.route.number, flight.offset) !== undefined) {
      this.#ports.deadLetters.buryAgain(this.route.number, flight, reason, nowMs);
    } else {
      if (read !== undefined)
        this.#ports.deadLetters.add(this.route.number, flight, { ...read, reason, nowMs });
      this.state.done(flight.offset, 1);
    }
    this.#ports.dead(this.route.name, flight.offset, reason);
    this.#memory.unlock(flight.offset);
  }

  /** Nothing is delivered: it is paused, or too much of it is poisoned. */
  get isStopped(): boolean {
    return this.route.paused || this.#ports.deadLetters.heldCount(this.route.number) >= HELD_MAX;
  }

  /** The oldest offset that is not done, those that are held or freed in their place included. */
  lowWater(next: number): number {
    let lowest = this.state.lowWater(next);
    for (const { offset, after } of this.#ports.deadLetters.redriven(this.route.number))
      if (after === offset && offset < lowest) lowest = offset;
    return lowest;
  }

  /** Might a receive find something now? Cheap; a filter may still say no. */
  get mayHave(): boolean {
    if (this.isStopped) return false;
    return (
      this.#memory.visible.size > 0 ||
      this.#memory.locks.readyCount > 0 ||
      this.#memory.comeback.next(this.state.cursor) !== undefined ||
      this.state.cursor < this.#ports.log.next
    );
  }

  /** Messages that the group is not done with; those in flight and what a filter has not looked at among them. */
  get lag(): number {
    const { log, deadLetters } = this.#ports;
    return this.state.openCount(log.next) + deadLetters.redrivenCount(this.route.number);
  }

  /** About how many messages are visible. */
  get visibleCount(): number {
    if (this.isStopped) return 0;
    return (
      this.#memory.visible.size +
      this.#memory.locks.readyCount +
      this.#memory.comeback.size +
      (this.#ports.log.next - this.state.cursor)
    );
  }

  /** Leases up to the asked number. `unfinished`: the scan stopped before the tail with nothing found yet. */
  receive(ask: Ask, nowMs: number): { chosen: Chosen[]; unfinished: boolean } {
    this.promote(nowMs);
    return this.#chooser.receive(ask, nowMs);
  }

  // ------------------------------------------------------------ settling

  /** What a receipt's generation means now. */
  standing(
    offset: number,
    generation: number,
  ): { is: "live"; flight: Flight } | { is: "done" } | { is: "stale" } | { is: "unknown" } {
    const flight = this.#memory.flight(offset);
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
      this.#memory.visible.delete(offset);
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
    for (const offset of offsets) this.#memory.unlock(offset);
  }

  nack(
    flight: Flight,
    how: { delayMs?: number; reason?: string; retry?: boolean },
    nowMs: number,
  ): void {
    const reason = how.reason ?? "nacked";
    if (!flight.leased) {
      if (how.retry === false && this.#memory.isHeld(flight.offset)) this.#skip(flight.offset);
      return;
    }
    if (how.retry === false) {
      this.#bury(flight, reason, nowMs);
      return;
    }
    if (this.#exhausted(flight)) {
      this.#poisoned(flight, reason, nowMs);
      return;
    }
    const { backoff } = this.route.settings;
    const delayMs = how.delayMs ?? backoffMs(backoff, flight.attempt, this.#ports.random());
    const dueAt = nowMs + delayMs;
    this.#memory.visible.delete(flight.offset);
    if (this.state.flight(flight.offset) === undefined) {
      this.#ports.deadLetters.retry(this.route.number, flight, dueAt);
      this.state.due.push(dueAt, flight.offset);
    } else this.state.retry(flight, dueAt);
    this.#memory.locks.stand(flight.offset, "waiting");
  }

  /** The delivery never left: the message is visible again, at once or after `delayMs`, and the attempt does not count. */
  release(flight: Flight, nowMs: number, delayMs = 0): void {
    if (!flight.leased) return;
    const { offset, generation } = flight;
    const attempt = Math.max(0, flight.attempt - 1);
    const dueAt = nowMs + delayMs;
    this.#memory.visible.delete(offset);
    this.#memory.locks.stand(offset, "waiting");
    if (this.state.flight(offset) === undefined) {
      this.#ports.deadLetters.lease(this.route.number, flight, { generation, attempt, dueAt });
      this.#ports.deadLetters.retry(this.route.number, flight, dueAt);
      this.state.due.push(dueAt, offset);
    } else {
      this.state.lease(offset, 1, { generation, attempt, dueAt: nowMs });
      const again = this.state.flight(offset);
      if (again !== undefined) this.state.retry(again, dueAt);
    }
    this.promote(nowMs);
  }

  /** Answers whether the lease could be made longer: a nacked message's cannot. */
  extend(flight: Flight, until: number): boolean {
    if (!flight.leased) return false;
    this.#memory.visible.delete(flight.offset);
    if (this.state.flight(flight.offset) === undefined) {
      this.#ports.deadLetters.extend(this.route.number, flight, until);
      this.state.due.push(until, flight.offset);
    } else this.state.extend(flight, until);
    this.#memory.locks.stand(flight.offset, "leased");
    return true;
  }

  // ------------------------------------------------------------ the rest

  /**
   * All leases end. Redriven messages that the log does not bring again begin anew; held ones that it does not bring again
   * are dead letters now.
   */
  seek(offset: number, nowMs: number): void {
    this.#memory.clear();
    this.state.seek(offset);
    const { deadLetters, log } = this.#ports;
    for (const redriven of deadLetters.redriven(this.route.number)) {
      if (redriven.offset >= offset) deadLetters.remove(this.route.number, redriven.offset);
      else if (redriven.held) deadLetters.giveUp(this.route.number, redriven.offset);
      else {
        deadLetters.restart(this.route.number, redriven.offset, log.next, nowMs);
        this.#memory.comeBack({ ...redriven, after: log.next, dueAt: nowMs });
      }
    }
  }

  releaseHeld(formerQueue: number): void {
    this.state.drained(formerQueue);
    this.#memory.locks.release(formerQueue);
  }

  /** A dead letter comes back as a new delivery. After a seek the log may bring it again anyway, and does it once. */
  redrive(offset: number, nowMs: number): void {
    const { deadLetters, log } = this.#ports;
    const { number } = this.route;
    if (offset >= log.first && !this.state.isDone(offset)) {
      deadLetters.forgive(number, offset);
      return;
    }
    deadLetters.redrive(number, offset, log.next, nowMs);
    const flight = deadLetters.flight(number, offset);
    if (flight !== undefined) this.#memory.comeBack(flight);
  }

  // ------------------------------------------------------------ what is held

  flight(offset: number): Flight | undefined {
    return this.#memory.flight(offset);
  }

  /** Message groups of which nothing may go, and held messages that hold nothing but themselves; in no order. */
  *blocked(): Iterable<Held> {
    yield* this.#memory.locks.held();
    for (const { offset, held } of this.#ports.deadLetters.redriven(this.route.number))
      if (held && !this.#memory.locks.has(offset))
        yield { offset, by: "held", waiting: 0, more: false };
  }

  /** The held message is delivered again, in its place and with all its attempts. False when it is not held. */
  retryHeld(offset: number, nowMs: number): boolean {
    return this.#free(offset, 0, nowMs);
  }

  /** The held message becomes a dead letter, and what waits behind it goes on. False when it is not held. */
  skipHeld(offset: number): boolean {
    if (!this.#memory.isHeld(offset)) return false;
    this.#skip(offset);
    return true;
  }

  #free(offset: number, attempt: number, nowMs: number): boolean {
    const { deadLetters } = this.#ports;
    const flight = this.#memory.redriven(offset);
    if (flight?.held !== true) return false;
    deadLetters.free(this.route.number, flight, attempt, nowMs);
    if (!this.#memory.locks.stand(offset, "due")) this.#memory.visible.add(offset);
    return true;
  }

  #skip(offset: number): void {
    const { deadLetters } = this.#ports;
    const { number, name } = this.route;
    deadLetters.giveUp(number, offset);
    this.#ports.dead(name, offset, deadLetters.reasonOf(number, offset));
    this.#memory.unlock(offset);
  }

  /** Settings that would not have held a message free it: as a dead letter, or for the attempts that it has now. */
  #reviewHeld(nowMs: number): void {
    const { number, settings } = this.route;
    const { deadLetters } = this.#ports;
    if (deadLetters.heldCount(number) === 0) return;
    for (const { offset, held, attempt } of deadLetters.redriven(number)) {
      if (!held) continue;
      if (settings.onPoison !== "block") this.#skip(offset);
      else if (attempt < settings.maxAttempts) this.#free(offset, attempt, nowMs);
    }
  }
}
