/**
 * From a topic's name or incarnation to its route, and the one loop that a stale route takes: read again, repeat.
 * It never asks the registry for what a queue would check anyway.
 */
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { GroupRoute, Stamp, TopicRoute } from "../protocol/rpc.ts";
import type { ById, GroupName, TopicName } from "./broker.ts";
import type { Ground } from "./objects.ts";
import { RouteCache } from "./route-cache.ts";

/** How often a call is repeated with a route that was read again. */
const REPEATS_MAX = 3;
/** A cached route serves this long for what no queue checks. */
const UNCHECKED_AGE_MS = 1_000;

export const stampOf = (route: TopicRoute): Stamp => ({
  incarnation: route.incarnation,
  version: route.version,
});

export const groupOf = (route: TopicRoute, name: string): GroupRoute | undefined =>
  route.groups.find((group) => group.name === name);

const groupNotFound = (at: GroupName): Refusal =>
  refuse("group_not_found", `Topic ${at.topic} has no group ${at.group}`, { group: at.group });

type Use<T> = (route: TopicRoute) => Promise<Outcome<T>>;

export class Routes {
  readonly #ground: Ground;
  readonly #cache: RouteCache;

  constructor(ground: Ground, cache: RouteCache = new RouteCache()) {
    this.#ground = ground;
    this.#cache = cache;
  }

  /** The route that the registry has now. */
  async read(at: TopicName, create: boolean): Promise<Outcome<TopicRoute>> {
    const outcome = await this.#ground.objects.registry(at.namespace, (registry) =>
      registry.topic(at.topic, create && this.#ground.autoCreate),
    );
    if (outcome.ok) this.keep(outcome.value);
    else if (outcome.code === "topic_not_found") this.#cache.forget(at.namespace, at.topic);
    return outcome;
  }

  /** A route for what no queue will check. */
  async recent(at: TopicName, create: boolean): Promise<Outcome<TopicRoute>> {
    const cached = this.#cache.get(at.namespace, at.topic);
    if (cached !== undefined && this.#ground.nowMs() - cached.readAt < UNCHECKED_AGE_MS) {
      return accept(cached.route);
    }
    return this.read(at, create);
  }

  keep(route: TopicRoute): void {
    this.#cache.keep(route, this.#ground.nowMs());
  }

  forget(at: TopicName): void {
    this.#cache.forget(at.namespace, at.topic);
  }

  /** Runs `use` with the topic's route; when a queue knows better, again with the registry's. */
  use<T>(at: TopicName, create: boolean, use: Use<T>): Promise<Outcome<T>> {
    return repeat(
      () => this.#cache.get(at.namespace, at.topic)?.route,
      () => this.read(at, create),
      use,
    );
  }

  /** The same for a group that must exist. */
  useGroup<T>(
    at: GroupName,
    use: (route: TopicRoute, group: GroupRoute) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    return this.use(at, false, async (known) => {
      let route = known;
      if (groupOf(route, at.group) === undefined) {
        const fresh = await this.read(at, false);
        if (!fresh.ok) return fresh;
        route = fresh.value;
      }
      const group = groupOf(route, at.group);
      return group === undefined ? groupNotFound(at) : use(route, group);
    });
  }

  /** The same for a group that is made when it is not there, as long as `mayMake`. */
  useOrMakeGroup<T>(
    at: GroupName,
    use: (route: TopicRoute, group: GroupRoute) => Promise<Outcome<T>>,
    mayMake: () => boolean,
  ): Promise<Outcome<T>> {
    return this.use(at, true, async (known) => {
      const group = groupOf(known, at.group);
      if (group !== undefined) return use(known, group);
      if (!mayMake()) return groupNotFound(at);
      const options = { createTopic: this.#ground.autoCreate, onlyIfMissing: true };
      const made = await this.#ground.objects.registry(at.namespace, (registry) =>
        registry.putGroup(at.topic, at.group, {}, options),
      );
      if (!made.ok) return made;
      this.keep(made.value.route);
      const fresh = groupOf(made.value.route, at.group);
      return fresh === undefined ? groupNotFound(at) : use(made.value.route, fresh);
    });
  }

  /** The same for what an id leads to. `missing` answers an id whose topic is gone or never was. */
  useId<T>(
    at: ById,
    address: { readonly incarnation: number; readonly queue: number } | undefined,
    missing: Refusal,
    use: Use<T>,
  ): Promise<Outcome<T>> {
    if (address === undefined) return Promise.resolve(missing);
    const { incarnation, queue } = address;
    return repeat(
      () => this.#cache.byIncarnation(at.namespace, incarnation)?.route,
      async () => {
        const outcome = await this.#ground.objects.registry(at.namespace, (registry) =>
          registry.topicByIncarnation(incarnation),
        );
        if (outcome.ok) this.keep(outcome.value);
        return !outcome.ok && outcome.code === "topic_not_found" ? missing : outcome;
      },
      async (route) => {
        const forbidden = at.permit(route.topic);
        if (forbidden !== undefined) return forbidden;
        return queue < route.settings.queues ? use(route) : missing;
      },
    );
  }
}

async function repeat<T>(
  cached: () => TopicRoute | undefined,
  read: () => Promise<Outcome<TopicRoute>>,
  use: Use<T>,
): Promise<Outcome<T>> {
  let route = cached();
  for (let round = 0; round <= REPEATS_MAX; round++) {
    if (route === undefined) {
      const fresh = await read();
      if (!fresh.ok) return fresh;
      route = fresh.value;
    }
    const outcome = await use(route);
    if (outcome.ok || outcome.code !== "stale_route") return outcome;
    route = undefined;
  }
  return refuse("unavailable", "The topic is changing; come again");
}
