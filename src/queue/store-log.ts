/** What a queue's store tells the log: messages that nobody will get. Wiring only; it decides nothing. */
import type { Log } from "../platform/log.ts";
import type { Group } from "./delivery/group.ts";
import type { QueueStore, StorePorts } from "./store.ts";

export function storeLog(log: Log, store: () => QueueStore): Omit<StorePorts, "random" | "gone"> {
  const message = (event: string) => (group: Group, offset: number, reason: string) =>
    log.error(event, { ...whose(store(), group), offset, reason });
  return {
    dead: message("message.dead"),
    held: message("message.held"),
    expired: (group, expired) =>
      log.error("messages.expired", { ...whose(store(), group), expired }),
  };
}

/** What a line says of a delivery state. */
export function whose(store: QueueStore, { route, consumerId }: Group) {
  const { topic } = store.route;
  const { queue } = store;
  return { topic, queue, group: route.name, consumerId };
}
