/**
 * What every operation is given: who asks, and the broker. And how a queue is found by its id: a queue of this door is a topic
 * with a group named `cloudflare-queues`; its id is the topic's name. It never changes anything.
 */
import { allows } from "../../auth/allows.ts";
import type { Principal } from "../../auth/principal.ts";
import type { GroupName } from "../../broker/broker.ts";
import type { GroupRoute, Scope, TopicRoute } from "../../protocol/rpc.ts";
import type { Asker } from "../leaving.ts";
import { done, faultOf, noSuchQueue, type Result } from "./faults.ts";

export interface Context extends Asker {
  readonly caller: Principal;
}

/** The group that a topic is consumed by through this door; a topic that has it is a queue. */
export const GROUP = "cloudflare-queues";
/** Begins the names of labels that the door keeps for itself. */
export const OWN_LABEL = "cloudflare-queues:";

export interface Queue {
  readonly at: GroupName;
  readonly route: TopicRoute;
  readonly group: GroupRoute;
}

export const ANY: readonly Scope[] = ["send", "transact", "consume", "manage"];

export const reaches = ({ caller }: Context, scopes: readonly Scope[], topic: string): boolean =>
  scopes.some((scope) => allows(caller, scope, topic).ok);

/** What a topic is as a queue; undefined for one that is none. */
export function queueOf(route: TopicRoute): Queue | undefined {
  const { namespace, topic } = route;
  const group = route.groups.find(({ name }) => name === GROUP);
  if (group === undefined) return undefined;
  return { at: { namespace, topic, group: GROUP }, route, group };
}

/** The queue, when the caller may do one of these there. */
export async function queueAt(
  context: Context,
  name: string,
  scopes: readonly Scope[],
): Promise<Result<Queue>> {
  const [first = "manage"] = scopes;
  const allowed = allows(context.caller, first, name);
  if (!allowed.ok && !reaches(context, scopes, name)) return faultOf(allowed);
  const route = await context.edge.broker.topic({
    namespace: context.caller.namespace,
    topic: name,
  });
  if (!route.ok) return faultOf(route);
  const queue = queueOf(route.value);
  return queue === undefined ? noSuchQueue(name) : done(queue);
}

/** A number that a label of the queue's topic keeps. */
export function labelled({ route }: Queue, name: string): number | undefined {
  const text = route.settings.labels?.[OWN_LABEL + name];
  return text === undefined ? undefined : Number(text);
}
