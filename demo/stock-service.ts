/**
 * The stock service, a process of its own: consumes what was sold and takes it out of the stock, once for each message
 * however often it comes. It may be killed anywhere.
 */
import { HalfMQ } from "../src/client/index.ts";
import { passing } from "./kill-point.ts";
import { CONSUMER_GROUP, type Order, TOPIC } from "./orders.ts";
import { endWithParent, report, variable } from "./parent.ts";
import { StockStore } from "./stock-store.ts";

/** Short, so that what a killed service held comes back soon. */
const INVISIBLE_MS = 1_000;

endWithParent();
const mq = new HalfMQ({ url: variable("DEMO_URL"), key: variable("DEMO_KEY") });
const store = new StockStore(variable("DEMO_STOCK_DB"));

const subscription = mq.consumer<Order>(TOPIC, CONSUMER_GROUP).subscribe(
  (message) => {
    store.take(message.id, message.body);
    passing("before-ack");
  },
  { concurrency: 4, invisibleMs: INVISIBLE_MS, maxMessages: 8 },
);
report({ ready: true });
await subscription.done;
