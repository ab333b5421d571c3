/** Senders that are held back: by the backlog of a topic, and by the limits of their key. */
import { HalfMQ, isHalfmqError } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });
// A refusal is shown at once; by default the client tries again for 30 seconds.
const impatient = { attempts: 1 };

await mq.topics.put("example-10", { maxBacklog: 2 });
await mq.groups.put("example-10", "slow");
await mq.groups.seek("example-10", "slow", "latest"); // leaves out what an earlier run left behind
const sender = new HalfMQ({ url, key, retry: impatient });
await sender.send("example-10", [{ body: 1 }, { body: 2 }]);
try {
  await sender.send("example-10", { body: 3 });
} catch (error) {
  if (!isHalfmqError(error, "backlog_full")) throw error;
  const { group, limit } = error.facts as { group: string; limit: number };
  console.log(`${group} holds ${limit}: come again`);
}
for (const message of await mq.consumer("example-10", "slow").receive()) await message.ack();
await sender.send("example-10", { body: 3 });
console.log("sent after the acks");

const limits = { sendsPerSecond: 1, burst: 2 };
// A name of its own for each run: what one has used up, the next is not charged with.
const name = `example-10-${Date.now()}`;
const made = await mq.keys.put(name, { scopes: ["send"], limits });
const limited = new HalfMQ({ url, key: made.key ?? "", retry: impatient });
await limited.send("example-10-limited", [{ body: 1 }, { body: 2 }]);
try {
  await limited.send("example-10-limited", [{ body: 3 }, { body: 4 }]);
} catch (error) {
  if (!isHalfmqError(error, "rate_limited")) throw error;
  console.log(`at most ${limits.sendsPerSecond} a second: ${error.code}`);
}
await mq.keys.delete(name);
