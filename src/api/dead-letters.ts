/** Dead letters of a group: list, put back at once or at a rate, purge. */
import { z } from "zod";
import { accept } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import { page, word, words } from "./fields.ts";
import { deadLetterJson, pageJson } from "./message-json.ts";
import { answer, groupNameOf, operation, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";

const PATH = "/v1/topics/{topic}/groups/{group}/dead-letters";

const redriveBody = z.strictObject({
  ids: z.array(words(LIMITS.wordBytesMax)).min(1).max(LIMITS.requestReceiptsMax).optional(),
  ratePerSecond: z.number().min(LIMITS.pushRateMin).max(LIMITS.pushRateMax).optional(),
});

const IDS_MAX = 100;
/** Ids with commas between them, of which none has one. */
const idList = z
  .string()
  .regex(
    new RegExp(
      `^[\\w-]{1,${LIMITS.wordBytesMax}}(?:,[\\w-]{1,${LIMITS.wordBytesMax}}){0,${IDS_MAX - 1}}$`,
      "u",
    ),
    `1 to ${IDS_MAX} ids with commas between them`,
  );

const consumerOf = ({ consumerId }: { readonly consumerId?: string | undefined }) =>
  consumerId === undefined ? {} : { consumerId };

export const deadLetterOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: PATH,
    summary: "Lists what ran out of attempts, with the last reason",
    statuses: [200],
    query: z.strictObject({ ...page, consumerId: word.optional() }),
    async handle(edge, call) {
      const query = { ...pageQuery(call.query), ...consumerOf(call.query) };
      const outcome = await edge.broker.deadLetters(groupNameOf(call), query);
      if (!outcome.ok) return outcome;
      const { items, nextCursor } = outcome.value;
      return accept({ body: pageJson(items.map(deadLetterJson), nextCursor) });
    },
  }),
  operation({
    method: "POST",
    path: `${PATH}/redrive`,
    summary: "Puts dead letters back for this group; without ids, all of them",
    statuses: [200],
    body: redriveBody,
    async handle(edge, call) {
      const { ids, ratePerSecond } = call.body;
      const outcome =
        ratePerSecond === undefined
          ? await edge.broker.redrive(groupNameOf(call), ids)
          : await edge.broker.startRedrive(groupNameOf(call), {
              ratePerSecond,
              ...(ids === undefined ? {} : { ids }),
            });
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
  operation({
    method: "GET",
    path: `${PATH}/redrive`,
    summary: "How far the redrive at a rate is",
    statuses: [200],
    async handle(edge, call) {
      const outcome = await edge.broker.redriveProgress(groupNameOf(call));
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
  operation({
    method: "DELETE",
    path: `${PATH}/redrive`,
    summary: "Stops the redrive at a rate; what it has not come to stays",
    statuses: [200],
    async handle(edge, call) {
      const outcome = await edge.broker.stopRedrive(groupNameOf(call));
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
  operation({
    method: "DELETE",
    path: PATH,
    summary: "Deletes dead letters of the group; without ids, all of them",
    statuses: [200],
    query: z.strictObject({ consumerId: word.optional(), ids: idList.optional() }),
    async handle(edge, call) {
      const { ids } = call.query;
      const which = {
        ...consumerOf(call.query),
        ...(ids === undefined ? {} : { ids: ids.split(",") }),
      };
      const outcome = await edge.broker.purgeDeadLetters(groupNameOf(call), which);
      return outcome.ok ? answer(outcome.value) : outcome;
    },
  }),
];
