/** Keys: make, list, read, delete. A key can be given no right that its maker does not have. */
import { z } from "zod";
import type { Principal } from "../auth/principal.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { KeyRecord, SendLimits } from "../protocol/rpc.ts";
import { nothing, page } from "./fields.ts";
import { answer, operation, type Edge, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";
import { keySettings } from "./settings-schema.ts";

const keyJson = (record: KeyRecord) => ({
  name: record.name,
  namespace: record.namespace,
  scopes: record.scopes,
  topics: record.topics,
  expiresAt: record.expiresAt,
  limits: record.limits,
  createdAt: record.createdAt,
});

const covers = (pattern: string, topic: string): boolean =>
  pattern.endsWith("*") ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern;

/** A pattern matches within another when it is at least as narrow. */
const within = (topic: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) =>
    topic.endsWith("*")
      ? pattern.endsWith("*") && topic.startsWith(pattern.slice(0, -1))
      : covers(pattern, topic),
  );

const no = (field: string): Refusal =>
  refuse("forbidden", `${field}: a key gives no more than its maker has`, { field });

/** A burst that is not said is a second's worth. */
function limitsOf({ limits }: z.output<typeof keySettings>): SendLimits | undefined {
  if (limits === undefined) return undefined;
  const { sendsPerSecond, burst = sendsPerSecond } = limits;
  return { sendsPerSecond, burst };
}

const exceedsLimits = (wanted: SendLimits | undefined, own: SendLimits): boolean =>
  wanted === undefined || wanted.sendsPerSecond > own.sendsPerSecond || wanted.burst > own.burst;

function exceeds(caller: Principal, settings: z.output<typeof keySettings>): Refusal | undefined {
  if (caller.root) return undefined;
  if (settings.namespace !== undefined && settings.namespace !== caller.namespace) {
    return no("namespace");
  }
  if (settings.scopes.some((scope) => !caller.scopes.includes(scope))) return no("scopes");
  const { limits } = caller;
  if (limits !== undefined && exceedsLimits(limitsOf(settings), limits)) return no("limits");
  const { expiresAt = Number.POSITIVE_INFINITY } = caller;
  if ((settings.expiresAt ?? Number.POSITIVE_INFINITY) > expiresAt) return no("expiresAt");
  return reaches(caller, settings) ? undefined : no("topics");
}

/** A key that is over before it is made was meant otherwise: seconds for milliseconds, say. */
function isOver(expiresAt: number | undefined, nowMs: number): Refusal | undefined {
  if (expiresAt === undefined || expiresAt > nowMs) return undefined;
  const facts = { field: "expiresAt", limit: nowMs, actual: expiresAt };
  return refuse("invalid_request", "expiresAt: epoch milliseconds after now", facts);
}

/** Whether a key stays within the topics that the caller is bound to. */
function reaches({ topics }: Principal, key: { readonly topics?: readonly string[] | undefined }) {
  return topics === undefined || (key.topics ?? ["*"]).every((topic) => within(topic, topics));
}

/** A caller that is bound to topics neither sees nor replaces nor deletes a key that reaches beyond them. */
async function outOfReach(
  edge: Edge,
  caller: Principal,
  name: string,
): Promise<Refusal | undefined> {
  if (caller.topics === undefined) return undefined;
  const known = await edge.broker.key(caller.namespace, name);
  if (!known.ok) return known.code === "key_not_found" ? undefined : known;
  if (reaches(caller, known.value)) return undefined;
  return refuse("forbidden", "The key reaches topics that yours does not", { field: "topics" });
}

export const keyOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/keys",
    summary: "Lists keys, never their text",
    statuses: [200],
    query: z.strictObject(page),
    async handle(edge, call) {
      const outcome = await edge.broker.keys(call.caller.namespace, pageQuery(call.query));
      if (!outcome.ok) return outcome;
      const { items, nextCursor } = outcome.value;
      const mine = items.filter((key) => reaches(call.caller, key));
      return answer({ items: mine.map(keyJson), nextCursor });
    },
  }),
  operation({
    method: "PUT",
    path: "/v1/keys/{name}",
    summary: "Makes a key; its text is shown once",
    statuses: [201],
    body: keySettings,
    async handle(edge, { body, caller, params }) {
      const { scopes, topics, expiresAt, namespace = caller.namespace } = body;
      const limits = limitsOf(body);
      const name = params["name"] ?? "";
      const refusal =
        exceeds(caller, body) ??
        isOver(expiresAt, edge.nowMs()) ??
        (await outOfReach(edge, caller, name));
      if (refusal !== undefined) return refusal;
      const outcome = await edge.broker.putKey(namespace, name, {
        scopes: [...new Set(scopes)],
        ...(topics === undefined ? {} : { topics }),
        ...(expiresAt === undefined ? {} : { expiresAt }),
        ...(limits === undefined ? {} : { limits }),
      });
      if (!outcome.ok) return outcome;
      return answer({ ...keyJson(outcome.value.record), key: outcome.value.key }, 201);
    },
  }),
  operation({
    method: "GET",
    path: "/v1/keys/{name}",
    summary: "Reads a key's rights, never its text",
    statuses: [200],
    query: nothing,
    async handle(edge, { caller, params }) {
      const name = params["name"] ?? "";
      const refusal = await outOfReach(edge, caller, name);
      if (refusal !== undefined) return refusal;
      const outcome = await edge.broker.key(caller.namespace, name);
      return outcome.ok ? answer(keyJson(outcome.value)) : outcome;
    },
  }),
  operation({
    method: "DELETE",
    path: "/v1/keys/{name}",
    summary: "Deletes a key; in force everywhere within 10 seconds",
    statuses: [200],
    query: nothing,
    async handle(edge, { caller, params }) {
      const name = params["name"] ?? "";
      const refusal = await outOfReach(edge, caller, name);
      if (refusal !== undefined) return refusal;
      const outcome = await edge.broker.deleteKey(caller.namespace, name);
      return outcome.ok ? answer({ name, deleted: true }) : outcome;
    },
  }),
  operation({
    method: "GET",
    path: "/v1/signing-pair",
    summary: "What an SDK that signs by AWS Signature Version 4 needs to be this key",
    statuses: [200],
    query: nothing,
    async handle(edge, { caller }) {
      const pair = edge.signingPair(caller);
      if (pair !== undefined) return answer(pair);
      return refuse("forbidden", "Only a caller with a key has a pair to sign by");
    },
  }),
];
