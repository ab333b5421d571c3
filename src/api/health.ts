/** Whether the server answers, and which one it is. It asks no object. */
import { nothing } from "./fields.ts";
import { answer, operation, type Operation } from "./operation.ts";

export const healthOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/v1/health",
    summary: "Whether the server answers; needs no key",
    statuses: [200],
    query: nothing,
    handle: (edge) => Promise.resolve(answer({ status: "ok", version: edge.version })),
  }),
];
