/** The RocketMQ form: what a TransactionListener says, and what the broker is told (rows 39 and 40 of the reference). */
import { beforeEach, describe, expect, test } from "vitest";
import type { TransactionListener } from "../../src/client/index.ts";
import { FakeBroker, problem, silence } from "./fake-broker.node.ts";

const PREPARED = {
  status: 201,
  json: {
    transactionId: "t1",
    state: "prepared",
    producerGroup: "shop",
    check: {},
    nextCheckAt: 1,
    messages: [{ id: "m1" }],
  },
};
const CHECKS = "POST /v1/producer-groups/shop/checks/receive";

let broker: FakeBroker;

beforeEach(() => {
  broker = new FakeBroker()
    .script("POST /v1/topics/orders/transactions", PREPARED)
    .script("POST /v1/transactions/t1/commit", { json: { state: "committed" } })
    .script("POST /v1/transactions/t1/rollback", { json: { state: "rolledBack" } })
    .script("POST /v1/transactions/t1/unknown", { json: { state: "prepared" } });
});

const producer = (listener: Partial<TransactionListener<{ n: number }>>) =>
  broker.client().producer<{ n: number }>({
    group: "shop",
    listener: {
      executeLocalTransaction: () => "unknown",
      checkLocalTransaction: () => "unknown",
      ...listener,
    },
  });

const decisions = (): string[] =>
  broker.requests
    .filter(({ path }) => path.startsWith("/v1/transactions/"))
    .map(({ path, json }) => `${path.split("/").at(-1)} by ${json.by ?? "producer"}`);

describe("executeLocalTransaction", () => {
  test.for(["commit", "rollback"] as const)("saying %s decides", async (word) => {
    const sent = await producer({ executeLocalTransaction: () => word }).sendMessageInTransaction(
      "orders",
      { body: { n: 1 } },
    );
    expect(sent).toEqual({ transactionId: "t1", messageId: "m1", localState: word });
    expect(decisions()).toEqual([`${word} by producer`]);
  });

  test("is given the message and its transaction", async () => {
    const seen: unknown[] = [];
    await producer({
      executeLocalTransaction: (message, tx) => {
        seen.push(message, tx.id);
      },
    }).sendMessageInTransaction("orders", { body: { n: 1 } });
    expect(seen).toEqual([{ body: { n: 1 } }, "t1"]);
  });

  test("saying nothing, or no known word, leaves the message half", async () => {
    for (const word of [undefined, "unknown", "COMMIT" as "commit"] as const) {
      const sending = producer({ executeLocalTransaction: () => word });
      const sent = await sending.sendMessageInTransaction("orders", { body: { n: 1 } });
      expect(sent.localState).toBe("unknown");
    }
    expect(decisions()).toEqual([]);
  });

  test("throwing leaves the message half, and tells the sender why", async () => {
    const localError = new Error("boom");
    const sending = producer({ executeLocalTransaction: () => Promise.reject(localError) });
    const sent = await sending.sendMessageInTransaction("orders", { body: { n: 1 } });
    expect(sent).toMatchObject({ localState: "unknown", localError });
    expect(decisions()).toEqual([]);
  });

  test("is not run when the prepare fails", async () => {
    broker.script("POST /v1/topics/orders/transactions", problem(403, "forbidden"));
    let ran = false;
    const sending = producer({
      executeLocalTransaction: () => {
        ran = true;
        return "commit";
      },
    });
    const sent = sending.sendMessageInTransaction("orders", { body: { n: 1 } });
    await expect(sent).rejects.toMatchObject({ code: "forbidden" });
    expect(ran).toBe(false);
  });

  test("whose decision is not heard leaves it to the check-back", async () => {
    broker.script("POST /v1/transactions/t1/commit", problem(503, "unavailable"));
    const sending = producer({ executeLocalTransaction: () => "commit" });
    const sent = sending.sendMessageInTransaction("orders", { body: { n: 1 } });
    await broker.clock.advance(60_000);
    expect(await sent).toMatchObject({ localState: "commit", undecided: { code: "unavailable" } });
  });

  test("whose decision came too late is told so", async () => {
    broker.script("POST /v1/transactions/t1/commit", problem(409, "transaction_rolled_back"));
    const sending = producer({ executeLocalTransaction: () => "commit" });
    const sent = sending.sendMessageInTransaction("orders", { body: { n: 1 } });
    await expect(sent).rejects.toMatchObject({ code: "transaction_rolled_back" });
  });
});

test("checkLocalTransaction answers the polled checks after start, until stop", async () => {
  const check = { transactionId: "t1", attempt: 1, messages: [{ id: "m1", body: { n: 1 } }] };
  let polls = 0;
  broker.on(CHECKS, () => (polls++ === 0 ? { json: { checks: [check] } } : silence()));
  const asked: unknown[] = [];
  const sending = producer({
    checkLocalTransaction: (message, { transactionId }) => {
      asked.push(message.body, transactionId);
      return "rollback";
    },
  });
  expect(sending.start()).toBe(sending.start());
  await broker.clock.advance(0);
  await sending.stop();
  expect(asked).toEqual([{ n: 1 }, "t1"]);
  expect(decisions()).toEqual(["rollback by check"]);
  expect(broker.clock.timers).toBe(0);
});
