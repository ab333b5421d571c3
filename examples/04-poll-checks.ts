/** The same question for a producer that nobody can call: it polls for its checks. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;

/** Stands for a table: which transactions are in the database. */
const written = new Set<string>();

const mq = new HalfMQ({ url, key });

// Ask for checks.
const poller = mq.pollChecks(
  "example-04-shop",
  ({ transactionId }) => (written.has(transactionId) ? "commit" : "rollback"),
  { onError: (error) => console.error(error) },
);

const options = {
  producerGroup: "example-04-shop",
  check: { timeoutMs: 200, intervalMs: 1_000 },
};
const kept = await mq.transaction("example-04", { ...options, message: { body: "kept" } });
const dropped = await mq.transaction("example-04", { ...options, message: { body: "dropped" } });
written.add(kept.id);
console.log("prepared two, wrote one, decided none");

const [message] = await mq.consumer("example-04", "shipping").receive({ waitMs: 20_000 });
if (message === undefined) throw new Error("no check came");
console.log(`received: ${String(message.body)}`);
await message.ack();

let other = await mq.transactions.get(dropped.id);
while (other.state === "prepared") other = await mq.transactions.get(dropped.id);
console.log(`the other one is ${other.state} by ${other.decidedBy}`);
await poller.stop();
