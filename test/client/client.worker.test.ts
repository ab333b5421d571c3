/** The client inside the Workers runtime, with the Worker's own `fetch` as its way to the broker. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Webhook } from "standardwebhooks";
import { HalfMQ, pushHandler, signWebhook } from "../../src/client/index.ts";

const mq = new HalfMQ({
  url: "http://halfmq.test",
  key: "test-root-key-0123456789abcdef",
  fetch: (url, init) => exports.default.fetch(new Request(url, init)),
});

test("sells, checks back and consumes", async () => {
  const sold = await mq.transact("in-worker", { body: { n: 1 } }, (tx) => tx.id, {
    producerGroup: "shop",
  });
  const consumer = mq.consumer<{ n: number }>("in-worker", "g");
  const { promise: seen, resolve } = Promise.withResolvers<string | undefined>();
  const subscription = consumer.subscribe((message) => resolve(message.data.transactionId));
  expect(await seen).toBe(sold);
  await subscription.stop();
  expect((await mq.topics.stats("in-worker")).groups).toMatchObject([{ lag: 0 }]);
});

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const CHECK = JSON.stringify({ type: "transaction.check", data: { transactionId: "t" } });

/** As the package `standardwebhooks` signs it. */
function signed(body: string, sent = body): Request {
  const now = new Date();
  const headers = {
    "webhook-id": "1",
    "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
    "webhook-signature": new Webhook(SECRET).sign("1", now, body),
  };
  return new Request("http://shop.test/", { method: "POST", body: sent, headers });
}

test("takes a check that the package of Standard Webhooks signed, with the runtime's own crypto", async () => {
  const handler = mq.checkHandler({ secret: SECRET, check: () => "rollback" });
  expect(await (await handler(signed(CHECK))).json()).toEqual({ resolution: "rollback" });
  expect((await handler(signed(CHECK, `${CHECK} `))).status).toBe(401);
});

test("takes a push that the package of Standard Webhooks signed", async () => {
  const data = { topic: "t", group: "g", messages: [{ receipt: "r", body: 1 }] };
  const delivery = JSON.stringify({ type: "messages.delivery", timestamp: "…", data });
  const seen: unknown[] = [];
  const handler = pushHandler({ secret: SECRET, handle: ({ body }) => void seen.push(body) });
  const answer = await handler(signed(delivery));
  expect(await answer.json()).toEqual({ results: [{ receipt: "r", ok: true }] });
  expect((await handler(signed(delivery, delivery.replace("1", "2")))).status).toBe(401);
  expect(seen).toEqual([1]);
});

test("signs what the package of Standard Webhooks takes", async () => {
  const headers = await signWebhook({ id: "1", timestampMs: Date.now(), body: CHECK }, SECRET);
  expect(new Webhook(SECRET).verify(CHECK, { ...headers })).toEqual(JSON.parse(CHECK));
  expect(() => new Webhook(SECRET).verify(`${CHECK} `, { ...headers })).toThrow();
});
