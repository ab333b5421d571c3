/**
 * Consumers of broadcast groups: each is known to every queue of its topic before it is given anything, so that none of
 * them can begin later than the others and miss what came in between. What an isolate knows of that it believes for an
 * hour; asking again is how a queue hears that a consumer which it sees rarely is alive.
 */
import { joinEverywhere } from "../platform/join.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { GroupRoute, TopicRoute } from "../protocol/rpc.ts";
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
    const { topic } = route;
    const call = { stamp: stampOf(route), group: group.name, consumerId };
    const joined = await joinEverywhere(settings.queues, (queue, membership) =>
      this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
        object.join({ ...call, ...(membership && { membership }) }),
      ),
    );
    if (!joined.ok) return joined;
    this.#joined.set(key, nowMs);
    return accept(undefined);
  }
}
