/** How the pushes of groups are doing: asked of their pushers, and left out where one does not answer. */
import { accept } from "../protocol/errors.ts";
import type { GroupRoute, PushState, TopicRoute } from "../protocol/rpc.ts";
import type { GroupName } from "./broker.ts";
import type { Ground } from "./objects.ts";

/** Pushers of one topic that are asked for its figures; the others' are seen by reading the group. */
const ASKED_MAX = 32;

export async function pushState(
  { objects }: Ground,
  { namespace, topic }: Omit<GroupName, "group">,
  { name: group, settings }: GroupRoute,
): Promise<PushState | undefined> {
  if (settings.push === undefined) return undefined;
  const outcome = await objects.pusher({ namespace, topic, group }, async (pusher) =>
    accept(await pusher.state()),
  );
  return outcome.ok ? outcome.value : undefined;
}

/** By the groups' names. */
export async function pushStates(
  ground: Ground,
  route: TopicRoute,
): Promise<ReadonlyMap<string, PushState>> {
  const pushing = route.groups.filter(({ settings }) => settings.push !== undefined);
  const states = new Map<string, PushState>();
  await Promise.all(
    pushing.slice(0, ASKED_MAX).map(async (group) => {
      const state = await pushState(ground, route, group);
      if (state !== undefined) states.set(group.name, state);
    }),
  );
  return states;
}
