/**
 * What exists and how it is set: the registry's verbs, with the routes that they answer kept for the next call.
 * It adds nothing to the registry's decisions.
 */
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type { GroupRoute, Page, RegistryRpc, TopicRoute } from "../protocol/rpc.ts";
import type { GroupPatch, TopicPatch } from "../protocol/topic.ts";
import type { Catalogue, GroupName, KeySettings, PageQuery, TopicName } from "./broker.ts";
import type { Ground } from "./objects.ts";
import { pushState } from "./push-state.ts";
import { groupOf, type Routes } from "./routes.ts";
import type { scheduleVerbs } from "./schedules.ts";

type Ask = <T>(
  namespace: string,
  call: (registry: RegistryRpc) => Promise<Outcome<T>>,
) => Promise<Outcome<T>>;

const noGroup = (at: GroupName) =>
  refuse("group_not_found", `Topic ${at.topic} has no group ${at.group}`, { group: at.group });

function findGroup(at: GroupName, route: TopicRoute): Outcome<GroupRoute> {
  const group = groupOf(route, at.group);
  return group === undefined ? noGroup(at) : accept(group);
}

const BAD_CURSOR = refuse("invalid_request", "The cursor is not one that this list gave", {
  field: "cursor",
});

/** The verbs on topics. */
function topicVerbs(ground: Ground, routes: Routes) {
  const ask: Ask = (namespace, call) => ground.objects.registry(namespace, call);
  return {
    topic: (at: TopicName) => routes.recent(at, false),
    topics: (namespace: string, query: PageQuery) =>
      ask(namespace, (registry) => registry.listTopics(query)),
    async putTopic(at: TopicName, patch: TopicPatch) {
      const outcome = await ask(at.namespace, (registry) => registry.putTopic(at.topic, patch));
      if (outcome.ok) routes.keep(outcome.value.route);
      return outcome;
    },
    async deleteTopic(at: TopicName, force: boolean) {
      const outcome = await ask(at.namespace, (registry) => registry.deleteTopic(at.topic, force));
      if (outcome.ok) routes.forget(at);
      return outcome;
    },
  };
}

/** The verbs on groups. */
function groupVerbs(ground: Ground, routes: Routes) {
  const ask: Ask = (namespace, call) => ground.objects.registry(namespace, call);
  return {
    async group(at: GroupName) {
      const route = await routes.recent(at, false);
      return route.ok ? findGroup(at, route.value) : route;
    },
    async groups(at: TopicName, query: PageQuery) {
      if (!/^\d{1,15}$/.test(query.cursor ?? "0")) return BAD_CURSOR;
      const route = await routes.recent(at, false);
      return route.ok ? accept(pageOfGroups(route.value, query)) : route;
    },
    async putGroup(at: GroupName, patch: GroupPatch) {
      const options = { createTopic: ground.autoCreate, onlyIfMissing: false };
      const outcome = await ask(at.namespace, (registry) =>
        registry.putGroup(at.topic, at.group, patch, options),
      );
      if (!outcome.ok) return outcome;
      routes.keep(outcome.value.route);
      const { route, created, secret } = outcome.value;
      const group = findGroup(at, route);
      if (!group.ok) return group;
      const made = { group: group.value, created };
      return accept(secret === undefined ? made : { ...made, secret });
    },
    async deletePush(at: GroupName) {
      const outcome = await ask(at.namespace, (registry) =>
        registry.deletePush(at.topic, at.group),
      );
      if (!outcome.ok) return outcome;
      routes.keep(outcome.value);
      return findGroup(at, outcome.value);
    },
    async rotatePushSecret(at: GroupName) {
      const outcome = await ground.objects.registry(
        at.namespace,
        (registry) => registry.rotatePushSecret(at.topic, at.group),
        "never",
      );
      if (!outcome.ok) return outcome;
      const { route, secret } = outcome.value;
      const group = findGroup(at, route);
      return group.ok ? accept({ group: group.value, secret }) : group;
    },
    pushState: (at: GroupName, group: GroupRoute) => pushState(ground, at, group),
    async pause(at: GroupName, paused: boolean) {
      const outcome = await ask(at.namespace, (registry) =>
        registry.pauseGroup(at.topic, at.group, paused),
      );
      if (!outcome.ok) return outcome;
      routes.keep(outcome.value);
      return findGroup(at, outcome.value);
    },
    async deleteGroup(at: GroupName) {
      const outcome = await ask(at.namespace, (registry) =>
        registry.deleteGroup(at.topic, at.group),
      );
      if (!outcome.ok) return outcome;
      routes.keep(outcome.value);
      return accept({ deleted: true } as const);
    },
  };
}

/** All verbs of the catalogue but those of schedules. */
export function registryVerbs(
  ground: Ground,
  routes: Routes,
): Omit<Catalogue, keyof ReturnType<typeof scheduleVerbs>> {
  const ask: Ask = (namespace, call) => ground.objects.registry(namespace, call);
  return {
    ...topicVerbs(ground, routes),
    ...groupVerbs(ground, routes),
    producerGroup: (namespace, group) =>
      ask(namespace, (registry) => registry.producerGroup(group)),
    producerGroups: (namespace, query) =>
      ask(namespace, (registry) => registry.listProducerGroups(query)),
    putProducerGroup: (namespace, group, patch) =>
      ask(namespace, (registry) => registry.putProducerGroup(group, patch)),
    rotateProducerSecret: (namespace, group) =>
      ground.objects.registry(
        namespace,
        (registry) => registry.rotateProducerSecret(group),
        "never",
      ),
    deleteProducerGroup: (namespace, group) =>
      ask(namespace, (registry) => registry.deleteProducerGroup(group)),
    key: (namespace, name) => ask(namespace, (registry) => registry.key(name)),
    keys: (namespace, query) => ask(namespace, (registry) => registry.listKeys(query)),
    putKey: (namespace, name, settings: KeySettings) =>
      ask(namespace, (registry) => registry.putKey(name, settings)),
    deleteKey: (namespace, name) => ask(namespace, (registry) => registry.deleteKey(name)),
    changes: (namespace, after, waitMs) =>
      ask(namespace, (registry) => registry.changes(after, waitMs)),
  };
}

/** Oldest first: a group's number rises with its making, and is the cursor. */
function pageOfGroups(route: TopicRoute, { limit, cursor }: PageQuery): Page<GroupRoute> {
  const after = cursor === undefined ? -1 : Number(cursor);
  const rest = route.groups
    .filter((group) => group.number > after)
    .toSorted((one, other) => one.number - other.number);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return rest.length > limit && last !== undefined
    ? { items, nextCursor: String(last.number) }
    : { items };
}
