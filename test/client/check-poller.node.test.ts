/** Polled checks: each is answered once, by "check", and whatever goes wrong is unknown. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Check, CheckFunction, CheckPollerOptions } from "../../src/client/index.ts";
import { FakeBroker, problem, silence } from "./fake-broker.node.ts";

const POLL = "POST /v1/producer-groups/shop/checks/receive";
const checkOf = (n: number) => ({
  transactionId: `t${n}`,
  attempt: n,
  messages: [{ id: `m${n}`, body: n }],
});

let broker: FakeBroker;
let errors: [unknown, string | undefined][];

beforeEach(() => {
  broker = new FakeBroker();
  errors = [];
  for (const n of [1, 2, 3]) {
    for (const verb of ["commit", "rollback", "unknown"]) {
      broker.script(`POST /v1/transactions/t${n}/${verb}`, { json: { state: "whatever" } });
    }
  }
});

/** Hands out the checks poll by poll, then nothing more. */
function hand(...polls: readonly (readonly number[] | Error | ReturnType<typeof problem>)[]): void {
  let next = 0;
  broker.on(POLL, () => {
    const poll = polls[next++];
    if (poll === undefined) return silence();
    if (poll instanceof Error) throw poll;
    return "length" in poll ? { json: { checks: poll.map(checkOf) } } : poll;
  });
}

const start = (check: CheckFunction, options: CheckPollerOptions = {}) =>
  broker.client().pollChecks("shop", check, {
    onError: (error: unknown, about?: Check) => errors.push([error, about?.transactionId]),
    ...options,
  });

const answers = (): string[] =>
  broker.requests
    .filter(({ path }) => path.startsWith("/v1/transactions/"))
    .map(({ path, json }) => `${path.split("/").slice(-2).join(" ")} ${json.by} ${json.attempt}`);

describe("a check", () => {
  test("is answered with the function's word, by check", async () => {
    hand([1, 2, 3]);
    const words = { t1: "commit", t2: "rollback", t3: undefined } as const;
    const poller = start(({ transactionId }) => words[transactionId as "t1"]);
    await broker.clock.advance(0);
    await poller.stop();
    expect(answers()).toEqual(["t1 commit check 1", "t2 rollback check 2", "t3 unknown check 3"]);
    expect(errors).toEqual([]);
  });

  test("is unknown when the function throws, now or later", async () => {
    hand([1, 2]);
    const boom = new Error("no database");
    const poller = start(({ transactionId }) => {
      if (transactionId === "t1") throw boom;
      return Promise.reject(boom);
    });
    await broker.clock.advance(0);
    await poller.stop();
    expect(answers()).toEqual(["t1 unknown check 1", "t2 unknown check 2"]);
    expect(errors).toEqual([
      [boom, "t1"],
      [boom, "t2"],
    ]);
  });

  test("is unknown when the function takes too long, and others do not wait for it", async () => {
    hand([1], [2]);
    const poller = start((check) => (check.attempt === 1 ? new Promise(() => {}) : "commit"), {
      timeoutMs: 5_000,
    });
    await broker.clock.advance(4_999);
    expect(answers()).toEqual(["t2 commit check 2"]);
    await broker.clock.advance(1);
    expect(answers()).toEqual(["t2 commit check 2", "t1 unknown check 1"]);
    await poller.stop();
  });

  test("that was decided meanwhile is reported, an unknown one passed over", async () => {
    hand([1, 2]);
    broker.script("POST /v1/transactions/t1/commit", problem(409, "transaction_rolled_back"));
    broker.script("POST /v1/transactions/t2/unknown", problem(409, "transaction_committed"));
    const poller = start(({ attempt }) => (attempt === 1 ? "commit" : "unknown"));
    await broker.clock.advance(0);
    await poller.stop();
    expect(errors).toEqual([[expect.objectContaining({ code: "transaction_rolled_back" }), "t1"]]);
  });
});

describe("the poller", () => {
  test("asks for no more than it may have in hand", async () => {
    hand([1, 2], [3]);
    const gates: (() => void)[] = [];
    const poller = start(() => new Promise((resolve) => gates.push(() => resolve("commit"))), {
      maxMessages: 3,
    });
    await broker.clock.advance(0);
    expect(broker.of(POLL).map((each) => each.json.maxMessages)).toEqual([3, 1]);
    gates[0]?.();
    await broker.clock.advance(0);
    expect(broker.of(POLL).map((each) => each.json.maxMessages)).toEqual([3, 1, 1]);
    for (const open of gates) open();
    await poller.stop();
  });

  test("outlives trouble, for longer than one call's retries", async () => {
    hand(...Array.from({ length: 20 }, () => problem(503, "unavailable")), [1]);
    const poller = start(() => "commit");
    await broker.clock.advance(120_000);
    await poller.stop();
    expect(answers()).toEqual(["t1 commit check 1"]);
    expect(errors.length).toBeGreaterThan(0);
  });

  test("ends when it is refused for good, and nobody needs to look", async () => {
    hand(problem(403, "forbidden"));
    const poller = start(() => "commit");
    await broker.clock.advance(0);
    expect(errors).toEqual([[expect.objectContaining({ code: "forbidden" }), undefined]]);
    await expect(poller.done).rejects.toMatchObject({ code: "forbidden" });
    await poller.stop();
    expect(broker.clock.timers).toBe(0);
  });

  test("does not ask in a circle when it is answered at once with nothing", async () => {
    broker.script(POLL, { json: { checks: [] } });
    const poller = start(() => "commit");
    await broker.clock.advance(1_000);
    expect(broker.of(POLL).length).toBeLessThanOrEqual(11);
    await poller.stop();
  });

  test("stops after the answers in hand, or at the deadline", async () => {
    hand([1]);
    let open: (() => void) | undefined;
    const slow = start(() => new Promise((resolve) => (open = () => resolve("commit"))));
    await broker.clock.advance(0);
    const stopped = slow.stop();
    await broker.clock.advance(0);
    open?.();
    await stopped;
    expect(answers()).toEqual(["t1 commit check 1"]);

    hand([2]);
    const stuck = start(() => new Promise(() => {}), { timeoutMs: 60_000 });
    await broker.clock.advance(0);
    const late = stuck.stop({ deadlineMs: 1_000 });
    await broker.clock.advance(1_000);
    await late;
  });
});
