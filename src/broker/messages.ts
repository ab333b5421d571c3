/**
 * One message by its id: look, recall, re-time; and a topic's figures, added up over its queues. The id names the queue
 * that took the message first; that queue knows where it went.
 */
import { parseMessageId } from "../core/ids.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { MessageView, QueueRpc, QueueStats, Stamp } from "../protocol/rpc.ts";
import type { ById, TopicName, TopicStats } from "./broker.ts";
import { queuesOf } from "./lists.ts";
import type { Ground } from "./objects.ts";
import { stampOf, type Routes } from "./routes.ts";

type GroupStats = QueueStats["groups"][number];

export class Messages {
  readonly #ground: Ground;
  readonly #routes: Routes;

  constructor(ground: Ground, routes: Routes) {
    this.#ground = ground;
    this.#routes = routes;
  }

  view(at: ById): Promise<Outcome<MessageView>> {
    return this.#ask(at, (queue, stamp) => queue.message(stamp, at.id));
  }

  recall(at: ById): Promise<Outcome<{ id: string }>> {
    return this.#ask(at, (queue, stamp) => queue.recall(stamp, at.id));
  }

  retime(at: ById, deliverAt: number): Promise<Outcome<{ id: string; deliverAt: number }>> {
    return this.#ask(at, (queue, stamp) => queue.retime(stamp, at.id, deliverAt));
  }

  stats(at: TopicName): Promise<Outcome<TopicStats>> {
    return this.#routes.use(at, false, async (route) => {
      const { namespace, topic } = at;
      const outcomes = await Promise.all(
        queuesOf(route).map((queue) =>
          this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
            object.stats(stampOf(route)),
          ),
        ),
      );
      const queues: QueueStats[] = [];
      for (const outcome of outcomes) {
        if (!outcome.ok) return outcome;
        queues.push(outcome.value);
      }
      const transactions = { prepared: 0, committed: 0, rolledBack: 0, discarded: 0 };
      for (const each of queues) {
        transactions.prepared += each.transactions.prepared;
        transactions.committed += each.transactions.committed;
        transactions.rolledBack += each.transactions.rolledBack;
        transactions.discarded += each.transactions.discarded;
      }
      return accept({ queues, groups: groupsOf(queues), transactions });
    });
  }

  #ask<T>(
    at: ById,
    call: (queue: QueueRpc, stamp: Stamp) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const missing = refuse("message_not_found", "No message has this id", {
      id: at.id.slice(0, 128),
    });
    const address = parseMessageId(at.id);
    return this.#routes.useId(at, address, missing, (route) => {
      const { namespace, topic } = route;
      return this.#ground.objects.queue({ namespace, topic, queue: address?.queue ?? 0 }, (queue) =>
        call(queue, stampOf(route)),
      );
    });
  }
}

function groupsOf(queues: readonly QueueStats[]): GroupStats[] {
  const groups = new Map<string, GroupStats>();
  for (const queue of queues) {
    for (const stats of queue.groups) {
      const known = groups.get(stats.group);
      groups.set(stats.group, known === undefined ? stats : sum(known, stats));
    }
  }
  return [...groups.values()];
}

function sum(one: GroupStats, other: GroupStats): GroupStats {
  const lastSeenAt = Math.max(one.lastSeenAt ?? 0, other.lastSeenAt ?? 0);
  const consumers = new Map<string, number>();
  for (const { consumerId, lastSeenAt: seenAt } of [...one.consumers, ...other.consumers]) {
    consumers.set(consumerId, Math.max(seenAt, consumers.get(consumerId) ?? 0));
  }
  return {
    group: one.group,
    lag: one.lag + other.lag,
    lagExact: one.lagExact && other.lagExact,
    inFlight: one.inFlight + other.inFlight,
    retrying: one.retrying + other.retrying,
    deadLetters: one.deadLetters + other.deadLetters,
    expired: one.expired + other.expired,
    oldestUnackedAgeMs: Math.max(one.oldestUnackedAgeMs, other.oldestUnackedAgeMs),
    consumers: Array.from(consumers, ([consumerId, seenAt]) => ({
      consumerId,
      lastSeenAt: seenAt,
    })),
    ...(lastSeenAt === 0 ? {} : { lastSeenAt }),
  };
}
