/** The life of one message, told in order: for the question what became of it. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

await mq.topics.put("example-12", { trace: true });
const { id } = await mq.send("example-12", { body: { order: 7 }, delayMs: 100 });

const consumer = mq.consumer("example-12", "billing");
const [first] = await consumer.receive({ waitMs: 20_000 });
await first?.nack({ delayMs: 0, reason: "no paper" });
const [second] = await consumer.receive({ waitMs: 20_000 });
await second?.ack();

for (const event of (await mq.message(id)).events ?? []) {
  const { type, group, deliveryAttempt, reason } = event;
  console.log(
    [type, group, deliveryAttempt, reason].filter((each) => each !== undefined).join(" "),
  );
}
