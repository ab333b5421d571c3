/** Schedules: messages that are sent by the calendar. Who sets one needs the right to send to its topic. */
import { z } from "zod";
import { contentJson } from "../core/message.ts";
import { decodeRecord } from "../core/record.ts";
import { accept, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { ScheduleView } from "../protocol/rpc.ts";
import { name as nameField, nothing, page } from "./fields.ts";
import { contentOf } from "./message-in.ts";
import { pageJson } from "./message-json.ts";
import { scheduledMessage } from "./message-schema.ts";
import {
  answer,
  type Answer,
  type Call,
  type Edge,
  operation,
  type Operation,
} from "./operation.ts";
import { pageQuery } from "./page.ts";
import { bodyUnder } from "../core/raw-body.ts";
import { forbids } from "./scopes.ts";

const text = (charsMax: number) => z.string().min(1).max(charsMax);

const scheduleBody = z.strictObject({
  topic: nameField,
  cron: text(LIMITS.cronCharsMax),
  timeZone: text(LIMITS.timeZoneCharsMax).default("UTC"),
  message: scheduledMessage,
  missed: z.enum(["skip", "once"]).default("skip"),
});

function scheduleJson({
  record,
  name,
  topic,
  cron,
  timeZone,
  missed,
  ...rest
}: ScheduleView): string {
  const head = JSON.stringify({ name, topic, cron, timeZone, missed }).slice(0, -1);
  const { paused, createdAt, nextRunAt, pendingRun, lastRun } = rest;
  const tail = JSON.stringify({ paused, createdAt, nextRunAt, pendingRun, lastRun }).slice(1);
  return `${head},"message":${contentJson(decodeRecord(record))},${tail}`;
}

const scheduleAnswer = (view: ScheduleView, status = 200): Answer => ({
  status,
  body: scheduleJson(view),
});

const nameOf = (call: Pick<Call, "params">): string => call.params["name"] ?? "";

/** What a key that is bound to topics may not touch: schedules of others. */
const outOfReach = ({ caller }: Pick<Call, "caller">, topic: string): Refusal | undefined =>
  forbids(caller, ["manage"], topic);

/** The refusal for a known schedule out of the caller's reach, or of a lookup that failed. */
async function barred(
  edge: Edge,
  call: Pick<Call, "caller" | "params">,
): Promise<Refusal | undefined> {
  if (call.caller.topics === undefined) return undefined;
  const known = await edge.broker.schedule(call.caller.namespace, nameOf(call));
  return known.ok ? outOfReach(call, known.value.topic) : known;
}

const put = operation({
  method: "PUT",
  path: "/v1/schedules/{name}",
  summary: "Sets what is sent when, by a cron expression",
  statuses: [200, 201],
  body: scheduleBody,
  async handle(edge, call) {
    const { message, ...rule } = call.body;
    const forbidden = outOfReach(call, rule.topic) ?? forbids(call.caller, ["send"], rule.topic);
    if (forbidden !== undefined) return forbidden;
    const refusal = await barred(edge, call);
    if (refusal !== undefined && refusal.code !== "schedule_not_found") return refusal;
    const body = bodyUnder(call.sent, "message");
    const content = contentOf(message, body, "message.", {
      nowMs: edge.nowMs(),
      // A schedule keeps its message in its own storage.
      bodyBytesMax: LIMITS.bodyBytesMax,
    });
    if (!content.ok) return content;
    const { namespace } = call.caller;
    const outcome = await edge.broker.putSchedule(namespace, nameOf(call), rule, content.value);
    if (!outcome.ok) return outcome;
    const { schedule, created } = outcome.value;
    return accept(scheduleAnswer(schedule, created ? 201 : 200));
  },
});

const setPaused = (verb: "pause" | "resume", summary: string): Operation =>
  operation({
    method: "POST",
    path: `/v1/schedules/{name}/${verb}`,
    summary,
    statuses: [200],
    body: nothing,
    async handle(edge, call) {
      const refusal = await barred(edge, call);
      if (refusal !== undefined) return refusal;
      const { namespace } = call.caller;
      const outcome = await edge.broker.pauseSchedule(namespace, nameOf(call), verb === "pause");
      return outcome.ok ? accept(scheduleAnswer(outcome.value)) : outcome;
    },
  });

export const scheduleOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/schedules",
    summary: "Lists schedules whose topic the key may touch",
    statuses: [200],
    query: z.strictObject(page),
    async handle(edge, call) {
      const outcome = await edge.broker.schedules(call.caller.namespace, pageQuery(call.query));
      if (!outcome.ok) return outcome;
      const { items, nextCursor } = outcome.value;
      const mine = items.filter(({ topic }) => outOfReach(call, topic) === undefined);
      return accept({ body: pageJson(mine.map(scheduleJson), nextCursor) });
    },
  }),
  put,
  operation({
    method: "GET",
    path: "/v1/schedules/{name}",
    summary: "Reads a schedule, its next run and how the last one ended",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.schedule(call.caller.namespace, nameOf(call));
      if (!outcome.ok) return outcome;
      return outOfReach(call, outcome.value.topic) ?? accept(scheduleAnswer(outcome.value));
    },
  }),
  operation({
    method: "DELETE",
    path: "/v1/schedules/{name}",
    summary: "Deletes a schedule",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const refusal = await barred(edge, call);
      if (refusal !== undefined) return refusal;
      const name = nameOf(call);
      const outcome = await edge.broker.deleteSchedule(call.caller.namespace, name);
      return outcome.ok ? answer({ name, deleted: true }) : outcome;
    },
  }),
  setPaused("pause", "Stops a schedule; runs that come due meanwhile are left out"),
  setPaused("resume", "Starts a schedule again, with its next run from now"),
];
