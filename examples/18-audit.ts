/** Proof that nothing was lost: numbered messages on one side, the broker's audit on the other, and a consumer that hears of gaps. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const COUNT = 12;

const mq = new HalfMQ({ url, key });

// Who sends counts: the broker refuses a number that leaves one out, and takes none twice.
const till = mq.counting("example-18", { id: "till-7", epoch: Date.now() });
for (let order = 1; order <= COUNT; order++) await till.send({ body: { order } });

const all = Promise.withResolvers<void>();
let handled = 0;
const consumer = mq.consumer<{ order: number }>("example-18", "billing", {
  settings: { maxAttempts: 1 },
  // How often the audit is asked; here more often than you would.
  auditMs: 1,
  onGap: (gap) => console.error("lost:", gap),
});
const subscription = consumer.subscribe((message) => {
  if (++handled === COUNT) all.resolve();
  if (message.body.order === 3) throw new Error("this one cannot be billed");
});
await Promise.race([all.promise, subscription.done]);
await subscription.stop();

const audit = await mq.topics.audit("example-18");
console.log("faults:", audit.faults);
for (const { group, stored, acked, deadLettered, open } of audit.groups ?? [])
  console.log(`${group}: of ${stored}, ${acked} acked, ${deadLettered} dead, ${open} open`);
for (const { id, lastSequence, taken, missing } of audit.producers)
  console.log(`${id}: said ${lastSequence}, taken ${taken}, missing ${missing}`);
