/** What waits in a queue, counted where it stands: one call per queue of the topic. */
import type { Context, Queue } from "./context.ts";
import { done, faultOf, type Result } from "./faults.ts";

interface Metrics {
  readonly backlog_count: number;
  /** Of the whole log, acked or not: the log does not count bytes by group. */
  readonly backlog_bytes: number;
  /** 0: nothing waits. */
  readonly oldest_message_timestamp_ms: number;
}

export async function metricsOf({ edge }: Context, queue: Queue): Promise<Result<Metrics>> {
  const stats = await edge.broker.stats(queue.at);
  if (!stats.ok) return faultOf(stats);
  const group = stats.value.groups.find((each) => each.group === queue.at.group);
  const delayed = stats.value.queues.reduce((sum, each) => sum + each.delayed, 0);
  const count = (group?.lag ?? 0) + delayed;
  const age = group?.oldestUnackedAgeMs ?? 0;
  return done({
    backlog_count: count,
    backlog_bytes: count === 0 ? 0 : stats.value.queues.reduce((sum, each) => sum + each.bytes, 0),
    oldest_message_timestamp_ms: (group?.lag ?? 0) === 0 ? 0 : edge.clock.nowMs() - age,
  });
}
