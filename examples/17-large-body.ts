/** A body above 1 MiB: taken and given back as any other where a bucket is bound, refused with its limit where none is. */
import { HalfMQ, isHalfmqError } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

const report = { lines: Array.from({ length: 100_000 }, (_, line) => `line ${line}`) };
try {
  await mq.send("example-17", { body: report });
  const [message] = await mq.consumer<typeof report>("example-17", "readers").receive();
  console.log(`received ${message?.body.lines.length} lines`);
  await message?.ack();
} catch (error) {
  if (!isHalfmqError(error, "message_too_large")) throw error;
  const { limit } = error.facts as { limit: number };
  console.log(`no bucket here: a body has at most ${limit} bytes`);
}
