/** The RocketMQ form: one listener does the local work and answers for it later. */
import { HalfMQ, type TransactionListener } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;

interface Order {
  readonly order: number;
}

/** Stands for a table: which orders are in the database, and how they ended. */
const orders = new Map<number, "paid" | "refused">();

const listener: TransactionListener<Order> = {
  executeLocalTransaction: (message) => {
    const { order } = "body" in message ? message.body : { order: 0 };
    orders.set(order, order === 2 ? "refused" : "paid");
    // The third one forgets to say: like a crash, it is left to the check.
    if (order === 3) throw new Error("the process stumbled");
    return order === 2 ? "rollback" : "commit";
  },
  checkLocalTransaction: (message) => {
    const state = orders.get(message.body?.order ?? 0);
    console.log(`asked after order ${message.body?.order}: ${state}`);
    if (state === undefined) return "unknown";
    return state === "paid" ? "commit" : "rollback";
  },
};

const mq = new HalfMQ({ url, key });
const producer = mq.producer({
  group: "example-06-shop",
  listener,
  check: { timeoutMs: 200, intervalMs: 1_000 },
});
producer.start();

for (const order of [1, 2, 3]) {
  const message = { body: { order } };
  const { localState } = await producer.sendMessageInTransaction("example-06", message);
  console.log(`order ${order}: ${localState}`);
}

const received: number[] = [];
for await (const message of mq.consumer<Order>("example-06", "shipping")) {
  received.push(message.body.order);
  await message.ack();
  if (received.length === 2) break;
}
console.log(`shipped ${received.join(" and ")}`);
await producer.stop();
