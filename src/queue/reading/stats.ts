/** A queue's figures, and those of its groups: added up over the consumers of a broadcast group, and of each. */
import { NO_FIGURES, sumOfFigures } from "../../core/figures.ts";
import type { DeliveryFigures, GroupRoute, QueueStats } from "../../protocol/rpc.ts";
import { hasFailed } from "../halves/last-check.ts";
import type { Group } from "../delivery/group.ts";
import type { QueueStore } from "../store.ts";

export function stats(store: QueueStore, nowMs: number): QueueStats {
  const { messages, halves } = store;
  return {
    queue: store.queue,
    firstOffset: messages.first,
    nextOffset: messages.next,
    bytes: messages.bytes,
    coldBytes: messages.coldBytes,
    ...(messages.cold.unreachableAt === undefined
      ? {}
      : { coldUnreachableAt: messages.cold.unreachableAt }),
    prepared: halves.open.size,
    failingChecks: Array.from(halves.open).filter(({ lastCheck }) => hasFailed(lastCheck)).length,
    delayed: store.delayed.count,
    forwarding: store.links.pending,
    groups: Array.from(store.groups.routes(), (route) => groupStats(store, route, nowMs)),
    transactions: { prepared: halves.open.size, ...halves.counts },
  };
}

function groupStats(
  store: QueueStore,
  route: GroupRoute,
  nowMs: number,
): QueueStats["groups"][number] {
  const { next } = store.messages;
  const states = store.groups.of(route.name);
  const figures = states.map((group) => figuresOf(store, group, nowMs));
  const lastSeenAt = Math.max(0, ...states.map((group) => group.lastSeenAt));
  return {
    group: route.name,
    ...figures.reduce(sumOfFigures, NO_FIGURES),
    lagExact:
      route.settings.filter === undefined || states.every(({ state }) => state.cursor >= next),
    consumers: states.flatMap((group, index) => consumersOf(group, figures[index])),
    ...(lastSeenAt === 0 ? {} : { lastSeenAt }),
  };
}

/** Those who asked a shared group, or the one whose deliveries these are. */
function consumersOf(
  group: Group,
  figures: DeliveryFigures | undefined,
): QueueStats["groups"][number]["consumers"] {
  const { owner } = group.state;
  if (owner === undefined)
    return Array.from(group.consumers, ([consumerId, lastSeenAt]) => ({ consumerId, lastSeenAt }));
  const { consumerId, seenAt } = owner;
  return [{ consumerId, lastSeenAt: Math.max(seenAt, group.lastSeenAt), ...figures }];
}

function figuresOf(store: QueueStore, group: Group, nowMs: number): DeliveryFigures {
  const { state, number } = group;
  const { messages, deadLetters } = store;
  let inFlight = 0;
  let retrying = 0;
  const redriven = [...deadLetters.redriven(number)];
  for (const flight of [...state.flights(), ...redriven]) {
    if (flight.leased && flight.dueAt > nowMs && flight.attempt > 0) inFlight++;
    else if (!("held" in flight && flight.held)) retrying++;
  }
  const oldest = group.lowWater(messages.next);
  const storedAt =
    deadLetters.content(number, oldest)?.storedAt ??
    (oldest < messages.next ? messages.storedAtOf(oldest) : undefined);
  return {
    lag: group.lag,
    inFlight,
    retrying,
    deadLetters: deadLetters.count(number),
    poisoned: deadLetters.heldCount(number),
    expired: state.expired,
    oldestUnackedAgeMs: storedAt === undefined ? 0 : Math.max(0, nowMs - storedAt),
  };
}
