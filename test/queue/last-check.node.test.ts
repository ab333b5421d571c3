/** Why a check led to nothing, as people see it on the transaction: until it is decided, and when it was discarded. */
import { expect, it } from "vitest";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Bench, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const check = { timeoutMs: 1_000, intervalMs: 1_000, maxChecks: 2 };

it("shows how the last check failed, with its status, over wakes, and beside the discard", async () => {
  const bench = new Bench();
  const verbs = (): QueueVerbs => new QueueVerbs(bench.queue);
  await bench.run(bench.queue.configure(route(), 0));
  const call = {
    stamp,
    producerGroup: "p",
    check,
    records: records({}),
    targets: [{ topic: "orders", incarnation: 7, queue: 0 }],
  };
  await bench.run(verbs().prepare(call));
  await bench.run(verbs().prepare(call));
  const seen = () => bench.run(verbs().transaction(stamp, 0));
  const failing = async () => (await bench.run(verbs().stats(stamp))).failingChecks;
  expect(await seen()).not.toHaveProperty("lastCheck");
  const ask = async (attempt: number, why?: { failure: string; status?: number }) => {
    await bench.clock.advance(1_000);
    const openUntil = bench.clock.nowMs() + 500;
    const offers = [{ position: 0, attempt, openUntil }];
    expect(await bench.run(verbs().beginChecks(7, offers, false))).toHaveLength(1);
    await bench.run(verbs().endCheck(7, 0, attempt, "unknown", why));
    return bench.clock.nowMs();
  };
  const first = await ask(1, { failure: "status", status: 503 });
  const lastCheck = { at: first, outcome: "status", status: 503 };
  expect(await seen()).toMatchObject({ state: "prepared", checks: 1, lastCheck });
  expect(await failing()).toBe(1);
  bench.wake();
  expect(await seen()).toMatchObject({ lastCheck });
  // Beginning the next one does not take it away; an honest unknown is no failure.
  await bench.run(bench.queue.decide({ stamp, position: 0, decision: "unknown", by: "producer" }));
  expect(await seen()).toMatchObject({ lastCheck });
  const second = await ask(2);
  expect(await seen()).toMatchObject({ lastCheck: { at: second, outcome: "unknown" } });
  expect(await failing()).toBe(0);
  await bench.pass(5_000);
  expect(await seen()).toMatchObject({ state: "discarded", lastCheck: { at: second } });
  bench.wake();
  expect(await seen()).toMatchObject({ state: "discarded", lastCheck: { at: second } });
});
