/**
 * Effects that happen once, with a database: a consumer that does a message's work once however often it comes, and a producer
 * whose check-backs answer themselves and block a local transaction that comes too late.
 */
import { DatabaseSync } from "node:sqlite";
import { HalfMQ, RollbackError } from "halfmq";
import { createOnceTable, once, onSqlite, transactionTable } from "halfmq/databases";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;

interface Sale {
  readonly item: string;
  readonly cents: number;
}

const sqlite = new DatabaseSync(":memory:");
sqlite.exec("CREATE TABLE sale (id TEXT, item TEXT)");
sqlite.exec("CREATE TABLE account (item TEXT PRIMARY KEY, cents INTEGER)");
sqlite.exec("INSERT INTO account VALUES ('tea', 0)");

const db = onSqlite(sqlite);
const table = transactionTable(db);
await table.create();
await createOnceTable(db);

const mq = new HalfMQ({ url, key });
const producerGroup = "example-16-shop";
const checks = mq.pollChecks(producerGroup, table.answer);

// The producer: the row that says that it committed is written with the sale.
const sale = { item: "tea", cents: 300 };
await mq.transact<Sale, void>(
  "example-16",
  { body: sale },
  (transaction) =>
    table.run(transaction, (tx) => {
      tx.prepare("INSERT INTO sale VALUES (?, ?)").run(transaction.id, sale.item);
    }),
  { producerGroup },
);
console.log("sold");

// One that hangs between its prepare and its local transaction: the check is faster.
const slow = await mq.transaction("example-16", {
  producerGroup,
  messages: [{ body: { item: "coffee", cents: 400 } }],
  check: { timeoutMs: 100, intervalMs: 100 },
});
for (let state = "prepared"; state === "prepared";)
  ({ state } = await mq.transactions.get(slow.id));
try {
  await table.run(slow, (tx) => tx.exec("INSERT INTO sale VALUES ('late', 'coffee')"));
} catch (error) {
  if (!(error instanceof RollbackError)) throw error;
  console.log("too late: nothing is sold and nothing is sent");
}
await checks.stop();

// The consumer: the row that says that it is done is written with the booking.
const book = (message: { readonly id: string; readonly body: Sale }): Promise<boolean> =>
  once(
    db,
    message,
    (tx) => {
      const { item, cents } = message.body;
      tx.prepare("UPDATE account SET cents = cents + ? WHERE item = ?").run(cents, item);
    },
    { handler: "bookkeeping" },
  );

const consumer = mq.consumer<Sale>("example-16", "bookkeeping");
let [message] = await consumer.receive({ maxMessages: 1, waitMs: 10_000 });
if (message === undefined) throw new Error("the sale was sent");
console.log(`booked: ${await book(message)}`);
// The process dies before its ack, say; the message comes again.
await message.nack({ delayMs: 0 });
[message] = await consumer.receive({ maxMessages: 1, waitMs: 10_000 });
if (message === undefined) throw new Error("it comes again");
console.log(`booked at attempt ${message.deliveryAttempt}: ${await book(message)}`);
await message.ack();
await consumer.stop();
console.log("in the account:", sqlite.prepare("SELECT cents FROM account").get()?.["cents"]);
