/** The way to the broker: what is sent again, when, with which key, and what the caller is told in the end. */
import { describe, expect, test } from "vitest";
import { HalfmqError, isHalfmqError } from "../../src/client/index.ts";
import { FakeBroker, problem, silence, URL_OF_BROKER } from "./fake-broker.node.ts";
import { turns } from "./fake-clock.node.ts";

const SEND = "POST /v1/topics/orders/messages";
const SENT = { json: { messages: [{ id: "m1", queue: 0, offset: 0, state: "ready" }] } };

/** Lets so much time pass, then gives what became of the call. */
async function after<T>(
  broker: FakeBroker,
  ms: number,
  call: Promise<T>,
): Promise<T | HalfmqError> {
  const outcome = call.catch((error: unknown) => error as HalfmqError);
  await broker.clock.advance(ms);
  return outcome;
}

describe("a request that fails for a passing reason", () => {
  test("is sent again with the same key until it is answered", async () => {
    const broker = new FakeBroker().script(
      SEND,
      new TypeError("fetch failed"),
      problem(503, "unavailable"),
      problem(429, "rate_limited"),
      SENT,
    );
    const sent = await after(broker, 5_000, broker.client().send("orders", { body: 1 }));
    expect(sent).toMatchObject({ id: "m1" });
    const keys = broker.of(SEND).map((each) => each.headers["idempotency-key"]);
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/u);
  });

  test("is sent again with the body that it had at first", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "unavailable"), SENT);
    const message = { body: { n: 1 } };
    const call = broker.client().send("orders", message);
    message.body.n = 2;
    await after(broker, 1_000, call);
    expect(broker.of(SEND).map((each) => each.json.messages[0].body.n)).toEqual([1, 1]);
  });

  test("has a key of its own when the caller's is undefined", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "unavailable"), SENT);
    const options = { idempotencyKey: undefined } as unknown as { idempotencyKey: string };
    await after(broker, 1_000, broker.client().send("orders", { body: 1 }, options));
    const keys = broker.of(SEND).map((each) => each.headers["idempotency-key"]);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/u);
    expect(keys[1]).toBe(keys[0]);
  });

  test("is given up by the defaults that the caller left undefined", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "unavailable"));
    const retry = { attempts: undefined, totalMs: undefined } as unknown as { attempts: number };
    const failed = await after(broker, 120_000, broker.client({ retry }).send("t", { body: 1 }));
    expect(failed).toBeInstanceOf(HalfmqError);
  });

  test("says afterwards whether an attempt may have been done", async () => {
    const lost = [new TypeError("fetch failed"), problem(403, "forbidden")];
    const broker = new FakeBroker().script(SEND, ...lost);
    const failed = await after(broker, 1_000, broker.client().send("orders", { body: 1 }));
    expect(failed).toMatchObject({ code: "forbidden", attempts: 2, mayBeDone: true });
    const refused = new FakeBroker().script(SEND, problem(429, "backlog_full"));
    const full = await after(refused, 60_000, refused.client().send("orders", { body: 1 }));
    expect(full).toMatchObject({ code: "backlog_full", mayBeDone: false });
  });

  test("has another key than the next one", async () => {
    const broker = new FakeBroker().script(SEND, SENT);
    const mq = broker.client();
    await mq.send("orders", { body: 1 });
    await mq.send("orders", { body: 1 });
    expect(new Set(broker.of(SEND).map((each) => each.headers["idempotency-key"])).size).toBe(2);
  });

  test("waits twice as long each time, up to a bound", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "unavailable"));
    const retry = { attempts: 6, initialMs: 100, maxMs: 500, totalMs: 60_000 };
    const startedAt = broker.clock.now();
    await after(broker, 60_000, broker.client({ retry }).send("orders", { body: 1 }));
    expect(broker.of(SEND).map((each) => each.at - startedAt)).toEqual([
      0, 100, 300, 700, 1_200, 1_700,
    ]);
  });

  test("waits less by chance, so that many clients do not come back together", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "unavailable"), SENT);
    broker.clock.chance = 0.5;
    const startedAt = broker.clock.now();
    await after(broker, 1_000, broker.client().send("orders", { body: 1 }));
    expect(broker.of(SEND)[1]?.at).toBe(startedAt + 75);
  });

  test.for([
    ["seconds", "3"],
    ["a date", new Date(1_800_000_003_000).toUTCString()],
  ])("waits as long as Retry-After says in %s", async ([, retryAfter]) => {
    const broker = new FakeBroker().script(
      SEND,
      problem(429, "backlog_full", { retryAfter }),
      SENT,
    );
    const startedAt = broker.clock.now();
    const sent = await after(broker, 3_500, broker.client().send("orders", { body: 1 }));
    expect(sent).toMatchObject({ id: "m1" });
    expect(broker.of(SEND)[1]?.at).toBe(startedAt + 3_000);
  });

  test("is given up at once when Retry-After lies past the total time", async () => {
    const broker = new FakeBroker().script(
      SEND,
      problem(503, "storage_full", { retryAfter: 3_600 }),
    );
    const error = await after(broker, 0, broker.client().send("orders", { body: 1 }));
    expect(error).toMatchObject({ code: "storage_full", attempts: 1, retryAfterMs: 3_600_000 });
  });

  test("is given up after the attempts, with their number", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "overloaded"));
    const call = broker.client({ retry: { attempts: 3 } }).send("orders", { body: 1 });
    expect(await after(broker, 60_000, call)).toMatchObject({ code: "overloaded", attempts: 3 });
    expect(broker.of(SEND)).toHaveLength(3);
  });

  test("is given up after the total time", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "overloaded"));
    const retry = { attempts: 1_000, totalMs: 2_000 };
    const startedAt = broker.clock.now();
    await after(broker, 60_000, broker.client({ retry }).send("orders", { body: 1 }));
    const last = broker.of(SEND).at(-1)?.at ?? 0;
    expect(last - startedAt).toBeGreaterThan(1_000);
    expect(last - startedAt).toBeLessThanOrEqual(2_000);
  });

  test("is sent again when no answer came in time", async () => {
    const broker = new FakeBroker().on(SEND, silence);
    const call = broker
      .client({ timeoutMs: 1_000, retry: { attempts: 2 } })
      .send("orders", { body: 1 });
    const error = await after(broker, 5_000, call);
    expect(error).toMatchObject({ code: "timeout", status: 0, retryable: true, attempts: 2 });
    expect(broker.of(SEND)).toHaveLength(2);
    expect(broker.clock.timers).toBe(0);
  });

  test("is sent again when a proxy answers for an absent broker", async () => {
    const page = { status: 502, text: "<h1>Bad gateway</h1>" };
    const broker = new FakeBroker().script(SEND, page, { status: 522, text: "" }, SENT);
    expect(await after(broker, 5_000, broker.client().send("orders", { body: 1 }))).toMatchObject({
      id: "m1",
    });
  });

  test("is not sent again when it would do more: the rotation of a secret", async () => {
    const route = "POST /v1/producer-groups/shop/secret";
    const broker = new FakeBroker().script(route, problem(503, "unavailable"));
    const error = await after(broker, 9_000, broker.client().producerGroups.rotateSecret("shop"));
    expect(error).toMatchObject({ code: "unavailable" });
    expect(broker.of(route)).toHaveLength(1);
  });
});

