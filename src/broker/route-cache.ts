/**
 * What this isolate remembers of topics: routes with the instant of their reading, the most recently used few thousand.
 * It holds values only, never promises: a Worker must not resolve one request's promise from another's.
 * It never decides whether a route is still true; the queues do, by refusing a stale stamp.
 */
import type { TopicRoute } from "../protocol/rpc.ts";

interface CachedRoute {
  readonly route: TopicRoute;
  readonly readAt: number;
}

/** A map that forgets what was used longest ago. */
export class RecentMap<V> {
  readonly #entries = new Map<string, V>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#entriesMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  get size(): number {
    return this.#entries.size;
  }
}

const isNewer = (one: TopicRoute, other: TopicRoute): boolean =>
  one.incarnation === other.incarnation
    ? one.version > other.version
    : one.incarnation > other.incarnation;

export class RouteCache {
  readonly #byName: RecentMap<CachedRoute>;
  readonly #names: RecentMap<string>;

  constructor(routesMax = 2_000) {
    this.#byName = new RecentMap(routesMax);
    this.#names = new RecentMap(routesMax);
  }

  get(namespace: string, topic: string): CachedRoute | undefined {
    return this.#byName.get(`${namespace}/${topic}`);
  }

  byIncarnation(namespace: string, incarnation: number): CachedRoute | undefined {
    const topic = this.#names.get(`${namespace}/${incarnation}`);
    const cached = topic === undefined ? undefined : this.get(namespace, topic);
    return cached?.route.incarnation === incarnation ? cached : undefined;
  }

  /** Keeps a route; one that is older than what is known, having been overtaken on its way, is left. */
  keep(route: TopicRoute, readAt: number): void {
    const known = this.get(route.namespace, route.topic);
    if (known !== undefined && isNewer(known.route, route)) return;
    this.#byName.set(`${route.namespace}/${route.topic}`, { route, readAt });
    this.#names.set(`${route.namespace}/${route.incarnation}`, route.topic);
  }

  forget(namespace: string, topic: string): void {
    this.#byName.delete(`${namespace}/${topic}`);
  }
}
