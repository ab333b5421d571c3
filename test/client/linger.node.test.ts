/** Sends that go together: when they go, and that nobody pays for another's mistake. */
import { describe, expect, test } from "vitest";
import { FakeBroker, type Reply, type Seen } from "./fake-broker.node.ts";

const SEND = "POST /v1/topics/orders/messages";

/** Answers each message with an id that its body names. */
const stored = ({ json }: Seen): Reply => {
  const { messages } = json as { messages: readonly { body: unknown }[] };
  return {
    json: {
      messages: messages.map(({ body }) => ({ id: `m${String(body)}`, queue: 0, state: "ready" })),
    },
  };
};

const refused = (status: number, code: string, facts: object = {}): Reply => ({
  status,
  headers: { "content-type": "application/problem+json" },
  json: { type: "t", title: "t", status, detail: "d", code, retryable: false, ...facts },
});

const bodiesOf = (broker: FakeBroker): unknown[] =>
  broker
    .of(SEND)
    .map(({ json }) =>
      (json as { messages: { body: unknown }[] }).messages.map(({ body }) => body),
    );

describe("a client that lingers", () => {
  test("sends what comes within its linger as one request, each caller with its own answer", async () => {
    const broker = new FakeBroker().on(SEND, stored);
    const mq = broker.client({ lingerMs: 5 });
    const first = mq.send("orders", { body: 1 });
    const list = mq.send("orders", [{ body: 2 }, { body: 3 }]);
    await broker.clock.advance(4);
    const last = mq.send("orders", { body: 4 });
    expect(broker.requests).toEqual([]);
    await broker.clock.advance(1);
    expect((await first).id).toBe("m1");
    expect((await list).map(({ id }) => id)).toEqual(["m2", "m3"]);
    expect((await last).id).toBe("m4");
    expect(bodiesOf(broker)).toEqual([[1, 2, 3, 4]]);
    const next = mq.send("orders", { body: 5 });
    await broker.clock.advance(5);
    expect((await next).id).toBe("m5");
  });

  test("never mixes topics, nor what has a key, a signal or a trace of its own", async () => {
    const broker = new FakeBroker().on(SEND, stored).on("POST /v1/topics/other/messages", stored);
    const mq = broker.client({ lingerMs: 5 });
    const sends = [
      mq.send("orders", { body: 1 }),
      mq.send("other", { body: 2 }),
      mq.send("orders", { body: 3 }, { idempotencyKey: "mine" }),
      mq.send("orders", { body: 4 }, { signal: new AbortController().signal }),
      mq.send("orders", []),
    ];
    await broker.clock.advance(5);
    await Promise.all(sends);
    expect(bodiesOf(broker)).toEqual([[3], [4], [], [1]]);
    expect(broker.of("POST /v1/topics/other/messages")).toHaveLength(1);
  });

  test("waits for nothing when a request is full", async () => {
    const broker = new FakeBroker().on(SEND, stored);
    const mq = broker.client({ lingerMs: 5 });
    const sends = Array.from({ length: 500 }, (_, body) => mq.send("orders", { body }));
    const alone = mq.send(
      "orders",
      Array.from({ length: 1_000 }, (_, body) => ({ body })),
    );
    expect((await Promise.all(sends)).at(-1)?.id).toBe("m499");
    expect(await alone).toHaveLength(1_000);
    expect(broker.of(SEND)).toHaveLength(2);
  });

  test("tells a fault only to whose message it is", async () => {
    const broker = new FakeBroker().on(SEND, (request) =>
      request.text.includes("bad")
        ? refused(400, "invalid_request", { field: "messages[1].body" })
        : stored(request),
    );
    const mq = broker.client({ lingerMs: 5 });
    const good = mq.send("orders", { body: 1 });
    const bad = mq.send("orders", { body: "bad" });
    const refusal = expect(bad).rejects.toMatchObject({ code: "invalid_request" });
    await broker.clock.advance(5);
    expect((await good).id).toBe("m1");
    await refusal;
    expect(bodiesOf(broker)).toEqual([[1, "bad"], [1], ["bad"]]);
    const keys = broker.of(SEND).map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(3);
  });

  test("answers whose messages were stored when others' were not", async () => {
    const messages = [{ id: "m1", queue: 0, state: "ready" }, { error: "unavailable" }];
    const broker = new FakeBroker().on(SEND, () => refused(503, "unavailable", { messages }));
    const mq = broker.client({ lingerMs: 5, retry: { attempts: 1 } });
    const one = mq.send("orders", { body: 1 });
    const other = mq.send("orders", { body: 2 });
    const failed = expect(other).rejects.toMatchObject({
      code: "unavailable",
      facts: { messages: [{ error: "unavailable" }] },
    });
    await broker.clock.advance(5);
    expect((await one).id).toBe("m1");
    await failed;
    expect(broker.of(SEND)).toHaveLength(1);
  });

  test("tells all of them what may have been done, or may be done later, and asks no more", async () => {
    for (const status of [429, 500]) {
      const broker = new FakeBroker().on(SEND, () => refused(status, "x", { retryable: true }));
      const mq = broker.client({ lingerMs: 5, retry: { attempts: 1 } });
      const sends = [mq.send("orders", { body: 1 }), mq.send("orders", { body: 2 })];
      const outcomes = Promise.allSettled(sends);
      await broker.clock.advance(5);
      expect((await outcomes).map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
      expect(broker.of(SEND)).toHaveLength(1);
    }
  });

  test("takes a linger of 0 to 5", () => {
    const broker = new FakeBroker();
    for (const lingerMs of [-1, 5.1, Number.NaN])
      expect(() => broker.client({ lingerMs })).toThrow(RangeError);
  });
});
