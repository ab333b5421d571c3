/** Every operation of this dialect: what the server mounts and the description shows. Nothing is mounted from elsewhere. */
import { auditOperations } from "./audit.ts";
import { blockedOperations } from "./blocked.ts";
import { changeOperations } from "./changes.ts";
import { deadLetterOperations } from "./dead-letters.ts";
import { groupOperations } from "./groups.ts";
import { healthOperations } from "./health.ts";
import { keyOperations } from "./keys.ts";
import { messageOperations } from "./messages.ts";
import { metricsOperations } from "./metrics.ts";
import { openapiOperation } from "./openapi.ts";
import type { Operation } from "./operation.ts";
import { producerGroupOperations } from "./producer-groups.ts";
import { receiptOperations } from "./receipts.ts";
import { streamOperations } from "./stream.ts";
import { tailOperations } from "./tail.ts";
import { scheduleOperations } from "./schedules.ts";
import { statsOperations } from "./stats.ts";
import { topicOperations } from "./topics.ts";
import { transactionOperations } from "./transactions.ts";

const described: readonly Operation[] = [
  ...healthOperations,
  ...metricsOperations,
  ...topicOperations,
  ...statsOperations,
  ...auditOperations,
  ...messageOperations,
  ...transactionOperations,
  ...producerGroupOperations,
  ...groupOperations,
  ...receiptOperations,
  ...streamOperations,
  ...deadLetterOperations,
  ...blockedOperations,
  ...scheduleOperations,
  ...keyOperations,
  ...changeOperations,
  ...tailOperations,
];

export const CATALOGUE: readonly Operation[] = [...described, openapiOperation(described)];
