/**
 * The producer is gone between its database commit and the broker's: the broker asks back by a signed webhook, and the answer
 * comes from the database. The handler is fetch-style; here it is mounted in a server of node:http.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HalfMQ, nodeListener } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const PRODUCER_GROUP = "example-03-shop";

/** Stands for a table: which transactions are in the database. */
const written = new Set<string>();

const mq = new HalfMQ({ url, key });
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

// Register the URL. The secret is shown when the group is made, and each time it is rotated.
const target = { check: { url: `http://127.0.0.1:${port}/checks` } };
const made = await mq.producerGroups.put(PRODUCER_GROUP, target);
const { secret = "" } =
  made.secret === undefined ? await mq.producerGroups.rotateSecret(PRODUCER_GROUP) : made;

// Mount the handler.
const handler = mq.checkHandler({
  secret,
  check: ({ transactionId, attempt }) => {
    const resolution = written.has(transactionId) ? "commit" : "rollback";
    console.log(`check ${attempt}: ${resolution}`);
    return resolution;
  },
});
server.on("request", nodeListener(handler));

const check = { timeoutMs: 200, intervalMs: 1_000 };
const lost = new Error("the connection broke after the database commit");
try {
  const work = (tx: { readonly id: string }): void => {
    written.add(tx.id);
    throw lost;
  };
  await mq.transact("example-03", { body: { order: 3 } }, work, {
    producerGroup: PRODUCER_GROUP,
    check,
  });
} catch (error) {
  if (error !== lost) throw error;
  console.log("undecided: left to the check-back");
}

const [message] = await mq.consumer("example-03", "shipping").receive({ waitMs: 20_000 });
if (message === undefined) throw new Error("no check came");
console.log("committed by the check, and received");
await message.ack();
server.close();
server.closeAllConnections();
