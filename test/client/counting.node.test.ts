/** The counting producer: numbers per message group, one request at a time, and what stays open when no answer comes. */
import { expect, test } from "vitest";
import { FakeBroker, type Seen } from "./fake-broker.node.ts";

const ROUTE = "POST /v1/topics/t/messages";
const marks = ({ json }: Seen): string[] =>
  (json.messages as { producer: { epoch: number; sequence: number }; messageGroup?: string }[]).map(
    ({ producer, messageGroup = "" }) => `${messageGroup}${producer.epoch}.${producer.sequence}`,
  );
const ok = ({ json }: Seen) => ({
  json: {
    messages: (json.messages as unknown[]).map(() => ({ id: "m", queue: 0, state: "ready" })),
  },
});
const once = { retry: { attempts: 1 } };

test("each message group has numbers of its own", async () => {
  const broker = new FakeBroker().on(ROUTE, ok);
  const producer = broker.client().counting("t", { id: "p", epoch: 4 });
  await producer.send({ body: 1 });
  await producer.send([
    { body: 2 },
    { body: 3, messageGroup: "g" },
    { body: 4, messageGroup: "g" },
  ]);
  await producer.send({ body: 5, messageGroup: "g" });
  expect(broker.of(ROUTE).map(marks)).toEqual([["4.1"], ["4.2", "g4.1", "g4.2"], ["g4.3"]]);
  expect(broker.of(ROUTE)[0]?.json.messages[0].producer.id).toBe("p");
});

test("sends that are not awaited go out one after the other", async () => {
  let under = 0;
  let most = 0;
  const broker = new FakeBroker().on(ROUTE, async (request) => {
    most = Math.max(most, ++under);
    await Promise.resolve();
    under--;
    return ok(request);
  });
  const producer = broker.client().counting("t", { id: "p", epoch: 1 });
  await Promise.all([1, 2, 3].map((body) => producer.send({ body })));
  expect(most).toBe(1);
  expect(broker.of(ROUTE).map(marks)).toEqual([["1.1"], ["1.2"], ["1.3"]]);
});

test("a refused request gives its numbers back", async () => {
  const full = { status: 429, json: { code: "backlog_full", detail: "full", retryable: true } };
  const broker = new FakeBroker().script(ROUTE, full);
  const producer = broker.client(once).counting("t", { id: "p", epoch: 1 });
  await expect(producer.send({ body: 1 })).rejects.toMatchObject({ code: "backlog_full" });
  expect(producer.unsettled).toBe(false);
  broker.on(ROUTE, ok);
  await producer.send({ body: 2 });
  expect(broker.of(ROUTE).map(marks)).toEqual([["1.1"], ["1.1"]]);
});

test.each([
  [403, "forbidden"],
  [429, "rate_limited"],
])("a refusal (%i) after a lost answer does not give the numbers back", async (status, code) => {
  const refused = { status, json: { code, detail: "", retryable: status === 429 } };
  const lost = new Error("broken line");
  for (const retry of [{ attempts: 2 }, { attempts: 1 }]) {
    const broker = new FakeBroker().script(ROUTE, lost, refused);
    const producer = broker.client({ retry }).counting("t", { id: "p", epoch: 1 });
    // With one attempt a call, the second call is the one that is refused.
    for (let calls = retry.attempts; calls <= 2; calls++) {
      const call = calls === retry.attempts ? producer.send({ body: 1 }) : producer.settle();
      const failed = expect(call).rejects.toThrow();
      await broker.clock.advance(10_000);
      await failed;
    }
    expect(producer.unsettled).toBe(true);
    broker.on(ROUTE, ok);
    await producer.send({ body: 2 });
    expect(broker.of(ROUTE).map(marks)).toEqual([["1.1"], ["1.1"], ["1.1"], ["1.2"]]);
  }
});

test.each([
  ["no answer", new Error("broken line")],
  [
    "half of it",
    { status: 503, json: { code: "unavailable", detail: "half", retryable: true, messages: [] } },
  ],
])("after %s the same request with the same key goes before the next", async (_what, reply) => {
  const broker = new FakeBroker().script(ROUTE, reply);
  const producer = broker.client(once).counting("t", { id: "p", epoch: 1 });
  await expect(producer.send({ body: 1 })).rejects.toThrow();
  expect(producer.unsettled).toBe(true);
  await expect(producer.settle()).rejects.toThrow();
  broker.on(ROUTE, ok);
  await producer.send({ body: 2 });
  const requests = broker.of(ROUTE);
  expect(requests.map(marks)).toEqual([["1.1"], ["1.1"], ["1.1"], ["1.2"]]);
  const keys = requests.map(({ headers }) => headers["idempotency-key"]);
  expect(new Set(keys.slice(0, 3)).size).toBe(1);
  expect(keys[3]).not.toBe(keys[0]);
  expect(producer.unsettled).toBe(false);
});
