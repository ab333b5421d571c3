/** A topic's figures, per queue and per group. */
import { nothing } from "./fields.ts";
import { answer, operation, topicOf, type Operation } from "./operation.ts";

export const statsOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/topics/{topic}/stats",
    summary: "What is stored, in flight, dead and prepared",
    statuses: [200],
    query: nothing,
    async handle(edge, call) {
      const outcome = await edge.broker.stats(topicOf(call));
      if (!outcome.ok) return outcome;
      const { queues, groups, transactions } = outcome.value;
      return answer({
        queues: queues.map(({ groups: _groups, transactions: _transactions, ...queue }) => queue),
        groups: groups.map(({ lagExact, ...group }) =>
          lagExact ? group : Object.assign(group, { lagExact }),
        ),
        transactions,
      });
    },
  }),
];
