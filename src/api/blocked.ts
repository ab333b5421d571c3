/** What holds a group's messages back, and a word on those that ran out of attempts under `onPoison: "block"`. */
import { z } from "zod";
import { LIMITS } from "../protocol/limits.ts";
import type { BlockedView } from "../protocol/rpc.ts";
import { page, word, words } from "./fields.ts";
import { answer, groupNameOf, operation, type Operation } from "./operation.ts";
import { pageQuery } from "./page.ts";
import { withoutAbsent } from "./without-absent.ts";

const PATH = "/v1/topics/{topic}/groups/{group}/blocked";

const idsBody = z.strictObject({
  ids: z.array(words(LIMITS.wordBytesMax)).min(1).max(LIMITS.requestReceiptsMax).optional(),
  consumerId: word.optional(),
});

/** `waitingExact` stands there only when it is not. */
const blockedJson = ({ more, ...view }: BlockedView) => ({
  ...view,
  cursor: undefined,
  ...(more ? { waitingExact: false } : {}),
});

const decide = (verb: "retry" | "skip", summary: string): Operation =>
  operation({
    method: "POST",
    path: `${PATH}/${verb}`,
    summary,
    statuses: [200],
    body: idsBody,
    async handle(edge, call) {
      const outcome = await edge.broker.decideHeld(groupNameOf(call), {
        verb,
        ...withoutAbsent(call.body),
      });
      if (!outcome.ok) return outcome;
      const { decided } = outcome.value;
      return answer(verb === "retry" ? { retried: decided } : { skipped: decided });
    },
  });

export const blockedOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: PATH,
    summary: "Lists the message groups that are held, and why",
    statuses: [200],
    query: z.strictObject(page),
    async handle(edge, call) {
      const outcome = await edge.broker.blocked(groupNameOf(call), pageQuery(call.query));
      if (!outcome.ok) return outcome;
      const { items, nextCursor } = outcome.value;
      return answer({ items: items.map(blockedJson), nextCursor });
    },
  }),
  decide("retry", "Delivers poisoned messages again in their place; without ids, all of them"),
  decide("skip", "Makes dead letters of poisoned messages, so that what waits goes on"),
];
