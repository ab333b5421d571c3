/** Topics: create, update, list, read, delete. */
import { z } from "zod";
import { accept } from "../protocol/errors.ts";
import type { TopicRoute } from "../protocol/rpc.ts";
import type { TopicPatch } from "../protocol/topic.ts";
import { nothing, page } from "./fields.ts";
import { answer, json, operation, topicOf, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";
import { forbids } from "./scopes.ts";
import { topicPatch } from "./settings-schema.ts";
import { withoutAbsent } from "./without-absent.ts";

const ANY = ["send", "transact", "consume", "manage"] as const;

const topicJson = (route: TopicRoute) => ({
  topic: route.topic,
  ...route.settings,
  createdAt: route.createdAt,
});

const deleteQuery = z.strictObject({
  force: z
    .enum(["true", "false"])
    .transform((text) => text === "true")
    .default(false),
});

export const topicOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/topics",
    summary: "Lists topics that the key may touch",
    statuses: [200],
    query: z.strictObject(page),
    async handle(edge, call) {
      const outcome = await edge.broker.topics(call.caller.namespace, pageQuery(call.query));
      if (!outcome.ok) return outcome;
      const { items, nextCursor } = outcome.value;
      const mine = items.filter((route) => forbids(call.caller, ANY, route.topic) === undefined);
      return answer({ items: mine.map(topicJson), nextCursor });
    },
  }),
  operation({
    method: "PUT",
    path: "/v1/topics/{topic}",
    summary: "Creates or updates a topic",
    statuses: [200, 201],
    body: topicPatch,
    async handle(edge, call) {
      // The registry lays a partial check policy over the one that it has.
      const patch = withoutAbsent(call.body) as TopicPatch;
      const outcome = await edge.broker.putTopic(topicOf(call), patch);
      if (!outcome.ok) return outcome;
      const { route, created } = outcome.value;
      return accept(json(topicJson(route), created ? 201 : 200));
    },
  }),
  operation({
    method: "GET",
    path: "/v1/topics/{topic}",
    summary: "Reads a topic's settings",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.topic(topicOf(call));
      return outcome.ok ? answer(topicJson(outcome.value)) : outcome;
    },
  }),
  operation({
    method: "DELETE",
    path: "/v1/topics/{topic}",
    summary: "Deletes a topic; with force=true, whatever it still holds",
    statuses: [200],
    query: deleteQuery,
    async handle(edge, call) {
      const outcome = await edge.broker.deleteTopic(topicOf(call), call.query.force);
      return outcome.ok ? answer({ topic: call.params["topic"], deleted: true }) : outcome;
    },
  }),
];
