/** A consumer with a handler: several at a time, leases kept while it works, a retry after an error, a stop that loses nothing. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const COUNT = 20;

interface Order {
  readonly order: number;
}

const mq = new HalfMQ({ url, key });
const orders = Array.from({ length: COUNT }, (_, order) => ({ body: { order } }));
await mq.send<Order>("example-05", orders);

// The group is made, or changed, before the first receive.
const consumer = mq.consumer<Order>("example-05", "billing", {
  settings: { maxAttempts: 5, backoff: { delaysMs: [100] } },
  onError: (error, message) => console.log(`order ${message?.offset}: ${String(error)}`),
});

const billed = new Set<number>();
const all = Promise.withResolvers<void>();

// Returning acks, throwing gives back. `id` is the same in every delivery: remember it to be exactly-once.
const subscription = consumer.subscribe(
  (message) => {
    if (message.body.order === 7 && message.deliveryAttempt === 1) throw new Error("not now");
    billed.add(message.body.order);
    if (billed.size === COUNT) all.resolve();
  },
  { concurrency: 4 },
);
await Promise.race([all.promise, subscription.done]);

// On SIGTERM, say: no more is received, handlers finish, acks are sent.
const { unfinished } = await subscription.stop({ deadlineMs: 10_000 });
console.log(`billed ${billed.size} orders, ${unfinished} unfinished`);

// Or one by one. Leaving the loop gives back what was not shown.
await mq.send<Order>("example-05", { body: { order: COUNT } });
for await (const message of consumer) {
  console.log(`billed order ${message.body.order} in a loop`);
  await message.ack();
  break;
}
await consumer.stop();
