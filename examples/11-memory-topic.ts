/** A topic whose sends do not wait for the disk: for what may be lost in a crash, as the readings of a sensor. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

await mq.topics.put("example-11", { durability: "memory", retentionMs: 3_600_000 });
for (let second = 0; second < 3; second++)
  await mq.send("example-11", { body: { second, celsius: 20 + second } });

// What was received is on disk, and its ack is kept as everywhere.
const consumer = mq.consumer<{ celsius: number }>("example-11", "chart");
for (const message of await consumer.receive({ waitMs: 5_000 })) {
  console.log(`${message.body.celsius} degrees`);
  await message.ack();
}
