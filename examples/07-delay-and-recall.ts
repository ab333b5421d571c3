/** Messages for later: delayed, brought forward, taken back. */
import { HalfMQ, isHalfmqError } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const HOUR_MS = 3_600_000;

const mq = new HalfMQ({ url, key });
const [first, second] = await mq.send("example-07", [
  { body: "a reminder", delayMs: HOUR_MS },
  { body: "another", delayMs: HOUR_MS },
]);
if (first === undefined || second === undefined) throw new Error("two were sent");
console.log(`${first.state} and ${second.state}`);

await mq.recall(first.id);
console.log(`the first one is ${(await mq.message(first.id)).state}`);

await mq.retime(second.id, Date.now());
const [message] = await mq.consumer("example-07", "bell").receive({ waitMs: 20_000 });
if (message === undefined) throw new Error("nothing came");
console.log(`received ${String(message.body)}`);
await message.ack();

try {
  await mq.recall(second.id);
} catch (error) {
  if (!isHalfmqError(error, "already_delivered")) throw error;
  console.log(`too late to recall the second: ${error.code}`);
}
