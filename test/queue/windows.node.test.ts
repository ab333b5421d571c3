/** The queue's long windows, with a clock of its own: what no test over HTTP could wait for. */
import { expect, test } from "vitest";
import { sentBy } from "../../src/core/message.ts";
import { receive } from "../../src/queue/consuming.ts";
import { stats } from "../../src/queue/reading/stats.ts";
import { message } from "../../src/queue/reading/finding.ts";
import { decide, prepare } from "../../src/queue/deciding.ts";
import { view } from "../../src/queue/halves/transaction-view.ts";
import { send } from "../../src/queue/sending.ts";
import type { Content } from "../../src/core/record.ts";
import { accept } from "../../src/protocol/errors.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const keyed = { key: new Uint8Array(16).fill(7), body: new Uint8Array(8).fill(1) };

async function started(retentionMs: number): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g")], { retentionMs }), 0));
  return bench;
}

const sendOne = (bench: Bench, withKey = false) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(
        bench.queue.store,
        { stamp, records: records({}), ...(withKey ? { keyed } : {}) },
        nowMs,
      ),
    ),
  );

const prepareOne = (bench: Bench, content: Partial<Content> = {}) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      prepare(
        bench.queue.store,
        {
          stamp,
          producerGroup: "p",
          check: { timeoutMs: DAY_MS, intervalMs: DAY_MS, maxChecks: 100 },
          records: records(content),
          targets: [{ topic: "orders", incarnation: 7, queue: 0 }],
        },
        nowMs,
      ),
    ),
  );

const poke = (bench: Bench) => bench.run(bench.queue.run(() => accept(undefined)));

test("retention by age expires what nobody read, counts it and says so, but never what is leased", async () => {
  const bench = await started(MINUTE_MS);
  const first = await sendOne(bench);
  const found = bench.queue.store.groups.get("g");
  if (found === undefined) throw new Error("no group");
  const call = { stamp, group: "g", maxMessages: 1, waitMs: 0, bytesMax: 1e6 };
  await bench.run(
    bench.queue.run((nowMs) =>
      accept(receive(bench.queue.store, found, { ...call, invisibleMs: 10 * MINUTE_MS }, nowMs)),
    ),
  );
  await bench.pass(MINUTE_MS + 20_000);
  expect(bench.queue.store.messages.first).toBe(0);
  await bench.pass(10 * MINUTE_MS);
  const lease = await bench.run(
    bench.queue.run((nowMs) =>
      accept(receive(bench.queue.store, found, { ...call, invisibleMs: 1_000 }, nowMs)),
    ),
  );
  if (lease.is !== "delivered") throw new Error("not delivered again");
  await bench.run(bench.queue.run(() => accept(found.ack(lease.delivered.offsets))));
  await sendOne(bench);
  await bench.pass(2 * MINUTE_MS);
  expect(bench.queue.store.messages.first).toBe(2);
  expect(bench.logged.map(({ event }) => event)).toContain("messages.expired");
  const now = await bench.run(bench.queue.run((nowMs) => accept(stats(bench.queue.store, nowMs))));
  expect(now.groups[0]).toMatchObject({ lag: 0, expired: 1 });
  bench.wake();
  expect(await sendOne(bench)).toMatchObject({ stored: { first: 2, count: 1 } });
  const gone = await bench.run(
    bench.queue.run((nowMs) =>
      message(
        bench.queue.store,
        { stamp: route(), id: sentBy(7, 0, first).messages[0]?.id ?? "" },
        nowMs,
      ),
    ),
  );
  expect(gone.state).toBe("expired");
});

test("retention keeps up with a queue that writes many segments", async () => {
  const bench = await started(MINUTE_MS);
  for (let segment = 0; segment < 600; segment++) await sendOne(bench);
  await bench.pass(MINUTE_MS + 10_000);
  expect(bench.queue.store.messages.first).toBe(600);
});

test("row 25: retention never touches a half message", async () => {
  const bench = await started(MINUTE_MS);
  await prepareOne(bench);
  await sendOne(bench);
  await bench.pass(5 * MINUTE_MS);
  bench.wake();
  await poke(bench);
  expect(view(bench.queue.store, 0)).toMatchObject({ state: "prepared", checks: 0 });
});

test("an idempotency key is known for ten minutes and more, though retention took its row and memory was lost", async () => {
  const bench = await started(MINUTE_MS);
  const first = await sendOne(bench, true);
  await bench.pass(5 * MINUTE_MS);
  expect(bench.queue.store.messages.first).toBe(1);
  bench.wake();
  await bench.pass(5 * MINUTE_MS);
  expect(await sendOne(bench, true)).toEqual({ stored: first.stored, replayed: true });
  await bench.pass(6 * MINUTE_MS);
  expect((await sendOne(bench, true)).replayed).toBe(false);
});

test("a decision is remembered for three days at least, then forgotten with its page", async () => {
  const bench = await started(MINUTE_MS);
  for (let position = 0; position < 1_024; position++) {
    await prepareOne(bench);
    await bench.run(
      bench.queue.run((nowMs) =>
        decide(bench.queue.store, { stamp, position, decision: "rollback", by: "producer" }, nowMs),
      ),
    );
  }
  bench.wake();
  await bench.pass(3 * DAY_MS - MINUTE_MS);
  await poke(bench);
  expect(view(bench.queue.store, 5)).toMatchObject({ state: "rolledBack" });
  await bench.pass(2 * MINUTE_MS);
  await poke(bench);
  expect(view(bench.queue.store, 5)).toBeUndefined();
  bench.wake();
  expect((await prepareOne(bench)).transactionId).toBe("tx_7_0_sg");
});

test("a dedup id that a rollback freed and another message took stays taken over a restart", async () => {
  const bench = await started(DAY_MS);
  const content = { dedupId: "d" };
  const sendIt = () =>
    bench.run(
      bench.queue.stamped(stamp, (nowMs) =>
        send(bench.queue.store, { stamp, records: records(content) }, nowMs),
      ),
    );
  await prepareOne(bench, content);
  await bench.run(bench.queue.decide({ stamp, position: 0, decision: "rollback", by: "producer" }));
  const [taken] = sentBy(7, 0, await sendIt()).messages;
  expect(taken).toMatchObject({ state: "ready" });
  bench.wake();
  const [again] = sentBy(7, 0, await sendIt()).messages;
  expect(again).toMatchObject({ state: "duplicate", id: taken?.id });
});
