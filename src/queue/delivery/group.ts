/**
 * One consumer group at one queue: what is due, and what acks, nacks, extensions, seeks and redrives do to it. Whom a
 * receive gets is chooser.ts's to say.
 * Pure of I/O but for reading the log and writing operations through its state; it never waits and never answers
 * anybody: the queue does.
 *
 * [D1] A message has at most one live lease per group. [D2] A receipt dies with the next delivery of its message.
 * [D3] In an ordered group one message of a message group is in flight at a time.
 */
import { backoffMs } from "../../core/retry.ts";
import type { GroupRoute } from "../../protocol/rpc.ts";
import type { GroupSettings } from "../../protocol/topic.ts";
import { Chooser, type Ask, type Choice } from "./chooser.ts";
import { GroupMemory, type GroupPorts } from "./memory.ts";
import type { Flight } from "./page.ts";
import { Poison } from "./poison.ts";
import type { GroupState } from "./state.ts";

/** Looked at in one go: a hundred thousand leases may end in the same instant, and each may write. The rest stays due. */
const PROMOTED_MAX = 4_096;

export class Group {
  readonly #memory: GroupMemory;
  readonly #chooser: Chooser;
  /** What becomes of messages out of attempts. */
  readonly poison: Poison;
  lastSeenAt = 0;
  readonly consumers = new Map<string, number>();

