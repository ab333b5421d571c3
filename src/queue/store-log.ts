/** What a queue's store tells the log: messages that nobody will get. Wiring only; it decides nothing. */
import type { Log } from "../platform/log.ts";
import type { QueueStore, StorePorts } from "./store.ts";

export function storeLog(log: Log, store: () => QueueStore): Omit<StorePorts, "random"> {
  const place = () => ({ topic: store().route.topic, queue: store().queue });
  const message = (event: string) => (group: string, offset: number, reason: string) =>
    log.error(event, { ...place(), group, offset, reason });
  return {
    dead: message("message.dead"),
    held: message("message.held"),
    expired: (group, expired) => log.error("messages.expired", { ...place(), group, expired }),
  };
}
