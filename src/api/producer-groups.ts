/** Producer groups: who is asked about their transactions, the secrets that sign the questions, and the mailbox. */
import { z } from "zod";
import { checkDataJson } from "../core/check-data.ts";
import { checkTarget } from "../platform/target.ts";
import { accept } from "../protocol/errors.ts";
import { DEFAULTS, LIMITS } from "../protocol/limits.ts";
import type { ProducerGroupRecord } from "../protocol/rpc.ts";
import type { CheckTarget } from "../protocol/topic.ts";
import { nothing, page, whole, word } from "./fields.ts";
import { answer, operation, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";
import { producerGroupPatch } from "./settings-schema.ts";

const pollBody = z.strictObject({
  maxMessages: whole(1, LIMITS.receiveMessagesMax).default(DEFAULTS.maxMessages),
  waitMs: whole(0, LIMITS.waitMsMax).default(0),
  consumerId: word.optional(),
});

const groupJson = ({ group, check, createdAt }: ProducerGroupRecord) => ({
  group,
  check,
  createdAt,
});

/** With the secret that signs from now on; it is shown when it is made and never again. */
const withSecret = (record: ProducerGroupRecord) => ({
  ...groupJson(record),
  secret: record.secrets[0]?.secret,
});

function targetOf(check: z.output<typeof producerGroupPatch>["check"]): { check?: CheckTarget } {
  if (check === undefined) return {};
  const timeoutMs = check.timeoutMs ?? DEFAULTS.checkCallTimeoutMs;
  return { check: { ...check, timeoutMs } };
}

const poll = operation({
  method: "POST",
  path: "/v1/producer-groups/{group}/checks/receive",
  summary: "Takes checks that wait for an answer, waiting for the first",
  statuses: [200],
  body: pollBody,
  async handle(edge, { body, caller, params, request: { signal }, outlive }) {
    const { maxMessages, waitMs, consumerId } = body;
    const query = { maxMessages, waitMs, signal };
    const polled = edge.broker.checks(
      caller.namespace,
      params["group"] ?? "",
      consumerId === undefined ? query : { ...query, consumerId },
    );
    // A client that went away must not take its poll's end with it.
    signal.addEventListener("abort", () => outlive(polled), { once: true });
    const outcome = await polled;
    if (!outcome.ok) return outcome;
    return accept({ body: `{"checks":[${outcome.value.checks.map(checkDataJson).join(",")}]}` });
  },
});

export const producerGroupOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/producer-groups",
    summary: "Lists producer groups",
    statuses: [200],
    query: z.strictObject(page),
    async handle(edge, call) {
      const outcome = await edge.broker.producerGroups(
        call.caller.namespace,
        pageQuery(call.query),
      );
      if (!outcome.ok) return outcome;
      const { items, nextCursor } = outcome.value;
      return answer({ items: items.map(groupJson), nextCursor });
    },
  }),
  operation({
    method: "PUT",
    path: "/v1/producer-groups/{group}",
    summary: "Says who is asked about the group's transactions",
    statuses: [200],
    body: producerGroupPatch,
    async handle(edge, { body, caller, params }) {
      const group = params["group"] ?? "";
      const target = targetOf(body.check);
      const { check } = target;
      if (check !== undefined && "url" in check) {
        const allowed = checkTarget(check.url, edge.targets, "check.url");
        if (!allowed.ok) return allowed;
      } else if (check !== undefined) {
        const unbound = edge.bound(check.binding, "check.binding");
        if (unbound !== undefined) return unbound;
      }
      const outcome = await edge.broker.putProducerGroup(caller.namespace, group, target);
      if (!outcome.ok) return outcome;
      const { record, created } = outcome.value;
      return answer(created ? withSecret(record) : groupJson(record));
    },
  }),
  operation({
    method: "GET",
    path: "/v1/producer-groups/{group}",
    summary: "Reads a producer group",
    statuses: [200],
    query: nothing,
    async handle(edge, { caller, params }) {
      const outcome = await edge.broker.producerGroup(caller.namespace, params["group"] ?? "");
      return outcome.ok ? answer(groupJson(outcome.value)) : outcome;
    },
  }),
  operation({
    method: "DELETE",
    path: "/v1/producer-groups/{group}",
    summary: "Forgets a producer group; its checks wait in the mailbox",
    statuses: [200],
    query: nothing,
    async handle(edge, { caller, params }) {
      const group = params["group"] ?? "";
      const outcome = await edge.broker.deleteProducerGroup(caller.namespace, group);
      return outcome.ok ? answer({ group, deleted: true }) : outcome;
    },
  }),
  operation({
    method: "POST",
    path: "/v1/producer-groups/{group}/secret",
    summary: "Makes a new secret; the old one signs beside it for 24 hours",
    statuses: [200],
    body: nothing,
    async handle(edge, { caller, params }) {
      const group = params["group"] ?? "";
      const outcome = await edge.broker.rotateProducerSecret(caller.namespace, group);
      return outcome.ok ? answer(withSecret(outcome.value)) : outcome;
    },
  }),
  poll,
];
