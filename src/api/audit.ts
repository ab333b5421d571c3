/** The audit of a topic: what was stored, what became of it, and every hole. */
import { z } from "zod";
import type { TopicAudit } from "../protocol/rpc.ts";
import { page } from "./fields.ts";
import { answer, operation, topicOf, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";

/** Of this page; 0 when everything is accounted for. */
function faultsOf({ summary, producers }: TopicAudit): number {
  let faults = 0;
  for (const { holes } of summary?.queues ?? []) for (const { count } of holes) faults += count;
  for (const { unaccounted } of summary?.groups ?? []) faults += Math.abs(unaccounted);
  for (const { missing } of producers) faults += Math.abs(missing);
  return faults;
}

export const auditOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/topics/{topic}/audit",
    summary: "What was stored, what became of it, and every hole",
    statuses: [200],
    query: z.strictObject(page),
    async handle(edge, call) {
      const outcome = await edge.broker.audit(topicOf(call), pageQuery(call.query));
      if (!outcome.ok) return outcome;
      const { summary, producers, nextCursor } = outcome.value;
      return answer({ faults: faultsOf(outcome.value), ...summary, producers, nextCursor });
    },
  }),
];