describe("a request that is refused for good", () => {
  test.for([
    [400, "invalid_request"],
    [401, "unauthenticated"],
    [403, "forbidden"],
    [404, "topic_not_found"],
    [409, "sequence_gap"],
    [413, "message_too_large"],
    [422, "idempotency_key_reused"],
  ] as const)("is sent once: %i %s", async ([status, code]) => {
    const broker = new FakeBroker().script(SEND, problem(status, code));
    const error = await after(broker, 0, broker.client().send("orders", { body: 1 }));
    expect(error).toMatchObject({ status, code, retryable: false, attempts: 1 });
  });

  test("is not sent again though its status is 503: not_configured", async () => {
    const refusal = problem(503, "not_configured", { retryable: false });
    const broker = new FakeBroker().script(SEND, refusal);
    const error = await after(broker, 0, broker.client().send("orders", { body: 1 }));
    expect(error).toMatchObject({ code: "not_configured", retryable: false });
    expect(broker.of(SEND)).toHaveLength(1);
  });

  test("carries the broker's facts and the request's id", async () => {
    const facts = { field: "messages[3].delayMs", limit: 5, actual: 6 };
    const broker = new FakeBroker().script(SEND, problem(400, "invalid_request", facts));
    const error = await after(broker, 0, broker.client().send("orders", { body: 1 }));
    expect(error).toBeInstanceOf(HalfmqError);
    expect(isHalfmqError(error, "invalid_request")).toBe(true);
    expect(isHalfmqError(error, "forbidden")).toBe(false);
    expect(error).toMatchObject({ facts, requestId: "request-1", name: "HalfmqError" });
    expect((error as HalfmqError).message).toBe("invalid_request: refused with invalid_request");
  });

  test("is an unexpected answer when it is not the broker's", async () => {
    for (const reply of [
      { status: 302, text: "" },
      { status: 404, text: "<h1>" },
      { text: "<h1>" },
    ]) {
      const broker = new FakeBroker().script(SEND, reply);
      const error = await after(broker, 0, broker.client().send("orders", { body: 1 }));
      expect(error).toMatchObject({ code: "unexpected_answer", retryable: false });
    }
  });
});

