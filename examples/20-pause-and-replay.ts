/** A group that is stopped, goes on, reads everything again, and leaves out what piled up. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

await mq.send("example-20", [{ body: 1 }, { body: 2 }, { body: 3 }]);
const report = mq.consumer<number>("example-20", "report");

async function read(): Promise<string> {
  const messages = await report.receive();
  await Promise.all(messages.map((message) => message.ack()));
  return messages.length === 0 ? "nothing" : messages.map(({ body }) => body).join(", ");
}

console.log(`first: ${await read()}`);
await mq.groups.seek("example-20", "report", "earliest");
console.log(`again: ${await read()}`);
await mq.groups.seek("example-20", "report", { 0: 2 });
console.log(`from the third: ${await read()}`);

await mq.groups.pause("example-20", "report");
await mq.send("example-20", [{ body: 4 }, { body: 5 }]);
console.log(`paused: ${await read()}`);
await mq.groups.seek("example-20", "report", "latest");
await mq.groups.resume("example-20", "report");
await mq.send("example-20", { body: 6 });
console.log(`only what is new: ${await read()}`);
