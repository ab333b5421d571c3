/** The mounted push handler: who may send, and what it says of each message. Signed by the `standardwebhooks` package. */
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { bytesOf, pushHandler, PushRefusal, type PushedMessage } from "../../src/client/index.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW = new Date(1_800_000_000_000);

const message = (receipt: string, messageGroup?: string) => ({
  receipt,
  body: receipt,
  ...(messageGroup === undefined ? {} : { messageGroup }),
});

const delivery = (...messages: readonly object[]): string =>
  JSON.stringify({
    type: "messages.delivery",
    timestamp: "…",
    data: { topic: "orders", group: "mailer", messages },
  });

function signed(body: string, secret = SECRET): Request {
  return new Request("http://shop.test/push", {
    method: "POST",
    body,
    headers: {
      "webhook-id": "dlv_1",
      "webhook-timestamp": String(NOW.getTime() / 1_000),
      "webhook-signature": new Webhook(secret).sign("dlv_1", NOW, body),
      "halfmq-max-attempts": "16",
      "halfmq-deadline": "1800000030000",
      traceparent: "00-trace",
    },
  });
}

const mounted = (handle: (message: PushedMessage<string>) => unknown) =>
  pushHandler<string>({ secret: SECRET, handle, now: () => NOW.getTime() });

const resultsOf = async (response: Response) =>
  ((await response.json()) as { results: unknown }).results;

test("returning acks, throwing gives back with the reason, a refusal says when or never", async () => {
  const handler = mounted(({ body }) => {
    if (body === "b") throw new Error("not now");
    if (body === "c") throw new PushRefusal("later", { delayMs: 500 });
    if (body === "d") throw new PushRefusal("never", { retry: false });
  });
  const response = await handler(
    signed(delivery(...["a", "b", "c", "d"].map((each) => message(each)))),
  );
  expect(response.status).toBe(200);
  expect(await resultsOf(response)).toEqual([
    { receipt: "a", ok: true },
    { receipt: "b", ok: false, reason: "not now" },
    { receipt: "c", ok: false, reason: "later", delayMs: 500 },
    { receipt: "d", ok: false, reason: "never", retry: false },
  ]);
});

test("behind a message that failed those of its message group are not handled", async () => {
  const seen: unknown[] = [];
  const handler = mounted(({ body }) => {
    seen.push(body);
    if (body === "a1") throw new Error("no");
  });
  const sent = [message("a1", "a"), message("b1", "b"), message("a2", "a"), message("free")];
  const results = await resultsOf(await handler(signed(delivery(...sent))));
  expect(seen).toEqual(["a1", "b1", "free"]);
  expect(results).toMatchObject([
    { ok: false, reason: "no" },
    { ok: true },
    { ok: false, handled: false },
    { ok: true },
  ]);
  expect(results).not.toMatchObject([{ handled: false }]);
});

test("the handler is told of the call, and its errors are heard", async () => {
  const heard: unknown[] = [];
  const contexts: unknown[] = [];
  const handler = pushHandler({
    secret: ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", SECRET],
    handle: (_message, context) => {
      contexts.push(context);
      throw new Error("no");
    },
    onError: (error) => heard.push(String(error)),
    now: () => NOW.getTime(),
  });
  await handler(signed(delivery(message("a"))));
  expect(heard).toEqual(["Error: no"]);
  expect(contexts).toEqual([
    {
      topic: "orders",
      group: "mailer",
      maxAttempts: 16,
      deadlineAt: 1_800_000_030_000,
      traceparent: "00-trace",
      signal: expect.any(AbortSignal),
    },
  ]);
});

test("a body that is not JSON comes as bytes", async () => {
  const seen: unknown[] = [];
  const handler = pushHandler({
    secret: SECRET,
    handle: (pushed) => {
      seen.push([pushed.body, pushed.contentType, bytesOf(pushed)]);
    },
    now: () => NOW.getTime(),
  });
  const { body: _, ...bytes } = message("a");
  const sent = { ...bytes, bodyBase64: "AP8=", contentType: "image/x" };
  expect(await resultsOf(await handler(signed(delivery(sent, message("b")))))).toMatchObject([
    { ok: true },
    { ok: true },
  ]);
  expect(seen).toEqual([
    [undefined, "image/x", new Uint8Array([0, 255])],
    ["b", undefined, undefined],
  ]);
});

test("what was not begun when the broker hung up is not begun", async () => {
  const line = new AbortController();
  const seen: unknown[] = [];
  const handler = mounted(({ body }) => {
    seen.push(body);
    line.abort();
  });
  const request = new Request(signed(delivery(message("a"), message("b"))), {
    signal: line.signal,
  });
  expect(await resultsOf(await handler(request))).toMatchObject([{ ok: true }, { ok: false }]);
  expect(seen).toEqual(["a"]);
});

test("a listener's own error fails nothing, and a delay is one that the broker takes", async () => {
  const handler = pushHandler({
    secret: SECRET,
    handle: () => {
      throw new PushRefusal("later", { delayMs: 1.5 });
    },
    onError: () => {
      throw new Error("the logger is broken");
    },
    now: () => NOW.getTime(),
  });
  expect(await resultsOf(await handler(signed(delivery(message("a")))))).toEqual([
    { receipt: "a", ok: false, reason: "later", delayMs: 2 },
  ]);
  for (const delayMs of [-1, Number.NaN, Infinity])
    expect(() => new PushRefusal("x", { delayMs })).toThrow(RangeError);
});

test("what is not signed, not a delivery or not a POST is refused and handled by nobody", async () => {
  const handler = mounted(() => {
    throw new Error("handled");
  });
  expect((await handler(signed(delivery(message("a")), "whsec_b3RoZXI="))).status).toBe(401);
  expect(
    (await handler(signed('{"type":"transaction.check","data":{"messages":[]}}'))).status,
  ).toBe(400);
  expect((await handler(signed("nonsense"))).status).toBe(400);
  expect((await handler(new Request("http://shop.test/push"))).status).toBe(405);
  expect(() => pushHandler({ secret: [], handle: () => undefined })).toThrow("secret must be");
});
