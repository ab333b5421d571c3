/** A consumer over a WebSocket, and somebody who watches the topic without taking anything from it. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const TOPIC = "example-14";

const mq = new HalfMQ({ url, key });
await mq.topics.put(TOPIC, { queues: 2 });

// Messages come as soon as they are there; acks go back on the same socket.
const all = Promise.withResolvers<void>();
const seen = new Set<number>();
const consumer = mq.consumer<number>(TOPIC, "worker");
const subscription = consumer.subscribe(
  ({ body }) => {
    seen.add(body);
    if (seen.size === 10) all.resolve();
  },
  { stream: true, concurrency: 4 },
);

await mq.send(
  TOPIC,
  Array.from({ length: 10 }, (_, body) => ({ body })),
);
await Promise.race([all.promise, subscription.done]);
await subscription.stop();
console.log(`handled ${seen.size} over a stream`);

// The tail begins where it is told, and goes on from any place that it gave.
let place = "";
let count = 0;
for await (const tailed of mq.tail<number>(TOPIC, { from: "earliest" })) {
  ({ place } = tailed);
  if (++count === 7) break;
}
console.log(`watched ${count}`);
for await (const tailed of mq.tail<number>(TOPIC, { place })) {
  ({ place } = tailed);
  if (++count === 10) break;
}
console.log(`went on to ${count}`);
