/**
 * What one group at one queue holds in memory beside its durable state: what is visible again, the locks of an ordered
 * group, and the look-ups that both choosing and settling need. It decides nothing.
 */
import { decodeEntry } from "../../core/entry.ts";
import { makeFilter, type MessageFilter } from "../../core/filter/message-filter.ts";
import { Heap } from "../../core/heap.ts";
import { readRecordHead } from "../../core/record.ts";
import type { GroupRoute } from "../../protocol/rpc.ts";
import type { Journal } from "../storage/journal.ts";
import type { Stored } from "../cold/cold-log.ts";
import type { MessageLog } from "../log/message-log.ts";
import { Comeback } from "./comeback.ts";
import type { DeadLetters, Redriven } from "./dead-letters.ts";
import { OrderLocks } from "./order.ts";
import type { Flight } from "./page.ts";
import { Flow, type Seat } from "./flow.ts";
import { GroupState } from "./state.ts";

export interface GroupPorts {
  readonly log: MessageLog;
  readonly journal: Journal;
  readonly deadLetters: DeadLetters;
  /** The former queue that a message group's order still waits for, if any. */
  heldFor(state: GroupState, messageGroup: string): number | undefined;
  /** Which of the topic's queues this is. */
  seat(): Seat;
  /** 0 to below 1, to spread retries. */
  random(): number;
  /** A lease ran out. */
  lapsed(offset: number, attempt: number): void;
  dead(offset: number, reason: string): void;
  /** The message ran out of attempts and is held in its place. */
  held(offset: number, reason: string): void;
}

/** Offsets that may be delivered again now, the smallest first. */
class Visible {
  readonly #heap = new Heap();
  readonly #offsets = new Set<number>();

  get size(): number {
    return this.#offsets.size;
  }

  get first(): number | undefined {
    for (;;) {
      const offset = this.#heap.topValue;
      if (offset === undefined || this.#offsets.has(offset)) return offset;
      this.#heap.pop();
    }
  }

  has(offset: number): boolean {
    return this.#offsets.has(offset);
  }

  add(offset: number): void {
    if (this.#offsets.has(offset)) return;
    this.#offsets.add(offset);
    this.#heap.push(offset, offset);
  }

  delete(offset: number): void {
    this.#offsets.delete(offset);
  }

  clear(): void {
    this.#offsets.clear();
    this.#heap.clear();
  }
}

export class GroupMemory {
  route: GroupRoute;
  /** As the memory was made; the route's setting may be newer for a moment. */
  ordered = false;
  /** Message groups are told apart: for their order, or for a limit of each. */
  apart = false;
  /** Ready for use, made from the route's setting as `ordered` is. */
  filter: MessageFilter | undefined;
  readonly state: GroupState;
  readonly ports: GroupPorts;
  readonly visible = new Visible();
  readonly locks = new OrderLocks();
  readonly flow: Flow;
  readonly comeback = new Comeback();

  constructor(route: GroupRoute, ports: GroupPorts, number: number) {
    this.route = route;
    this.ports = ports;
    this.state = new GroupState(number, ports.journal);
    this.flow = new Flow(this.state);
  }

  get number(): number {
    return this.state.group;
  }

  /** After waking or a change of settings: what follows from the state is made anew. */
  settle(): void {
    const { ordered, messageGroupConcurrency, filter } = this.route.settings;
    this.ordered = ordered;
    this.apart = ordered || messageGroupConcurrency > 0;
    this.locks.concurrency = ordered ? 0 : messageGroupConcurrency;
    this.flow.limit(this.route.settings, this.ports.seat());
    this.filter = filter === undefined ? undefined : makeFilter(filter);
    this.clear();
    this.state.settle(!this.apart && filter !== undefined, this.ports.log.first);
    this.state.due.clear();
    const flying: { flight: Flight; place: number }[] = [];
    for (const flight of this.state.flights()) flying.push({ flight, place: flight.offset });
    for (const redriven of this.ports.deadLetters.redriven(this.number)) {
      // One that was freed from its hold stands where it always stood.
      const isAway = redriven.attempt === 0 && redriven.after !== redriven.offset;
      if (isAway) this.comeBack(redriven);
      // Behind what the log held below `after`, and before what came then.
      else flying.push({ flight: redriven, place: redriven.after - 0.5 });
    }
    flying.sort((one, other) => one.place - other.place);
    for (const { flight } of flying) this.#resume(flight);
    // Parked messages are found again by looking at everything that is not done.
    if (this.apart) this.state.cursor = this.state.lowWater(this.ports.log.next);
  }

  #resume(flight: Flight): void {
    const isHeld = this.isHeld(flight.offset);
    if (!isHeld) this.state.due.push(flight.dueAt, flight.offset);
    if (flight.leased) this.flow.out(flight.offset);
    const messageGroup = this.apart ? this.messageGroupOf(flight.offset) : undefined;
    if (messageGroup === undefined) return;
    const standing = isHeld ? "held" : flight.leased ? "leased" : "waiting";
    this.locks.fly(messageGroup, flight.offset, standing);
  }

  isHeld(offset: number): boolean {
    return this.redriven(offset)?.held === true;
  }

  clear(): void {
    this.visible.clear();
    this.locks.clear();
    this.comeback.clear();
    this.flow.clear();
  }

  /** The limits may have changed, or this queue's share of them. */
  limit(nowMs: number): void {
    if (!this.flow.limit(this.route.settings, this.ports.seat())) return;
    this.flow.clear();
    const flights = [...this.state.flights(), ...this.ports.deadLetters.redriven(this.number)];
    for (const { offset, leased, dueAt } of flights)
      if (leased && dueAt > nowMs) this.flow.out(offset);
  }

  // ------------------------------------------------------------ what is in flight

  /** A consumer has it again, or still. */
  leased(offset: number): void {
    this.flow.out(offset);
    this.locks.stand(offset, "leased");
  }

  /** It waits for a retry, or for somebody's word. */
  waits(offset: number, standing: "waiting" | "held"): void {
    this.flow.back(offset);
    this.locks.stand(offset, standing);
  }

  /** It may be delivered again now. */
  comesDue(offset: number): void {
    this.flow.back(offset);
    if (this.locks.stand(offset, "due")) return;
    const messageGroup = this.apart && !this.ordered ? this.messageGroupOf(offset) : undefined;
    if (messageGroup === undefined) this.visible.add(offset);
    else {
      this.locks.fly(messageGroup, offset, "due");
      this.locks.settle(messageGroup);
    }
  }

  /** A redriven message waits for its first delivery: for its place in its message group, or for nothing. */
  comeBack({ offset, after, dueAt }: Redriven): void {
    if (this.ordered && this.messageGroupOf(offset) !== undefined) this.comeback.add(after, offset);
    else this.state.due.push(dueAt, offset);
  }

  flight(offset: number): Flight | undefined {
    return this.state.flight(offset) ?? this.redriven(offset);
  }

  /** The flight of a message that stands among the dead letters' rows: redriven, or held. */
  redriven(offset: number): Redriven | undefined {
    return this.ports.deadLetters.flight(this.number, offset);
  }

  /** Of a message in flight. */
  content(offset: number): Stored | undefined {
    return this.ports.deadLetters.content(this.number, offset) ?? this.ports.log.held(offset);
  }

  messageGroupOf(offset: number): string | undefined {
    const read = this.content(offset);
    return read === undefined
      ? undefined
      : readRecordHead(decodeEntry(read.entry).record).messageGroup;
  }

  /** It is done with. */
  unlock(offset: number): void {
    this.flow.back(offset);
    this.locks.land(offset);
  }
}
