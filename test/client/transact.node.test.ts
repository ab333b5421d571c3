/** The function form of a transaction: every way in which local work can end, and what the broker is told of it. */
import { beforeEach, describe, expect, test } from "vitest";
import { type HalfmqError, RollbackError, type Transaction } from "../../src/client/index.ts";
import { FakeBroker, problem } from "./fake-broker.node.ts";

const PREPARE = "POST /v1/topics/orders/transactions";
const COMMIT = "POST /v1/transactions/t1/commit";
const ROLLBACK = "POST /v1/transactions/t1/rollback";
const UNKNOWN = "POST /v1/transactions/t1/unknown";
const PREPARED = {
  status: 201,
  json: {
    transactionId: "t1",
    state: "prepared",
    producerGroup: "shop",
    check: { timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 },
    nextCheckAt: 6_000,
    messages: [{ id: "m1" }],
  },
};
const decided = (state: string) => ({ json: { transactionId: "t1", state, repeated: false } });
const OPTIONS = { producerGroup: "shop" };
const MESSAGE = { body: { order: 7 }, tag: "sold" };

let broker: FakeBroker;

beforeEach(() => {
  broker = new FakeBroker()
    .script(PREPARE, PREPARED)
    .script(COMMIT, decided("committed"))
    .script(ROLLBACK, decided("rolledBack"))
    .script(UNKNOWN, decided("prepared"));
});

const transact = <R>(work: (tx: Transaction) => R | Promise<R>, more: object = {}): Promise<R> =>
  broker.client().transact("orders", MESSAGE, work, { ...OPTIONS, ...more });

/** Which decisions the broker heard, in order. */
const heard = (): string[] =>
  broker.requests.slice(1).map(({ path }) => path.split("/").at(-1) ?? "");

describe("a prepare", () => {
  test("carries the messages, the producer group and the check policy", async () => {
    const check = { timeoutMs: 1_000 };
    const tx = await broker.client().transaction("orders", { ...OPTIONS, message: MESSAGE, check });
    expect(broker.requests[0]?.json).toEqual({ producerGroup: "shop", check, messages: [MESSAGE] });
    expect(tx).toMatchObject({
      id: "t1",
      topic: "orders",
      state: "prepared",
      messages: [{ id: "m1" }],
    });
  });

  test("may hold several messages, for several topics", async () => {
    const messages = [MESSAGE, { ...MESSAGE, topic: "invoices" }];
    await broker.client().transact("orders", messages, () => {}, OPTIONS);
    expect(broker.requests[0]?.json.messages).toEqual(messages);
  });

  test("is repeated with its own key, and the decision with another", async () => {
    broker.script(PREPARE, problem(503, "unavailable"), PREPARED);
    broker.script(COMMIT, new Error("broken"), decided("committed"));
    const done = transact(() => {});
    await broker.clock.advance(1_000);
    await done;
    const keys = broker.requests.map((each) => each.headers["idempotency-key"]);
    expect(keys).toEqual([keys[0], keys[0], keys[2], keys[2]]);
    expect(keys[0]).not.toBe(keys[2]);
  });

  test("that fails runs no work", async () => {
    broker.script(PREPARE, problem(403, "forbidden"));
    let ran = false;
    await expect(transact(() => (ran = true))).rejects.toMatchObject({ code: "forbidden" });
    expect(ran).toBe(false);
  });
});

