/**
 * The consumer groups of a queue and their delivery states: a shared group has one, a broadcast group one for each of its
 * consumers, so that whoever has a state in hand need not know which of the two it is. Here states begin, are found, are
 * woken and are forgotten; what happens in them is group.ts's.
 *
 * A consumer that is silent for a day is forgotten. The topic's queue 0 is every consumer's home and says so first; the
 * others follow a day later at the latest, or when the consumer joins anew.
 */
import type { ByteReader } from "../../core/bytes.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { GroupRoute } from "../../protocol/rpc.ts";
import type { Journal } from "../storage/journal.ts";
import type { Group } from "./group.ts";
import type { Membership } from "./owner.ts";
import { GroupState } from "./state.ts";

/** Numbers of consumers begin here, in a range of their own for each group; those of groups stay below. */
const CONSUMERS_FROM = 2 ** 28;
const HOUR_MS = 3_600_000;
/** A day, and the hour to which a consumer's last sign is known. */
const SILENCE_MS = 25 * HOUR_MS;
const SILENCE_AWAY_MS = SILENCE_MS + 24 * HOUR_MS;
/** At the home the limit holds; elsewhere those that it has let in may overlap with those that it has forgotten. */
const AWAY_MAX = LIMITS.consumersMax * 2;

export interface GroupsPorts {
  make(route: GroupRoute, number: number): Group;
  /** Where a new state of the group starts at this queue. */
  startOf(route: GroupRoute): number;
  /** A number that was never given before at this queue; it is durable with the flush. */
  nextConsumer(): number;
  /** The state is gone; its dead letters go, and who waits for it is told. */
  gone(group: Group): void;
}

const rangeOf = (route: GroupRoute): number => CONSUMERS_FROM * (route.number + 1);

export class Groups {
  readonly #ports: GroupsPorts;
  readonly #routes = new Map<string, GroupRoute>();
  readonly #byNumber = new Map<number, Group>();
  /** Of broadcast groups: by name, then by consumer. */
  readonly #consumers = new Map<string, Map<string, Group>>();
  /** Nobody is silent long enough before this. */
  #reviewAt = Infinity;

  constructor(ports: GroupsPorts) {
    this.#ports = ports;
  }

  /** All delivery states. */
  [Symbol.iterator](): Iterator<Group> {
    return this.#byNumber.values();
  }

  routes(): Iterable<GroupRoute> {
    return this.#routes.values();
  }

  route(name: string): GroupRoute | undefined {
    return this.#routes.get(name);
  }

  number(number: number): Group | undefined {
    return this.#byNumber.get(number);
  }

  /** The group's state, or, of a broadcast group, the consumer's. */
  get(name: string, consumerId?: string): Group | undefined {
    const route = this.#routes.get(name);
    if (route?.settings.mode !== "broadcast")
      return route === undefined ? undefined : this.#byNumber.get(route.number);
    return consumerId === undefined ? undefined : this.#consumers.get(name)?.get(consumerId);
  }

