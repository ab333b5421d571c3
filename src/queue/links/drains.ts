/**
 * After a growth: the queues that took slots over wait, for an ordered group, until the former owner has finished with
 * what stood below its fence. Here the former owner tells each of them, until each has heard it; that all have is kept
 * with the fence. It tells nothing while the group still waits here for an even earlier owner: that one's messages come first.
 */
import type { Clock } from "../../platform/clock.ts";
import { accept, type Outcome } from "../../protocol/errors.ts";
import type { DrainedCall, TopicRoute } from "../../protocol/rpc.ts";
import type { Group } from "../delivery/group.ts";
import { CALL_MS } from "./links.ts";
import type { Identity } from "../identity.ts";
import type { QueueStore } from "../store.ts";

/** After a call that failed, or came before its target knew the group. */
const AGAIN_MS = 1_000;

/** Answers whether the target queue knows the group and has taken note. */
export type DrainedPort = (
  route: TopicRoute,
  drained: Omit<DrainedCall, "incarnation">,
  to: number,
) => Promise<boolean>;

export interface DrainsPorts {
  readonly clock: Clock;
  readonly store: () => QueueStore;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
  readonly drained: DrainedPort;
}

type Fence = Identity["fences"][number];

export class Drains {
  readonly #ports: DrainsPorts;
  /** By group and target: when to call again; Infinity once it has heard. */
  readonly #againAt = new Map<string, number>();

  constructor(ports: DrainsPorts) {
    this.#ports = ports;
  }

  clear(): void {
    this.#againAt.clear();
  }

  /** When a call that failed or did not come back is made again. */
  nextDueAt(nowMs: number): number | undefined {
    let next = Infinity;
    for (const atMs of this.#againAt.values())
      next = Math.min(next, atMs <= nowMs ? nowMs + CALL_MS : atMs);
    return next === Infinity ? undefined : next;
  }

  /** Tells the new queues of every growth whose fence this ordered group has passed. */
  tell(group: Group): void {
    const store = this.#ports.store();
    const { number, route } = group;
    if (!route.settings.ordered || store.awaitsFormer(group.state)) return;
    const nowMs = this.#ports.clock.nowMs();
    for (const fence of store.identity?.fences ?? []) {
      if (fence.told?.includes(number) === true) continue;
      if (group.lowWater(store.messages.next) < fence.offset) continue;
      for (let target = fence.from; target < fence.to; target++) {
        const key = `${number}/${target}`;
        if ((this.#againAt.get(key) ?? 0) > nowMs) continue;
        this.#againAt.set(key, nowMs + CALL_MS);
        this.#call(store, group, target).then(
          (heard) => this.#answered(number, fence.to, key, heard),
          () => this.#answered(number, fence.to, key, false),
        );
      }
    }
  }

  #call({ route, queue }: QueueStore, group: Group, target: number): Promise<boolean> {
    const { consumerId } = group;
    const whose = consumerId === undefined ? {} : { consumerId };
    return this.#ports.drained(route, { group: group.route.number, from: queue, ...whose }, target);
  }

  #answered(group: number, to: number, key: string, heard: boolean): void {
    // A later call may have been heard already.
    if (this.#againAt.get(key) === Infinity) return;
    this.#againAt.set(key, heard ? Infinity : this.#ports.clock.nowMs() + AGAIN_MS);
    const fence = this.#ports.store().identity?.fences.find((fence) => fence.to === to);
    if (heard && (fence === undefined || !this.#haveAllHeard(group, fence))) return;
    // That all have heard is written; that one has not arms the alarm.
    void this.#ports.run(() => {
      if (heard) this.#keep(group, to);
      return accept(undefined);
    });
  }

  #haveAllHeard(group: number, { from, to }: Fence): boolean {
    for (let target = from; target < to; target++)
      if (this.#againAt.get(`${group}/${target}`) !== Infinity) return false;
    return true;
  }

  #keep(group: number, to: number): void {
    const store = this.#ports.store();
    const { identity } = store;
    if (identity === undefined) return;
    const fences = identity.fences.map((fence) =>
      fence.to !== to || fence.told?.includes(group) === true
        ? fence
        : {
            ...fence,
            told: [...(fence.told ?? []), group].filter(
              (one) => store.groups.number(one) !== undefined,
            ),
          },
    );
    store.saveIdentity({ ...identity, fences });
  }
}
