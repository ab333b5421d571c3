/**
 * One message by its id: look, recall, re-time; and a topic's figures, added up over its queues. The id names the queue
 * that took the message first; that queue knows where it went.
 */
import { sumOfFigures } from "../core/figures.ts";
import { parseMessageId } from "../core/ids.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type {
  ConsumerStats,
  DeliveryFigures,
  MessageCall,
  MessagePlace,
  MessageView,
  QueueRpc,
  QueueStats,
  TraceEvent,
} from "../protocol/rpc.ts";
import type { ById, TopicName, TopicStats } from "./broker.ts";
import { queuesOf } from "./lists.ts";
import type { Ground } from "./objects.ts";
import { pushStates } from "./push-state.ts";
import { stampOf, type Routes } from "./routes.ts";

/** More than a topic can grow. */
const STOPS_MAX = 16;

interface Address {
  readonly incarnation: number;
  readonly queue: number;
  readonly at?: MessagePlace;
}

type Ask<T> = (queue: QueueRpc, call: MessageCall) => Promise<Outcome<T>>;
type GroupStats = QueueStats["groups"][number];

export class Messages {
  readonly #ground: Ground;
  readonly #routes: Routes;

  constructor(ground: Ground, routes: Routes) {
    this.#ground = ground;
    this.#routes = routes;
  }

  async view(at: ById): Promise<Outcome<MessageView>> {
    const before: TraceEvent[] = [];
    const view = await this.#ask(at, (queue, call) => queue.message(call), before);
    if (!view.ok || before.length === 0) return view;
    return accept({ ...view.value, events: [...before, ...(view.value.events ?? [])] });
  }

  recall(at: ById): Promise<Outcome<{ id: string }>> {
    return this.#ask(at, (queue, call) => queue.recall(call));
  }

  retime(at: ById, deliverAt: number): Promise<Outcome<{ id: string; deliverAt: number }>> {
    return this.#ask(at, (queue, call) => queue.retime(call, deliverAt));
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
      const pushes = await pushStates(this.#ground, route);
      const groups = groupsOf(queues).map((group) => {
        const push = pushes.get(group.group);
        return push === undefined ? group : { ...group, push };
      });
      return accept({ queues, groups, transactions });
    });
  }

  /**
   * Asks the queue where the message stands, which may be another than the id names, and of another topic. `events` gets
   * what happened to it on the way there.
   */
  async #ask<T>(at: ById, ask: Ask<T>, events: TraceEvent[] = []): Promise<Outcome<T>> {
    const missing = refuse("message_not_found", "No message has this id", {
      id: at.id.slice(0, 128),
    });
    const address = parseMessageId(at.id);
    if (address === undefined) return missing;
    let place: Address = address;
    const stopsMax = address.origin === "log" || address.origin === "memory" ? 0 : STOPS_MAX;
    // Each stop is a forward, or one growth of the topic.
    for (let stops = 0; stops < stopsMax; stops++) {
      const located = await this.#at(
        { ...at, permit: () => undefined },
        place,
        missing,
        (queue, call) => queue.locate(call),
      );
      if (!located.ok) return located;
      if (located.value.is === "here") break;
      place = located.value;
      events.push(...(located.value.events ?? []));
    }
    return this.#at(at, place, missing, ask);
  }

  #at<T>(at: ById, place: Address, missing: Refusal, ask: Ask<T>): Promise<Outcome<T>> {
    return this.#routes.useId(at, place, missing, (route) => {
      const { namespace, topic } = route;
      const call = {
        stamp: stampOf(route),
        id: at.id,
        ...(place.at === undefined ? {} : { at: place.at }),
      };
      return this.#ground.objects.queue({ namespace, topic, queue: place.queue }, (queue) =>
        ask(queue, call),
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
  const consumers = new Map(one.consumers.map((each) => [each.consumerId, each]));
  for (const each of other.consumers) {
    const known = consumers.get(each.consumerId);
    consumers.set(each.consumerId, known === undefined ? each : sumOf(known, each));
  }
  return {
    group: one.group,
    ...sumOfFigures(one, other),
    lagExact: one.lagExact && other.lagExact,
    consumers: [...consumers.values()],
    ...(lastSeenAt === 0 ? {} : { lastSeenAt }),
  };
}

function sumOf(one: ConsumerStats, other: ConsumerStats): ConsumerStats {
  const { consumerId } = one;
  const seen = { consumerId, lastSeenAt: Math.max(one.lastSeenAt, other.lastSeenAt) };
  return hasFigures(one) && hasFigures(other) ? { ...seen, ...sumOfFigures(one, other) } : seen;
}

const hasFigures = (stats: ConsumerStats): stats is ConsumerStats & DeliveryFigures =>
  stats.lag !== undefined;
