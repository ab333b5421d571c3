/**
 * Redrive policies: which queue takes a queue's dead letters, and which queues may ask it to. A policy is the group's
 * `maxAttempts` and a label that names the target; the target bears a label for each of its sources, so that a receive from it
 * knows whose dead letters to fetch without looking at all topics.
 */
import { LIMITS } from "../../protocol/limits.ts";
import type { TopicPatch } from "../../protocol/topic.ts";
import {
  arnOf,
  type Context,
  findTopic,
  forbids,
  isFifoName,
  nameOfArn,
  OWN_LABEL,
  type Queue,
  queueOf,
} from "./context.ts";
import { done, fault, faultOf, type Fault, type Result } from "./faults.ts";
import { ownLabel } from "./settings.ts";

const POLICY = "RedrivePolicy";
const ALLOW = "RedriveAllowPolicy";
const SOURCE = `${OWN_LABEL}source:`;
const SOURCES_MAX = 10;

/** In a label the target is a name: an ARN holds the region that the one who set it signed for. */
interface Policy {
  readonly target: string;
  readonly maxReceiveCount: number;
}

type Permission =
  | { readonly redrivePermission: "allowAll" | "denyAll" }
  | { readonly redrivePermission: "byQueue"; readonly sourceQueueArns: readonly string[] };

const policyIn = (label: string | undefined): Policy | undefined =>
  label === undefined ? undefined : (JSON.parse(label) as Policy);

export const policyOf = (queue: Queue): Policy | undefined => policyIn(ownLabel(queue, POLICY));

/** Queues whose dead letters this one takes, as it knows them. */
export const sourcesOf = ({ route }: Queue): readonly string[] =>
  Object.keys(route.settings.labels ?? {})
    .filter((name) => name.startsWith(SOURCE))
    .map((name) => name.slice(SOURCE.length));

/** As GetQueueAttributes shows them. */
export function shownPolicies(context: Context, queue: Queue): Readonly<Record<string, string>> {
  const policy = policyOf(queue);
  const allow = ownLabel(queue, ALLOW);
  return {
    ...(policy === undefined
      ? {}
      : {
          [POLICY]: JSON.stringify({
            deadLetterTargetArn: arnOf(context, policy.target),
            maxReceiveCount: policy.maxReceiveCount,
          }),
        }),
    ...(allow === undefined ? {} : { [ALLOW]: allow }),
  };
}

/** What setting a policy changes; absent where none is set. */
export interface PolicyChange {
  readonly labels: Readonly<Record<string, string | null>>;
  readonly maxAttempts?: number;
  readonly target?: Queue;
}

type Texts = Readonly<Record<string, string>>;

/** Judges the policies among the attributes of a queue. An empty one takes it away. */
export async function policyChange(
  context: Context,
  name: string,
  attributes: Texts,
): Promise<Result<PolicyChange>> {
  const { [POLICY]: policyText, [ALLOW]: allowText } = attributes;
  const labels: Record<string, string | null> = {};
  if (allowText !== undefined) {
    const permission = allowText === "" ? undefined : permissionOf(allowText);
    if (permission !== undefined && "ok" in permission) return permission;
    labels[OWN_LABEL + ALLOW] = permission === undefined ? null : JSON.stringify(permission);
  }
  if (policyText === undefined) return done({ labels });
  if (policyText === "") {
    labels[OWN_LABEL + POLICY] = null;
    return done({ labels, maxAttempts: LIMITS.attemptsMax });
  }
  const policy = parsedPolicy(context, policyText);
  if ("ok" in policy) return policy;
  const target = await targetOf(context, name, policy.target);
  if (!target.ok) return target;
  labels[OWN_LABEL + POLICY] = JSON.stringify(policy);
  return done({ labels, maxAttempts: policy.maxReceiveCount, target: target.value });
}

const bad = (name: string, reason: string): Fault =>
  fault("InvalidParameterValue", `Value for parameter ${name} is invalid. Reason: ${reason}`);

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function parsedPolicy(context: Context, text: string): Policy | Fault {
  const { deadLetterTargetArn: arn, maxReceiveCount: most } = parsed(text);
  const target = typeof arn === "string" ? nameOfArn(context, arn) : undefined;
  if (target === undefined) return bad(POLICY, "deadLetterTargetArn is no ARN of a queue here.");
  const maxReceiveCount = Number(most);
  const isCount = Number.isInteger(maxReceiveCount) && maxReceiveCount >= 1;
  if (!isCount || maxReceiveCount > LIMITS.attemptsMax || (most ?? "") === "")
    return bad(POLICY, `maxReceiveCount is a whole number from 1 to ${LIMITS.attemptsMax}.`);
  return { target, maxReceiveCount };
}

function permissionOf(text: string): Permission | Fault {
  const { redrivePermission: permission, sourceQueueArns: arns } = parsed(text);
  if (permission === "allowAll" || permission === "denyAll")
    return { redrivePermission: permission };
  const isList =
    Array.isArray(arns) &&
    arns.length <= SOURCES_MAX &&
    arns.every((arn) => typeof arn === "string");
  if (permission !== "byQueue" || !isList)
    return bad(
      ALLOW,
      "redrivePermission is allowAll, denyAll, or byQueue with up to 10 sourceQueueArns.",
    );
  return { redrivePermission: permission, sourceQueueArns: arns };
}

/** A queue of the same kind, which the caller manages, too, and which lets this one. */
async function targetOf(context: Context, name: string, target: string): Promise<Result<Queue>> {
  const forbidden = forbids(context, ["manage"], target);
  if (forbidden !== undefined) return forbidden;
  const route = await findTopic(context, target);
  if (!route.ok) return route;
  const queue = route.value === undefined ? undefined : queueOf(route.value);
  if (queue === undefined) return bad(POLICY, "Dead letter target does not exist.");
  if (target === name) return bad(POLICY, "A queue is not its own dead letter queue.");
  if (queue.isFifo !== isFifoName(name))
    return bad(POLICY, "Dead-letter queue must be same type of queue as the source.");
  const allow = ownLabel(queue, ALLOW);
  const permission = allow === undefined ? undefined : (JSON.parse(allow) as Permission);
  if (permission === undefined || permission.redrivePermission === "allowAll") return done(queue);
  const isNamed =
    permission.redrivePermission === "byQueue" &&
    permission.sourceQueueArns.some((arn) => nameOfArn(context, arn) === name);
  return isNamed ? done(queue) : bad(POLICY, "The dead letter queue does not permit this source.");
}

/** Says to the target that this queue is one of its sources, or that it is one no more. */
export async function linkSource(
  { edge, caller }: Context,
  target: string,
  source: string,
  isSource: boolean,
): Promise<Fault | undefined> {
  const patch: TopicPatch = { labels: { [SOURCE + source]: isSource ? "" : null } };
  const at = { namespace: caller.namespace, topic: target };
  const outcome = await edge.broker.putTopic(at, patch);
  return outcome.ok ? undefined : faultOf(outcome);
}

/** Labels of a new queue that some queues named as their target before it was there. */
export const sourceLabels = (sources: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(sources.map((source) => [SOURCE + source, ""]));
