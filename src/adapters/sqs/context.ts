/**
 * What every action is given: who asks, where the door stands, and the broker. And how a queue is found from what a request
 * calls it by: a queue of SQS is a topic with a group named `sqs`. It never changes anything.
 */
import { allows } from "../../auth/allows.ts";
import type { Principal } from "../../auth/principal.ts";
import type { GroupName } from "../../broker/broker.ts";
import type { GroupRoute, Scope, TopicRoute } from "../../protocol/rpc.ts";
import type { Asker } from "../leaving.ts";
import { done, fault, faultOf, type Fault, type Result } from "./faults.ts";
import type { LeftTasks } from "./left-tasks.ts";

export interface Context extends Asker {
  readonly caller: Principal;
  /** `https://mq.example.com`, as the client called it. */
  readonly origin: string;
  /** Of the signature. */
  readonly region: string;
  readonly nowMs: number;
  /** What this door has begun and not finished. */
  readonly left: LeftTasks;
  /** Whether the answer's protocol can say a text. */
  readonly says: (text: string) => boolean;
}

/** The group that a topic is consumed by through this door; a topic that has it is a queue. */
export const GROUP = "sqs";
/** Begins the names of labels that the door keeps for itself; all others are tags. */
export const OWN_LABEL = "sqs:";

/** Any scope: who may touch the queue at all may look at it. */
export const ANY: readonly Scope[] = ["send", "transact", "consume", "manage"];

export interface Queue {
  readonly name: string;
  readonly at: GroupName;
  readonly route: TopicRoute;
  readonly group: GroupRoute;
  readonly isFifo: boolean;
}

const NAME = /^[A-Za-z0-9_-]{1,80}$/;
const ARN = /^arn:[a-z-]+:sqs:[^:]*:([^:]+):([^:]+)$/;
const FIFO_NAME = /^(?=.{6,80}$)[A-Za-z0-9_-]+\.fifo$/;

export const isFifoName = (name: string): boolean => FIFO_NAME.test(name);
/** As SQS has them; a topic with another name is no queue of this door. */
export const isQueueName = (name: string): boolean => NAME.test(name) || isFifoName(name);

export const urlOf = ({ origin, caller }: Context, name: string): string =>
  `${origin}/${caller.namespace}/${name}`;
export const arnOf = ({ region, caller }: Context, name: string): string =>
  `arn:aws:sqs:${region}:${caller.namespace}:${name}`;

/** The caller's queue that an ARN names. The region is taken as it comes: there is one. */
export function nameOfArn({ caller }: Context, arn: string): string | undefined {
  const [, account, name] = ARN.exec(arn) ?? [];
  return account === caller.namespace ? name : undefined;
}

/** The refusal of a caller who has none of the scopes for this topic. */
export function forbids(
  { caller }: Context,
  scopes: readonly Scope[],
  topic: string,
): Fault | undefined {
  if (scopes.some((scope) => allows(caller, scope, topic).ok)) return undefined;
  const detail = `This needs a key with ${scopes.join(" or ")} on topic ${topic}`;
  return fault("AccessDenied", detail);
}

/** The queue that a URL names, whatever its host, when the caller may do that there. */
export async function queueAt(
  context: Context,
  url: string,
  scopes: readonly Scope[],
): Promise<Result<Queue>> {
  const path = /^(?:https?:\/\/[^/]+)?\/([^/?#]+)\/([^/?#]+)\/?$/.exec(url);
  if (path === null) return fault("InvalidAddress", "A QueueUrl is http(s)://host/namespace/queue");
  if (path[1] !== context.caller.namespace) {
    return fault("AccessDenied", "The queue belongs to another namespace than the key");
  }
  return queueNamed(context, path[2] ?? "", scopes);
}

export async function queueNamed(
  context: Context,
  name: string,
  scopes: readonly Scope[],
): Promise<Result<Queue>> {
  if (!isQueueName(name)) return noQueue();
  const forbidden = forbids(context, scopes, name);
  if (forbidden !== undefined) return forbidden;
  const route = await findTopic(context, name);
  if (!route.ok) return route;
  const queue = route.value === undefined ? undefined : queueOf(route.value);
  return queue === undefined ? noQueue() : done(queue);
}

export const noQueue = (): Fault =>
  fault("QueueDoesNotExist", "The specified queue does not exist.");

/** Whoever asks; undefined for a topic that is none. */
export async function findTopic(
  { edge, caller }: Context,
  name: string,
): Promise<Result<TopicRoute | undefined>> {
  const route = await edge.broker.topic({ namespace: caller.namespace, topic: name });
  if (route.ok) return done(route.value);
  return route.code === "topic_not_found" ? done(undefined) : faultOf(route);
}

/** What a topic is as a queue; undefined for one that is none. */
export function queueOf(route: TopicRoute): Queue | undefined {
  const { namespace, topic: name } = route;
  const group = route.groups.find((each) => each.name === GROUP);
  if (group === undefined || !isQueueName(name)) return undefined;
  const at = { namespace, topic: name, group: GROUP };
  return { name, at, route, group, isFifo: isFifoName(name) };
}
