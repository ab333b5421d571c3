/** The same message sent twice is kept once, as long as the topic's window remembers it. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

await mq.topics.put("example-21", { dedupWindowMs: 60_000 });
const order = { body: { order: 7 }, dedupId: "order-7", messageGroup: "customer-3" };
const first = await mq.send("example-21", order);
// As after a crash, by another process: it cannot know whether the first one went through.
const again = await mq.send("example-21", order);
console.log(`${again.state} of the same message: ${again.id === first.id}`);
const other = await mq.send("example-21", { ...order, messageGroup: "customer-4" });
console.log(`another message group: ${other.state}`);
const { length } = await mq.consumer("example-21", "billing").receive({ waitMs: 5_000 });
console.log(`received ${length}`);
