/**
 * Tells the bell of the topic which groups, and which consumers of broadcast groups, have something visible here: once when
 * they go from nothing to something, and for a shared group again while somebody waits. In memory only.
 */
import type { Clock } from "../../platform/clock.ts";
import type { GroupRoute, RingCall, TopicRoute } from "../../protocol/rpc.ts";
import type { Group } from "../delivery/group.ts";
import type { QueueStore } from "../store.ts";

/** Whoever was woken may be gone by now: while something stays visible, one more is woken so often. */
const RING_AGAIN_MS = 50;
/** The bell, or somebody who delivers, could not be told: again after this. */
const RING_LOST_MS = 1_000;

/** Tells the bell of the topic; answers how many who wait there might be woken still. */
export type RingPort = (route: TopicRoute, ring: Omit<RingCall, "incarnation">) => Promise<number>;

interface RingsPorts {
  readonly clock: Clock;
  readonly store: () => QueueStore;
  /** Rings the bell, here at queue 0 or at another queue. */
  readonly ring: RingPort;
}

export class Rings {
  readonly #ports: RingsPorts;
  /** By the number of their delivery state: told of, and not found empty since. */
  readonly #rung = new Set<number>();

  constructor(ports: RingsPorts) {
    this.#ports = ports;
  }

  clear(): void {
    this.#rung.clear();
  }

  forget(number: number): void {
    this.#rung.delete(number);
  }

  /** After a flush: tells the bell of those groups that it is wanted for. */
  ringFor(isWanted: (route: GroupRoute) => boolean): void {
    const woken = new Map<GroupRoute, Group[]>();
    for (const group of this.#store.groups) {
      const { route, consumerId } = group;
      if (!isWanted(route)) continue;
      if (consumerId === undefined) this.#ringShared(group);
      else if (this.#isNews(group)) {
        const groups = woken.get(route) ?? [];
        woken.set(route, groups);
        groups.push(group);
      }
    }
    for (const [route, groups] of woken) this.#ringConsumers(route, groups);
  }

  /** Has it gone from nothing visible to something since it was asked last? */
  #isNews(group: Group): boolean {
    if (!group.mayHave) {
      this.#rung.delete(group.number);
      return false;
    }
    if (this.#rung.has(group.number)) return false;
    this.#rung.add(group.number);
    return true;
  }

  #ringShared(group: Group): void {
    if (!this.#isNews(group)) return;
    const again = (delayMs: number): void =>
      this.#later([group], delayMs, () => this.#ringShared(group));
    this.#ring({ group: group.number, count: group.visibleCount }).then(
      (waiting) => {
        if (waiting > 0) again(RING_AGAIN_MS);
      },
      () => again(RING_LOST_MS),
    );
  }

  /** All waits of each consumer are woken, so none is left to be woken again. */
  #ringConsumers(route: GroupRoute, groups: readonly Group[]): void {
    const consumerIds = groups.flatMap(({ consumerId }) => consumerId ?? []);
    const again = (): void =>
      this.#later(groups, RING_LOST_MS, (left) => {
        const news = left.filter((group) => this.#isNews(group));
        if (news.length > 0) this.#ringConsumers(route, news);
      });
    this.#ring({ group: route.number, count: 0, consumerIds }).catch(again);
  }

  /** What is left of the groups by then may be rung for anew. */
  #later(groups: readonly Group[], delayMs: number, then: (left: Group[]) => void): void {
    this.#ports.clock.after(delayMs, () => {
      for (const { number } of groups) this.#rung.delete(number);
      then(groups.filter((group) => this.#store.groups.number(group.number) === group));
    });
  }

  #ring(ring: Omit<RingCall, "incarnation" | "queue">): Promise<number> {
    const { route, queue } = this.#store;
    return this.#ports.ring(route, { ...ring, queue });
  }

  get #store(): QueueStore {
    return this.#ports.store();
  }
}