  /** The same by the group's own number. */
  member(number: number, consumerId?: string): Group | undefined {
    const route = [...this.#routes.values()].find((each) => each.number === number);
    return route === undefined ? undefined : this.get(route.name, consumerId);
  }

  /** The group's one state, or those of all its consumers, or of the named one. */
  of(name: string, consumerId?: string): readonly Group[] {
    if (consumerId === undefined && this.#routes.get(name)?.settings.mode === "broadcast")
      return [...(this.#consumers.get(name)?.values() ?? [])];
    const group = this.get(name, consumerId);
    return group === undefined ? [] : [group];
  }

  /** Is any message of [from, to) leased or waiting for a retry? */
  holdsBetween(from: number, to: number): boolean {
    for (const { state } of this) if (state.holdsBetween(from, to)) return true;
    return false;
  }

  // ------------------------------------------------------------ beginning and end

  /** The topic's groups are these now. */
  adopt(routes: readonly GroupRoute[], nowMs: number): void {
    const kept = new Set(routes.map(({ number }) => number));
    for (const { name, number } of this.#routes.values()) if (!kept.has(number)) this.#drop(name);
    for (const route of routes) {
      const isNew = !this.#routes.has(route.name);
      this.#routes.set(route.name, route);
      if (!isNew) for (const group of this.of(route.name)) group.update(route, nowMs);
      else if (route.settings.mode === "shared")
        this.#begin(this.#ports.make(route, route.number), this.#ports.startOf(route));
    }
  }

  /** The topic is gone. */
  clear(): void {
    for (const name of this.#routes.keys()) this.#drop(name);
  }

  #drop(name: string): void {
    const groups = this.of(name);
    this.#routes.delete(name);
    for (const group of groups) this.#forget(group);
    this.#consumers.delete(name);
  }

  #begin(group: Group, offset: number): void {
    group.state.begin(offset);
    group.settle();
    this.#add(group);
  }

  #add(group: Group): void {
    this.#byNumber.set(group.number, group);
    const { owner } = group.state;
    if (owner === undefined) return;
    const { name } = group.route;
    const consumers = this.#consumers.get(name) ?? new Map<string, Group>();
    this.#consumers.set(name, consumers.set(owner.consumerId, group));
    this.#reviewAt = Math.min(this.#reviewAt, silentAt(group));
  }

  #forget(group: Group): void {
    group.state.forget();
    this.#byNumber.delete(group.number);
    const { consumerId } = group;
    if (consumerId !== undefined) this.#consumers.get(group.route.name)?.delete(consumerId);
    this.#ports.gone(group);
  }

  // ------------------------------------------------------------ consumers of a broadcast group

  /**
   * The consumer belongs to the group from now on, or still. Without a membership this queue is its home, and says which it
   * is; `queues` is how many the topic has.
   */
  join(
    route: GroupRoute,
    consumerId: string,
    asked: { readonly queue: number; readonly queues: number; readonly membership?: Membership },
    nowMs: number,
  ): Outcome<Membership> {
    const known = this.get(route.name, consumerId);
    const owner = known?.state.owner;
    if (known !== undefined && owner !== undefined) {
      const isSame = asked.membership === undefined || asked.membership.home === owner.home;
      if (isSame) {
        known.seen(consumerId, nowMs);
        return accept({ home: owner.home, queues: owner.queues });
      }
      // It was forgotten at its home, and has begun anew.
      this.#forget(known);
    }
    const actual = (this.#consumers.get(route.name)?.size ?? 0) + 1;
    const limit = asked.membership === undefined ? LIMITS.consumersMax : AWAY_MAX;
    if (actual > limit) {
      const facts = { field: "consumerId", limit: LIMITS.consumersMax, actual };
      return refuse("invalid_request", "A broadcast group has no room for more consumers", facts);
    }
    const number = rangeOf(route) + this.#ports.nextConsumer();
    const group = this.#ports.make(route, number);
    const membership = asked.membership ?? { home: number, queues: asked.queues };
    group.state.owner = { consumerId, ...membership, seenAt: nowMs };
    this.#begin(group, asked.queue < membership.queues ? this.#ports.startOf(route) : 0);
    return accept(membership);
  }

  /** Consumers that were silent for too long are forgotten. */
  review(nowMs: number): void {
    if (nowMs < this.#reviewAt) return;
    this.#reviewAt = Infinity;
    for (const consumers of this.#consumers.values()) {
      for (const group of consumers.values()) {
        const at = silentAt(group);
        if (at <= nowMs) this.#forget(group);
        else this.#reviewAt = Math.min(this.#reviewAt, at);
      }
    }
  }

  /** When something of the groups is due; undefined when nothing ever is. */
  nextDueAt(): number | undefined {
    let next = this.#reviewAt;
    for (const group of this) next = Math.min(next, group.nextDueAt() ?? Infinity);
    return next === Infinity ? undefined : next;
  }

  // ------------------------------------------------------------ waking

  /** Before anything else is restored. */
  wake(routes: readonly GroupRoute[]): void {
    for (const route of routes) {
      this.#routes.set(route.name, route);
      if (route.settings.mode === "shared") this.#add(this.#ports.make(route, route.number));
    }
  }

  restoreHead(number: number, data: Uint8Array, seq: number): void {
    const known = this.#byNumber.get(number);
    const route = known?.route ?? this.#broadcasting(number);
    if (route === undefined) return;
    const group = known ?? this.#ports.make(route, number);
    group.state.restoreHead(data, seq);
    if (known === undefined) this.#add(group);
  }

  #broadcasting(number: number): GroupRoute | undefined {
    for (const route of this.#routes.values()) {
      const isIn = number >= rangeOf(route) && number < rangeOf(route) + CONSUMERS_FROM;
      if (isIn && route.settings.mode === "broadcast") return route;
    }
    return undefined;
  }

  restorePage(number: number, page: number, data: Uint8Array, seq: number): void {
    this.#byNumber.get(number)?.state.restorePage(page, data, seq);
  }

  /** Repeats one operation of a delta. One of a state that is gone is only read past, by `past`. */
  apply(kind: number, reader: ByteReader, seq: number, past: GroupState): void {
    const number = reader.uint();
    (this.#byNumber.get(number)?.state ?? past).apply(kind, reader, seq);
  }

  /** A state that nobody keeps, over a journal that is never written. */
  static past(journal: Journal): GroupState {
    return new GroupState(0, journal);
  }

  settle(): void {
    for (const group of this) group.settle();
    this.#reviewAt = -Infinity;
  }
}

/** When the consumer will have been silent for too long. */
function silentAt({ number, state: { owner } }: Group): number {
  if (owner === undefined) return Infinity;
  return owner.seenAt + (owner.home === number ? SILENCE_MS : SILENCE_AWAY_MS);
}