describe("work that returns", () => {
  test("is committed, and its result is the result", async () => {
    expect(await transact((tx) => Promise.resolve(`order of ${tx.id}`))).toBe("order of t1");
    expect(heard()).toEqual(["commit"]);
  });

  test.for([
    ["commit", "committed"],
    ["rollback", "rolledBack"],
    ["unknown", "prepared"],
  ] as const)("after tx.%s() of its own is not decided again", async ([verb, state]) => {
    let tx: Transaction | undefined;
    const result = await transact(async (transaction) => {
      tx = transaction;
      await transaction[verb]();
      return "done";
    });
    expect(result).toBe("done");
    expect(heard()).toEqual([verb]);
    expect(tx?.state).toBe(state);
  });

  test("is waited for when it did not wait for its own decision", async () => {
    await transact((tx) => {
      void tx.rollback();
    });
    expect(heard()).toEqual(["rollback"]);
  });

  test("is never committed after a rollback that failed", async () => {
    broker.script(ROLLBACK, problem(503, "unavailable"));
    const undecided: string[] = [];
    const done = transact(rollBackInVain, {
      onUndecided: (error: HalfmqError) => undecided.push(error.code),
    });
    await broker.clock.advance(60_000);
    expect(await done).toBe("done");
    expect(new Set(heard())).toEqual(new Set(["rollback"]));
    expect(undecided).toEqual(["unavailable"]);
  });
});

describe("work that throws", () => {
  const boom = new Error("the connection broke after the commit");

  test("leaves the decision to the check-back, since it proves nothing", async () => {
    await expect(transact(() => Promise.reject(boom))).rejects.toBe(boom);
    expect(heard()).toEqual([]);
  });

  test("a RollbackError rolls back, and throws it on", async () => {
    const sorry = new RollbackError("no stock");
    await expect(transact(() => Promise.reject(sorry))).rejects.toBe(sorry);
    expect(heard()).toEqual(["rollback"]);
  });

  test("rolls back when onThrow says so", async () => {
    await expect(transact(() => Promise.reject(boom), { onThrow: "rollback" })).rejects.toBe(boom);
    expect(heard()).toEqual(["rollback"]);
  });

  test("after tx.rollback() is rolled back once", async () => {
    const work = async (tx: Transaction): Promise<void> => {
      await tx.rollback();
      throw boom;
    };
    await expect(transact(work)).rejects.toBe(boom);
    expect(heard()).toEqual(["rollback"]);
  });

  test("synchronously is like any other", async () => {
    const work = (): void => {
      throw boom;
    };
    await expect(transact(work)).rejects.toBe(boom);
    expect(heard()).toEqual([]);
  });

  test("still throws its own error when the broker cannot hear the rollback", async () => {
    broker.script(ROLLBACK, new Error("broken"));
    const sorry = new RollbackError("no stock");
    const done = transact(() => Promise.reject(sorry)).catch((error: unknown) => error);
    await broker.clock.advance(60_000);
    expect(await done).toBe(sorry);
  });

  test("names the conflict when a check had committed, with the work's error as its cause", async () => {
    broker.script(ROLLBACK, problem(409, "transaction_committed", { state: "committed" }));
    const sorry = new RollbackError("no stock");
    await expect(transact(() => Promise.reject(sorry))).rejects.toMatchObject({
      code: "transaction_committed",
      facts: { state: "committed" },
      cause: sorry,
    });
  });
});

describe("a commit that the broker does not take", () => {
  test("for a passing reason leaves the result standing and says so", async () => {
    broker.script(COMMIT, problem(503, "unavailable"));
    const undecided: [string, string][] = [];
    const done = transact(() => "sold", {
      onUndecided: (error: HalfmqError, tx: Transaction) => undecided.push([error.code, tx.id]),
    });
    await broker.clock.advance(60_000);
    expect(await done).toBe("sold");
    expect(undecided).toEqual([["unavailable", "t1"]]);
  });

  test.for(["transaction_rolled_back", "transaction_discarded", "forbidden"])(
    "for good is thrown: %s",
    async (code) => {
      broker.script(COMMIT, problem(code === "forbidden" ? 403 : 409, code));
      await expect(transact(() => "sold")).rejects.toMatchObject({ code });
    },
  );
});

test("decisions by id say who decides", async () => {
  const { transactions } = broker.client();
  await transactions.commit("t1", { by: "operator" });
  await transactions.unknown("t1", { by: "check", attempt: 2 });
  expect(broker.requests.map((each) => each.json)).toEqual([
    { by: "operator" },
    { by: "check", attempt: 2 },
  ]);
});

async function rollBackInVain(tx: Transaction): Promise<string> {
  await tx.rollback().catch(() => {});
  return "done";
}
