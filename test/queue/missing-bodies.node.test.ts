/** A large body that its bucket has not: for how long that is not believed, and when that begins anew. */
import { expect, it } from "vitest";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const MINUTE_MS = 60_000;

const verbs = (bench: Bench): QueueVerbs => new QueueVerbs(bench.queue);

async function started(): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g")]), 0));
  const ref = await bench.lodge(stamp);
  const sent = { stamp, records: records({ body: { isJson: false, ref } }) };
  await bench.run(verbs(bench).send(sent));
  return bench;
}

async function lease(bench: Bench): Promise<readonly string[]> {
  const ask = { maxMessages: 16, invisibleMs: 30_000, waitMs: 0, bytesMax: 1e6 };
  const { receipts } = await bench.run(verbs(bench).receive({ stamp, group: "g", ...ask }));
  expect(receipts).toHaveLength(1);
  return receipts;
}

const settle = (bench: Bench, receipts: readonly string[], how: object) =>
  bench.run(verbs(bench).settle({ stamp, group: "g", verb: "nack", receipts, ...how }));

/** Whoever hands it out says that it has no body. */
const missing = async (bench: Bench): Promise<unknown> =>
  settle(bench, await lease(bench), {
    retry: false,
    reason: "body_missing",
    missing: true,
    delayMs: 2_000,
  });

const deadLetters = async (bench: Bench): Promise<number> =>
  (await bench.run(verbs(bench).stats(stamp))).groups[0]?.deadLetters ?? -1;

it.each([false, true])(
  "it has five minutes, and five more when it was back in between (woken: %s)",
  async (wakes) => {
    const bench = await started();
    const rest = async (minutes: number): Promise<void> => {
      if (wakes) bench.wake();
      await bench.pass(minutes * MINUTE_MS);
    };
    await missing(bench);
    await rest(4);
    // It was back: the consumer had it, and failed at it.
    await settle(bench, await lease(bench), {});
    await rest(2);
    await missing(bench);
    expect(await deadLetters(bench)).toBe(0);
    await rest(4);
    await missing(bench);
    expect(await deadLetters(bench)).toBe(0);
    await rest(2);
    await missing(bench);
    expect(await deadLetters(bench)).toBe(1);
  },
);

/** How many statements look for what is missing. */
async function looksIn(bench: Bench, work: () => Promise<unknown>): Promise<number> {
  let looks = 0;
  bench.sql.onStatement = (query) => {
    if (query.startsWith("SELECT") && query.includes("missing_since <> 0")) looks++;
  };
  await work();
  bench.sql.onStatement = () => {};
  return looks;
}

it("once it is back, an ack looks for it no more", async () => {
  const bench = await started();
  const again = async (): Promise<unknown> => {
    await bench.pass(5 * MINUTE_MS);
    return settle(bench, await lease(bench), {});
  };
  await missing(bench);
  expect(await looksIn(bench, again)).toBe(1);
  // Whether it was the only one is asked once.
  expect(await looksIn(bench, again)).toBe(1);
  expect(await looksIn(bench, again)).toBe(0);
});

it("and while another is missing, it is looked for", async () => {
  const bench = await started();
  const ref = await bench.lodge(stamp);
  await missing(bench);
  const sent = { stamp, records: records({ body: { isJson: false, ref } }) };
  await bench.run(verbs(bench).send(sent));
  await bench.run(
    verbs(bench).settle({
      stamp,
      group: "g",
      verb: "ack",
      receipts: await lease(bench),
    }),
  );
  await bench.pass(4 * MINUTE_MS);
  await settle(bench, await lease(bench), {});
  await bench.pass(2 * MINUTE_MS);
  await missing(bench);
  await bench.pass(4 * MINUTE_MS);
  await missing(bench);
  expect(await deadLetters(bench)).toBe(0);
});
