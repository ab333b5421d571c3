/** Messages as they were delivered, by the wire or by the broker itself, in the words of the history. */
import type { Delivery as BrokerDelivery } from "../../src/broker/broker.ts";
import type { DeliveredData } from "../../src/client/index.ts";
import type { Delivery } from "./history.ts";
import { read } from "./world/mark.ts";

/** What the body of a message on the wire says of itself. */
export const readWire = (data: Pick<DeliveredData, "body" | "properties">) =>
  read({
    body: { json: JSON.stringify(data.body) },
    ...(data.properties === undefined ? {} : { properties: data.properties }),
  });

export function deliveryOf(message: DeliveredData | BrokerDelivery): Delivery {
  const { id, queue, offset, storedAt, deliveryAttempt, receipt, invisibleUntil } = message;
  const { transactionId } = message;
  return {
    ...("content" in message ? read(message.content) : readWire(message)),
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