  /** `number` is the group's own, or, of a consumer of a broadcast group, one that nothing else has at this queue. */
  constructor(route: GroupRoute, ports: GroupPorts, number = route.number) {
    this.#memory = new GroupMemory(route, ports, number);
    this.#chooser = new Chooser(this.#memory);
    this.poison = new Poison(this.#memory);
  }

  get number(): number {
    return this.state.group;
  }

  /** Whose deliveries these are, in a broadcast group. */
  get consumerId(): string | undefined {
    return this.state.owner?.consumerId;
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
    const { filter, lanes, order } = changesOf(before.settings, route.settings);
    if (filter) this.state.refilter(this.#ports.log.next, before.settings.filter !== undefined);
    // What an undivided group passed over is done; say so before gaps come to mean something else.
    if (lanes && isApart(route.settings)) this.state.saveAll();
    // What waited for its message group stands below the scan, and is met again from the low-water mark.
    else if (lanes) {
      this.state.cursor = this.state.lowWater(this.#ports.log.next);
      this.state.saveAll();
    }
    if (filter || lanes || order) this.settle();
    this.#memory.limit(nowMs);
    this.poison.review(nowMs);
  }

  seen(consumerId: string | undefined, nowMs: number): void {
    this.lastSeenAt = nowMs;
    this.state.seen(nowMs);
    if (consumerId === undefined || this.state.owner !== undefined) return;
    this.consumers.delete(consumerId);
    this.consumers.set(consumerId, nowMs);
    for (const oldest of this.consumers.keys()) {
      if (this.consumers.size <= 1_000) break;
      this.consumers.delete(oldest);
    }
  }

  // ------------------------------------------------------------ time

  /** When a lease ends, a retry is due or the rate allows more; nothing for what is visible already. */
  nextDueAt(): number | undefined {
    const dueAt = this.#flightDueAt();
    const pacedAt = this.#hasAny ? this.#memory.flow.nextAt() : undefined;
    return pacedAt === undefined || (dueAt ?? Infinity) <= pacedAt ? dueAt : pacedAt;
  }

  #flightDueAt(): number | undefined {
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
    this.#memory.flow.tick(nowMs);
    for (let left = PROMOTED_MAX; left > 0; left--) {
      const dueAt = this.#flightDueAt();
      if (dueAt === undefined || dueAt > nowMs) return;
      const offset = this.state.due.pop();
      const flight = offset === undefined ? undefined : this.#memory.flight(offset);
      if (flight === undefined) continue;
      if (flight.leased) this.#ports.lapsed(flight.offset, flight.attempt);
      if (flight.leased && this.poison.isOut(flight))
        this.poison.failed(flight, "lease_expired", nowMs);
      else this.#memory.comesDue(flight.offset);
    }
  }

  /** Nothing is delivered: it is paused, or too much of it is poisoned. */
  get isStopped(): boolean {
    return this.route.paused || this.poison.isTooMuch;
  }

  /** The oldest offset that is not done, those that are held or freed in their place included. */
  lowWater(next: number): number {
    let lowest = this.state.lowWater(next);
    for (const { offset, after } of this.#ports.deadLetters.redriven(this.number))
      if (after === offset && offset < lowest) lowest = offset;
    return lowest;
  }

  /** Might a receive find something now? Cheap; a filter may still say no. */
  get mayHave(): boolean {
    return this.#memory.flow.room > 0 && this.#hasAny;
  }

  get #hasAny(): boolean {
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
    return this.state.openCount(log.next) + deadLetters.redrivenCount(this.number);
  }

  /** About how many messages are visible. */
  get visibleCount(): number {
    if (this.isStopped) return 0;
    const count =
      this.#memory.visible.size +
      this.#memory.locks.readyCount +
      this.#memory.comeback.size +
      (this.#ports.log.next - this.state.cursor);
    return Math.min(count, this.#memory.flow.room);
  }

  /** Leases up to the asked number. */
  receive(ask: Ask, nowMs: number): Choice {
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
    if (this.#ports.deadLetters.has(this.number, offset)) return { is: "stale" };
    if (offset < this.#ports.log.next && this.state.isDone(offset)) return { is: "done" };
    return { is: "unknown" };
  }

  /** The message in flight is processed. Consecutive ones are written together by `acked`. */
  ack(offsets: readonly number[]): void {
    const plain: number[] = [];
    for (const offset of offsets) {
      this.#memory.visible.delete(offset);
      if (this.state.flight(offset) === undefined)
        this.#ports.deadLetters.remove(this.number, offset);
      else plain.push(offset);
    }
    plain.sort((a, b) => a - b);
    let at = 0;
    while (at < plain.length) {
      const first = plain[at] ?? 0;
      let count = 1;
      while (plain[at + count] === first + count) count++;
      this.state.done(first, count, "acked");
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
      if (how.retry === false) this.poison.skip(flight.offset);
      return;
    }
    if (how.retry === false) {
      this.poison.bury(flight, reason, nowMs);
      return;
    }
    if (this.poison.isOut(flight)) {
      this.poison.failed(flight, reason, nowMs);
      return;
    }
    const { backoff } = this.route.settings;
    const delayMs = how.delayMs ?? backoffMs(backoff, flight.attempt, this.#ports.random());
    const dueAt = nowMs + delayMs;
    this.#memory.visible.delete(flight.offset);
    if (this.state.flight(flight.offset) === undefined) {
      this.#ports.deadLetters.retry(this.number, flight, dueAt);
      this.state.due.push(dueAt, flight.offset);
    } else this.state.retry(flight, dueAt);
    this.#memory.waits(flight.offset, "waiting");
  }

  /** The delivery never left: the message is visible again, at once or after `delayMs`, and the attempt does not count. */
  release(flight: Flight, nowMs: number, delayMs = 0): void {
    if (!flight.leased) return;
    const { offset, generation } = flight;
    const attempt = Math.max(0, flight.attempt - 1);
    const dueAt = nowMs + delayMs;
    this.#memory.visible.delete(offset);
    this.#memory.waits(offset, "waiting");
    if (this.state.flight(offset) === undefined) {
      this.#ports.deadLetters.lease(this.number, flight, { generation, attempt, dueAt });
      this.#ports.deadLetters.retry(this.number, flight, dueAt);
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
      this.#ports.deadLetters.extend(this.number, flight, until);
      this.state.due.push(until, flight.offset);
    } else this.state.extend(flight, until);
    this.#memory.leased(flight.offset);
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
    for (const redriven of deadLetters.redriven(this.number)) {
      if (redriven.offset >= offset) deadLetters.remove(this.number, redriven.offset);
      else if (redriven.held) deadLetters.giveUp(this.number, redriven.offset);
      else {
        deadLetters.restart(this.number, redriven.offset, log.next, nowMs);
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
    const { number } = this;
    if (offset >= log.first && !this.state.isDone(offset)) {
      deadLetters.forgive(number, offset);
      return;
    }
    deadLetters.redrive(number, offset, log.next, nowMs);
    const flight = deadLetters.flight(number, offset);
    if (flight !== undefined) this.#memory.comeBack(flight);
  }

  flight(offset: number): Flight | undefined {
    return this.#memory.flight(offset);
  }
}

/** Message groups are told apart, for their order or for a limit of each. */
const isApart = ({ ordered, messageGroupConcurrency }: GroupSettings): boolean =>
  ordered || messageGroupConcurrency > 0;

/** What a change of settings makes of what the state means. */
function changesOf(
  before: GroupSettings,
  after: GroupSettings,
): { readonly filter: boolean; readonly lanes: boolean; readonly order: boolean } {
  return {
    filter: JSON.stringify(before.filter) !== JSON.stringify(after.filter),
    lanes: isApart(before) !== isApart(after),
    order:
      before.ordered !== after.ordered ||
      before.messageGroupConcurrency !== after.messageGroupConcurrency,
  };
}
