/**
 * A message and a row in a database: both or neither. The row keeps the transaction's id, so that a check-back can look it up
 * (03 and 04 show that half).
 */
import { DatabaseSync } from "node:sqlite";
import { HalfMQ, RollbackError, type Transaction } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;

interface Sale {
  readonly item: string;
  readonly pieces: number;
}

const db = new DatabaseSync(":memory:");
db.exec("CREATE TABLE stock (item TEXT PRIMARY KEY, pieces INTEGER)");
db.exec("CREATE TABLE sale (transaction_id TEXT PRIMARY KEY, item TEXT, pieces INTEGER)");
db.exec("INSERT INTO stock VALUES ('tea', 5)");

/** The local transaction: all of it, or nothing. */
function sell(tx: Transaction, { item, pieces }: Sale): number {
  db.exec("BEGIN");
  const take = "UPDATE stock SET pieces = pieces - ? WHERE item = ? AND pieces >= ?";
  if (db.prepare(take).run(pieces, item, pieces).changes === 0) {
    db.exec("ROLLBACK");
    throw new RollbackError(`less than ${pieces} of ${item} left`);
  }
  db.prepare("INSERT INTO sale VALUES (?, ?, ?)").run(tx.id, item, pieces);
  db.exec("COMMIT");
  return pieces;
}

const mq = new HalfMQ({ url, key });

for (const sale of [
  { item: "tea", pieces: 3 },
  { item: "tea", pieces: 4 },
]) {
  try {
    const sold = await mq.transact("example-02", { body: sale }, (tx) => sell(tx, sale), {
      producerGroup: "example-02-shop",
    });
    console.log(`sold ${sold}: the message is visible`);
  } catch (error) {
    if (!(error instanceof RollbackError)) throw error;
    console.log(`not sold, ${error.message}: there is no message`);
  }
}

const consumer = mq.consumer<Sale>("example-02", "shipping");
const messages = await consumer.receive({ waitMs: 5_000 });
for (const message of messages) {
  console.log(`shipping ${message.body.pieces} of ${message.body.item}`);
  await message.ack();
}