describe("every request", () => {
  test("carries the key, the namespace and no leave to follow a redirect", async () => {
    const broker = new FakeBroker().script(SEND, SENT);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await broker.client({ namespace: "eu" }).send("orders", { body: 1 }, { traceparent });
    const [request] = broker.of(SEND);
    expect(request?.headers).toMatchObject({
      authorization: "Bearer key",
      "halfmq-namespace": "eu",
      "content-type": "application/json",
      traceparent,
    });
    expect(request?.init.redirect).toBe("manual");
  });

  test("goes under the path of the URL", async () => {
    const broker = new FakeBroker().script("GET /mq/v1/health", { json: { status: "ok" } });
    await broker.client({ url: `${URL_OF_BROKER}/mq/` }).health();
    expect(broker.requests[0]?.path).toBe("/mq/v1/health");
  });

  test("encodes names, and refuses those that would name another route", async () => {
    const route = "GET /v1/topics/a%2520b%2Fc";
    const broker = new FakeBroker().script(route, { json: {} });
    await broker.client().topics.get("a%20b/c");
    expect(broker.of(route)).toHaveLength(1);
    for (const name of ["", ".", ".."]) {
      expect(() => broker.client().topics.get(name)).toThrow("topic must be a name");
    }
  });

  test("ends with its signal's reason, while it is under way", async () => {
    const broker = new FakeBroker().on(SEND, silence);
    const controller = new AbortController();
    const call = broker.client().send("orders", { body: 1 }, { signal: controller.signal });
    await turns();
    controller.abort(new Error("the user left"));
    await expect(call).rejects.toThrow("the user left");
    expect(broker.clock.timers).toBe(0);
  });

  test("ends with its signal's reason, between two attempts", async () => {
    const broker = new FakeBroker().script(SEND, problem(503, "unavailable"));
    const controller = new AbortController();
    const call = broker.client().send("orders", { body: 1 }, { signal: controller.signal });
    await turns();
    controller.abort(new Error("the user left"));
    await expect(call).rejects.toThrow("the user left");
    expect(broker.of(SEND)).toHaveLength(1);
    expect(broker.clock.timers).toBe(0);
  });
});

describe("a recall", () => {
  const ROUTE = "DELETE /v1/messages/m1";

  test("whose answer was lost finds its own work done", async () => {
    const broker = new FakeBroker().script(
      ROUTE,
      new Error("broken"),
      problem(409, "already_recalled"),
    );
    expect(await after(broker, 1_000, broker.client().recall("m1"))).toBeUndefined();
  });

  test("of what another recalled is refused", async () => {
    const broker = new FakeBroker().script(ROUTE, problem(409, "already_recalled"));
    expect(await after(broker, 0, broker.client().recall("m1"))).toMatchObject({
      code: "already_recalled",
    });
  });
});

describe("a list", () => {
  test("is read page by page", async () => {
    const broker = new FakeBroker().on("GET /v1/topics", ({ path }) =>
      path.includes("cursor=2")
        ? { json: { items: [{ topic: "c" }] } }
        : { json: { items: [{ topic: "a" }, { topic: "b" }], nextCursor: "2" } },
    );
    const topics = await broker.client().topics.list({ limit: 2 }).all();
    expect(topics.map((each) => each.topic)).toEqual(["a", "b", "c"]);
    expect(broker.requests.map((each) => each.path)).toEqual([
      "/v1/topics?limit=2",
      "/v1/topics?limit=2&cursor=2",
    ]);
  });
});
