/** The client inside the Workers runtime, with the Worker's own `fetch` as its way to the broker. */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { HalfMQ, signWebhook } from "../../src/client/index.ts";

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

test("verifies a check's signature with the runtime's own crypto", async () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const body = JSON.stringify({ type: "transaction.check", data: { transactionId: "t" } });
  const signed = await signWebhook({ id: "1", timestampMs: Date.now(), body }, secret);
  const handler = mq.checkHandler({ secret, check: () => "rollback" });
  const ask = (text: string): Promise<Response> =>
    handler(
      new Request("http://shop.test/", { method: "POST", body: text, headers: { ...signed } }),
    );
  expect(await (await ask(body)).json()).toEqual({ resolution: "rollback" });
  expect((await ask(`${body} `)).status).toBe(401);
});
