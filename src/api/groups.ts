/** Consumer groups: make, set, list, delete, move, pause. */
import { z } from "zod";
import type { SeekTarget } from "../broker/broker.ts";
import { checkTarget } from "../platform/target.ts";
import { accept } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import { members } from "../protocol/members.ts";
import type { GroupRoute } from "../protocol/rpc.ts";
import type { Backoff, GroupPatch } from "../protocol/topic.ts";
import { instant, nothing, page, whole, word } from "./fields.ts";
import { answer, groupNameOf, json, operation, topicOf, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";
import { groupPatch } from "./settings-schema.ts";
import { withoutAbsent } from "./without-absent.ts";

const PATH = "/v1/topics/{topic}/groups/{group}";

const seekBody = z.strictObject({
  to: z.union([
    z.enum(["earliest", "latest"]),
    instant,
    members(
      z.string().regex(/^(?:0|[1-9]\d{0,2})$/, "names queues by their number"),
      whole(0, Number.MAX_SAFE_INTEGER),
    )
      .refine((offsets) => Object.keys(offsets).length > 0, { message: "names at least one queue" })
      .refine(
        (offsets) => Object.keys(offsets).every((queue) => Number(queue) < LIMITS.queuesMax),
        {
          message: "names queues by their number",
        },
      ),
  ]),
  consumerId: word.optional(),
});

const groupJson = (group: GroupRoute) => ({
  group: group.name,
  ...group.settings,
  paused: group.paused,
  createdAt: group.createdAt,
});

function targetOf(to: z.output<typeof seekBody>["to"]): SeekTarget {
  if (typeof to === "string") return to;
  if (typeof to === "number") return { at: to };
  const entries = Object.entries(to);
  return { offsets: entries.map(([queue, offset]) => ({ queue: Number(queue), offset })) };
}

/** What a back-off leaves out stays as it is: the registry lays it over the one that it has. */
function settingsOf(body: z.output<typeof groupPatch>): GroupPatch {
  const { backoff, filter, push, ...rest } = body;
  return {
    ...withoutAbsent(rest),
    ...(push === undefined ? {} : { push }),
    ...(filter?.tags === undefined ? {} : { filter: { tags: filter.tags } }),
    ...(filter?.sql === undefined ? {} : { filter: { sql: filter.sql } }),
    ...(backoff === undefined ? {} : { backoff: withoutAbsent(backoff) as Backoff }),
  };
}

const put = operation({
  method: "PUT",
  path: PATH,
  summary: "Makes a group or changes its settings",
  statuses: [200, 201],
  body: groupPatch,
  async handle(edge, call) {
    const url = call.body.push?.url;
    const allowed = url === undefined ? undefined : checkTarget(url, edge.targets, "push.url");
    if (allowed?.ok === false) return allowed;
    const binding = call.body.push?.binding;
    const bound = binding === undefined ? undefined : edge.bound(binding, "push.binding");
    if (bound !== undefined) return bound;
    const outcome = await edge.broker.putGroup(groupNameOf(call), settingsOf(call.body));
    if (!outcome.ok) return outcome;
    const { group, created, secret } = outcome.value;
    return accept(json({ ...groupJson(group), secret }, created ? 201 : 200));
  },
});

const pause = (verb: "pause" | "resume", summary: string): Operation =>
  operation({
    method: "POST",
    path: `${PATH}/${verb}`,
    summary,
    statuses: [200],
    body: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.pause(groupNameOf(call), verb === "pause");
      return outcome.ok ? answer(groupJson(outcome.value)) : outcome;
    },
  });

export const groupOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/topics/{topic}/groups",
    summary: "Lists the topic's groups",
    statuses: [200],
    query: z.strictObject(page),
    async handle(edge, call) {
      const outcome = await edge.broker.groups(topicOf(call), pageQuery(call.query));
      if (!outcome.ok) return outcome;
      const { items, nextCursor } = outcome.value;
      return answer({ items: items.map(groupJson), nextCursor });
    },
  }),
  put,
  operation({
    method: "GET",
    path: PATH,
    summary: "Reads a group's settings",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const at = groupNameOf(call);
      const outcome = await edge.broker.group(at);
      if (!outcome.ok) return outcome;
      const pushState = await edge.broker.pushState(at, outcome.value);
      return answer({ ...groupJson(outcome.value), pushState });
    },
  }),
  operation({
    method: "DELETE",
    path: PATH,
    summary: "Deletes a group and its leases",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.deleteGroup(groupNameOf(call));
      return outcome.ok ? answer({ group: call.params["group"], deleted: true }) : outcome;
    },
  }),
  operation({
    method: "POST",
    path: `${PATH}/seek`,
    summary: "Moves the group",
    statuses: [200],
    body: seekBody,
    async handle(edge, call) {
      const outcome = await edge.broker.seek(
        groupNameOf(call),
        targetOf(call.body.to),
        call.body.consumerId,
      );
      if (!outcome.ok) return outcome;
      const offsets = Object.fromEntries(outcome.value.map((each) => [each.queue, each.offset]));
      return answer({ group: call.params["group"], offsets });
    },
  }),
  operation({
    method: "POST",
    path: `${PATH}/secret`,
    summary: "Makes a new secret of the push; the old one signs beside it for 24 hours",
    statuses: [200],
    body: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.rotatePushSecret(groupNameOf(call));
      if (!outcome.ok) return outcome;
      const { group, secret } = outcome.value;
      return answer({ ...groupJson(group), secret });
    },
  }),
  operation({
    method: "DELETE",
    path: `${PATH}/push`,
    summary: "Ends the push of the group and forgets its secret",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.deletePush(groupNameOf(call));
      return outcome.ok ? answer(groupJson(outcome.value)) : outcome;
    },
  }),
  pause("pause", "Stops delivery"),
  pause("resume", "Starts delivery again"),
];
