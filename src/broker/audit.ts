/**
 * The audit of a topic: its queues' side by side, and its producers queue by queue, a page at a time. It compares nothing by
 * itself but adds up what the queues found.
 */
import { accept, type Outcome } from "../protocol/errors.ts";
import type {
  AuditQuery,
  GroupAudit,
  ProducerAudit,
  QueueAudit,
  QueueSummary,
  TopicAudit,
  TopicRoute,
} from "../protocol/rpc.ts";
import type { PageQuery, TopicName } from "./broker.ts";
import { BAD_CURSOR, decodeCursor, encodeCursor } from "./cursor.ts";
import { queuesOf } from "./lists.ts";
import type { Ground } from "./objects.ts";
import { stampOf, type Routes } from "./routes.ts";

/** Queues that one page asks for producers; a page may so be short. */
const QUEUES_A_PAGE = 8;

interface Place {
  readonly queue: number;
  readonly after?: string;
}

export class Auditor {
  readonly #ground: Ground;
  readonly #routes: Routes;

  constructor(ground: Ground, routes: Routes) {
    this.#ground = ground;
    this.#routes = routes;
  }

  audit(at: TopicName, query: PageQuery): Promise<Outcome<TopicAudit>> {
    return this.#routes.use(at, false, async (route) => {
      const place = placeOf(query.cursor, route);
      if (!place.ok) return place;
      const page = await this.#producers(route, place.value, query.limit);
      if (!page.ok || query.cursor !== undefined) return page;
      const summary = await this.#summary(route);
      return summary.ok ? accept({ ...page.value, summary: summary.value }) : summary;
    });
  }

  async #summary(route: TopicRoute): Promise<Outcome<Required<TopicAudit>["summary"]>> {
    const outcomes = await Promise.all(
      queuesOf(route).map((queue) => this.#ask(route, queue, { summary: true, limit: 1 })),
    );
    const queues: QueueSummary[] = [];
    const groups = new Map<string, GroupAudit>();
    for (const outcome of outcomes) {
      if (!outcome.ok) return outcome;
      if (outcome.value.summary === undefined) continue;
      const { groups: some, ...queue } = outcome.value.summary;
      queues.push(queue);
      for (const group of some) {
        const known = groups.get(group.group);
        groups.set(group.group, known === undefined ? group : sum(known, group));
      }
    }
    return accept({ queues, groups: [...groups.values()] });
  }

  /** From there on, until the page is full or enough queues were asked. */
  async #producers(route: TopicRoute, from: Place, limit: number): Promise<Outcome<TopicAudit>> {
    const producers: ProducerAudit[] = [];
    let place: Place = from;
    for (let asked = 0; asked < QUEUES_A_PAGE; asked++) {
      const left = limit - producers.length;
      const after = place.after === undefined ? {} : { after: place.after };
      const found = await this.#ask(route, place.queue, { ...after, limit: left });
      if (!found.ok) return found;
      producers.push(...found.value.producers);
      const { next } = found.value;
      place = next === undefined ? { queue: place.queue + 1 } : { queue: place.queue, after: next };
      if (place.queue >= route.settings.queues) return accept({ producers });
      if (producers.length >= limit) break;
    }
    const positions = new Map([[place.queue, place.after ?? null]]);
    return accept({ producers, nextCursor: encodeCursor(route.incarnation, positions) });
  }

  #ask(route: TopicRoute, queue: number, query: AuditQuery): Promise<Outcome<QueueAudit>> {
    const { namespace, topic } = route;
    return this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
      object.audit(stampOf(route), query),
    );
  }
}

/** A cursor names the one queue that goes on, and where in it. */
function placeOf(cursor: string | undefined, route: TopicRoute): Outcome<Place> {
  if (cursor === undefined) return accept({ queue: 0 });
  const positions = decodeCursor(cursor, route.incarnation);
  if (!positions.ok) return positions;
  const [first, ...others] = positions.value;
  if (first === undefined || others.length > 0) return BAD_CURSOR;
  const [queue, after] = first;
  if (queue >= route.settings.queues || typeof after === "number") return BAD_CURSOR;
  return accept(after === null ? { queue } : { queue, after });
}

const sum = (one: GroupAudit, other: GroupAudit): GroupAudit => ({
  group: one.group,
  stored: one.stored + other.stored,
  delivered: one.delivered + other.delivered,
  acked: one.acked + other.acked,
  deadLettered: one.deadLettered + other.deadLettered,
  expired: one.expired + other.expired,
  filtered: one.filtered + other.filtered,
  open: one.open + other.open,
  unaccounted: one.unaccounted + other.unaccounted,
});
