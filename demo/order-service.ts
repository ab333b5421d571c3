/**
 * The order service, a process of its own: sells each order as a half message, a local transaction, and a commit or
 * rollback, a few at a time. It answers checks from its database. What is left to sell, its database says; it keeps no other
 * memory, so that it may be killed anywhere.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { HalfMQ, nodeListener, RollbackError } from "../src/client/index.ts";
import { passing } from "./kill-point.ts";
import { OrderStore, type Outcome } from "./order-store.ts";
import { type Order, PRODUCER_GROUP, readOrders, TOPIC } from "./orders.ts";
import { endWithParent, report, variable } from "./parent.ts";

const LANES = 4;

endWithParent();
const mq = new HalfMQ({ url: variable("DEMO_URL"), key: variable("DEMO_KEY") });
const store = new OrderStore(variable("DEMO_ORDER_DB"));
const orders = readOrders(Number(variable("DEMO_ORDERS")));

await answerChecks();
report({ ready: true });
const left = orders.filter(({ order }) => !store.isFinal(order)).values();
await Promise.all(Array.from({ length: LANES }, () => sellAll()));
report({ handled: orders.length });

async function sellAll(): Promise<void> {
  for (const order of left) {
    while (!store.isFinal(order.order)) await sell(order);
    report({ handled: orders.filter(({ order }) => store.isFinal(order)).length });
  }
}

async function sell(order: Order): Promise<void> {
  const message = { body: order, tag: "sold", keys: [`order-${order.order}`] };
  try {
    await mq.transact(TOPIC, message, (transaction) => work(transaction.id, order), {
      producerGroup: PRODUCER_GROUP,
    });
  } catch (error) {
    if (!(error instanceof RollbackError)) throw error;
  }
  passing("decided");
}

/** Between the prepare and the decision. */
function work(transactionId: string, order: Order): void {
  passing("prepared");
  const outcome = store.sell(transactionId, order);
  passing("local-commit");
  if (outcome !== "sold") throw new RollbackError(outcome);
}

async function answerChecks(): Promise<void> {
  const handler = mq.checkHandler<Order>({
    secret: variable("DEMO_CHECK_SECRET"),
    check: ({ transactionId, messages: [message] }) => {
      if (message?.body === undefined) return "unknown";
      const outcome = store.decide(transactionId, message.body.order);
      passing("check");
      return resolution(outcome);
    },
  });
  const server = createServer(nodeListener(handler));
  server.listen(Number(variable("DEMO_CHECK_PORT")), "127.0.0.1");
  await once(server, "listening");
}

function resolution(outcome: Outcome): "commit" | "rollback" {
  return outcome === "sold" ? "commit" : "rollback";
}
