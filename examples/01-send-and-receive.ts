/** Sends a message, receives it and says that it is done. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;

interface Order {
  readonly order: number;
  readonly item: string;
}

const mq = new HalfMQ({ url, key });
const sent = await mq.send<Order>("example-01", { body: { order: 1, item: "tea" }, tag: "new" });
console.log(`sent ${sent.id} to queue ${sent.queue}`);

const consumer = mq.consumer<Order>("example-01", "kitchen");
const [message] = await consumer.receive({ waitMs: 5_000 });
if (message === undefined) throw new Error("nothing came");
console.log(`received order ${message.body.order}: ${message.body.item}`);
await message.ack();
console.log("acked");
