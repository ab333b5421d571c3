/** Groups that get only some messages: by tag, or by an expression over properties. */
import { HalfMQ, isHalfmqError } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;

const mq = new HalfMQ({ url, key });
await mq.send("example-08", [
  { body: "10", tag: "green", properties: { price: "10" } },
  { body: "blue", tag: "blue" },
  { body: "30", tag: "green", properties: { price: "30" } },
  { body: "red", tag: "red" },
]);

async function received(group: string, filter: { sql: string } | { tags: string[] }) {
  const consumer = mq.consumer<string>("example-08", group, { settings: { filter } });
  const messages = await consumer.receive({ waitMs: 20_000 });
  await Promise.all(messages.map((message) => message.ack()));
  return messages.map(({ body }) => body).join(", ");
}

try {
  await received("cheap", { sql: "price < '20'" });
} catch (error) {
  if (!isHalfmqError(error, "invalid_filter")) throw error;
  console.log(`refused at ${Number(error.facts["position"])}: ${error.code}`);
}

console.log(`dear: ${await received("dear", { sql: "price > 20" })}`);
console.log(`red or blue: ${await received("colours", { tags: ["red", "blue"] })}`);
