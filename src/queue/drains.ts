/**
 * After a growth: the queues that took slots over wait, for an ordered group, until the former owner has finished with
 * what stood below its fence. Here the former owner tells them. In memory only; told again after waking, which is harmless.
 */
import type { TopicRoute } from "../protocol/rpc.ts";
import type { Group } from "./delivery/group.ts";
import type { QueueStore } from "./store.ts";

export type DrainedPort = (
  route: TopicRoute,
  group: string,
  from: number,
  to: number,
) => Promise<void>;

export class Drains {
  readonly #drained: DrainedPort;
  readonly #told = new Set<string>();

  constructor(drained: DrainedPort) {
    this.#drained = drained;
  }

  clear(): void {
    this.#told.clear();
  }

  /** Tells the new queues of every growth whose fence this ordered group has passed. */
  tell(store: QueueStore, group: Group): void {
    if (!group.route.settings.ordered) return;
    for (const { from, to, offset } of store.identity?.fences ?? []) {
      const key = `${group.route.number}/${to}`;
      if (this.#told.has(key) || group.lowWater(store.messages.next) < offset) continue;
      this.#told.add(key);
      for (let target = from; target < to; target++) {
        this.#drained(store.route, group.route.name, store.queue, target).catch(() =>
          this.#told.delete(key),
        );
      }
    }
  }
}
