/** A group that is not given more than it can take, no noisy message group among it, and what holds its messages back. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

await mq.groups.put("example-23", "mail", { maxInFlight: 2, messageGroupConcurrency: 1 });
const noisy = Array.from({ length: 50 }, () => ({ body: "noisy", messageGroup: "noisy" }));
await mq.send("example-23", [...noisy, { body: "quiet", messageGroup: "quiet" }]);
const mail = mq.consumer<string>("example-23", "mail");
const two = await mail.receive({ maxMessages: 100 });
console.log(`in flight: ${two.map(({ body }) => body).join(" and ")}`);
console.log(`more now: ${(await mail.receive({ maxMessages: 100 })).length}`);

// Limits change while the group runs; 0 takes one away.
await mq.groups.put("example-23", "mail", { maxInFlight: 0, messageGroupConcurrency: 10 });
console.log(`with wider limits: ${(await mail.receive({ maxMessages: 100 })).length}`);

// In this group nothing passes what failed: somebody looks, and says what becomes of it.
const careful = { ordered: true, maxAttempts: 1, onPoison: "block" } as const;
const ledger = mq.consumer<string>("example-23-ledger", "booking", { settings: careful });
const account = ["credit", "debit"].map((body) => ({ body, messageGroup: "account-7" }));
await mq.send("example-23-ledger", account);
const [credit] = await ledger.receive({ waitMs: 5_000, maxMessages: 1 });
await credit?.nack({ reason: "unknown currency" });
for await (const held of mq.groups.blocked("example-23-ledger", "booking"))
  console.log(`${held.messageGroup}: ${held.state}, ${held.reason}`);
console.log(`skipped: ${await mq.groups.skipBlocked("example-23-ledger", "booking")}`);
const [debit] = await ledger.receive({ waitMs: 5_000 });
console.log(`goes on with ${debit?.body}`);
await debit?.ack();
