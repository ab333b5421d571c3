/** Messages as the wire shows them, in the words of the history. */
import type { DeliveredData } from "../../src/client/index.ts";
import type { Delivery } from "./history.ts";
import { read } from "./world/mark.ts";

export function deliveryOf(data: DeliveredData): Delivery {
  const { id, queue, offset, storedAt, deliveryAttempt, receipt, invisibleUntil } = data;
  const { transactionId } = data;
  return {
    ...readWire(data),
    id,
    queue,
    offset,
    storedAt,
    deliveryAttempt,
    receipt,
    invisibleUntil,
    ...(transactionId === undefined ? {} : { transactionId }),
  };
}

/** What the body of a message on the wire says of itself. */
export const readWire = (data: Pick<DeliveredData, "body" | "properties">) =>
  read({
    body: { json: JSON.stringify(data.body) },
    ...(data.properties === undefined ? {} : { properties: data.properties }),
  });
