/** A producer that counts its messages: each is taken once and in order, and a forgotten older instance is fenced off. */
import { HalfMQ, isHalfmqError } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

// The epoch is higher than all before: a counter in your database, or the time of the start.
const epoch = Date.now();
const meter = mq.counting("example-09", { id: "meter-7", epoch });
await meter.send([{ body: 20.5 }, { body: 20.7 }]);
const third = await meter.send({ body: 21 });
console.log(`the third is ${third.state} at ${third.offset}`);

// What the broker has already, it answers with the first id: a repeat after a crash does no harm.
const mark = { id: "meter-7", epoch, sequence: 3 };
const again = await mq.send("example-09", { body: 21, producer: mark });
console.log(`again: ${again.state} of the same message: ${again.id === third.id}`);

// A new instance takes over; the old one is told so.
const next = mq.counting("example-09", { id: "meter-7", epoch: epoch + 1 });
await next.send({ body: 21.1 });
try {
  await meter.send({ body: 99 });
} catch (error) {
  if (!isHalfmqError(error, "producer_fenced")) throw error;
  console.log(`the old instance: ${error.code}`);
}
