/**
 * Messages that come by themselves: the broker posts them, signed, to a handler of this process. What it throws at comes
 * again, or is a dead letter when it says so.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HalfMQ, nodeListener, PushRefusal } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const TOPIC = "example-13";
const GROUP = "mailer";

const mq = new HalfMQ({ url, key });
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

// The secret is shown when the URL is set for the first time, and each time it is rotated.
const made = await mq.groups.put(TOPIC, GROUP, {
  backoff: { delaysMs: [100] },
  push: { url: `http://127.0.0.1:${port}/push`, concurrency: 1, maxMessages: 4 },
});
const { secret = "" } =
  made.secret === undefined ? await mq.groups.rotatePushSecret(TOPIC, GROUP) : made;

const done = Promise.withResolvers<void>();
const handler = mq.pushHandler<{ readonly to: string }>({
  secret,
  handle: ({ body, deliveryAttempt }) => {
    const to = body?.to ?? "";
    if (to === "nobody") throw new PushRefusal("no such address", { retry: false });
    if (to === "busy" && deliveryAttempt === 1) throw new Error("try later");
    console.log(`mailed ${to} at attempt ${deliveryAttempt}`);
    if (to === "busy") done.resolve();
  },
});
server.on("request", nodeListener(handler));

await mq.send(TOPIC, [
  { body: { to: "ann" } },
  { body: { to: "nobody" } },
  { body: { to: "busy" } },
]);
await done.promise;

const [dead] = await mq.groups.deadLetters<{ readonly to: string }>(TOPIC, GROUP).all();
console.log(`dead: ${dead?.body?.to}, ${dead?.reason}`);
await mq.groups.deletePush(TOPIC, GROUP);
server.close();
server.closeAllConnections();
