/**
 * Consumers of broadcast groups: each is known to every queue of its topic before it is given anything, so that none of
 * them can begin later than the others and miss what came in between. What an isolate knows of that it believes for an
 * hour; asking again is how a queue hears that a consumer which it sees rarely is alive.
 */
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { GroupRoute, Joined, JoinCall, TopicRoute } from "../protocol/rpc.ts";
import { queuesOf } from "./lists.ts";
import type { Ground } from "./objects.ts";
import { RecentMap } from "./route-cache.ts";
import { stampOf } from "./routes.ts";

const BELIEVED_MS = 3_600_000;
const MEMBERS_MAX = 20_000;

const nameless = refuse("invalid_request", "A consumer of a broadcast group says who it is", {
  field: "consumerId",
});

export class Members {
  readonly #ground: Ground;
  /** When each was known to have joined everywhere. */
  readonly #joined = new RecentMap<number>(MEMBERS_MAX);

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  /**
   * The consumer is known to all queues; nothing to do in a shared group. `again`: a queue did not know it after all.
   * `invalid_request` without a consumerId, or when the group is full.
   */
  async join(
    route: TopicRoute,
    group: GroupRoute,
    consumerId: string | undefined,
    again: boolean,
  ): Promise<Outcome<undefined>> {
    if (group.settings.mode !== "broadcast") return accept(undefined);
    if (consumerId === undefined) return nameless;
    const { namespace, incarnation, settings } = route;
    const key = `${namespace}/${incarnation}/${group.number}/${settings.queues}/${consumerId}`;
    const nowMs = this.#ground.nowMs();
    const joinedAt = this.#joined.get(key);
    if (!again && joinedAt !== undefined && nowMs - joinedAt < BELIEVED_MS)
      return accept(undefined);
    const call = { stamp: stampOf(route), group: group.name, consumerId };
    const home = await this.#joinAt(route, 0, call);
    if (!home.ok) return home;
    const others = await Promise.all(
      queuesOf(route)
        .slice(1)
        .map((queue) => this.#joinAt(route, queue, { ...call, membership: home.value })),
    );
    for (const outcome of others) if (!outcome.ok) return outcome;
    this.#joined.set(key, nowMs);
    return accept(undefined);
  }

  #joinAt({ namespace, topic }: TopicRoute, queue: number, call: JoinCall) {
    return this.#ground.objects.queue(
      { namespace, topic, queue },
      (object): Promise<Outcome<Joined>> => object.join(call),
    );
  }
}
