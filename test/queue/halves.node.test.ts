/** Waking with many open transactions: they come back as they were, and no body is read for it. */
import { expect, it } from "vitest";
import { accept } from "../../src/protocol/errors.ts";
import { beginChecks } from "../../src/queue/checking.ts";
import { prepare } from "../../src/queue/deciding.ts";
import { Bench, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };

it("opens what is undecided from the segments' summaries alone", async () => {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route(), 0));
  for (let n = 0; n < 3_000; n++) {
    const prepared = bench.queue.stamped(stamp, (nowMs) =>
      prepare(
        bench.queue.store,
        {
          stamp,
          producerGroup: n % 100 === 0 ? `p${n}` : "p",
          check: { timeoutMs: 6_000, intervalMs: 30_000 + (n % 2), maxChecks: 15 },
          records: records({}),
          targets: [{ topic: "orders", incarnation: 7, queue: 0 }],
        },
        nowMs,
      ),
    );
    if (n % 7 === 0) await bench.run(prepared);
  }
  await bench.clock.advance(6_000);
  await bench.run(
    bench.queue.run((nowMs) =>
      accept(
        beginChecks(bench.queue.store, [{ position: 5, attempt: 1, openUntil: 0 }], true, nowMs),
      ),
    ),
  );
  for (const [position, decision] of [
    [0, "commit"],
    [9, "rollback"],
    [2_000, "commit"],
  ] as const)
    await bench.run(bench.queue.decide({ stamp, position, decision, by: "producer" }));
  const before = new Map(
    Array.from(bench.queue.store.halves.open, (open) => [open.position, open]),
  );
  const bodies: string[] = [];
  bench.sql.onStatement = (statement) => {
    if (/SELECT .*\bbody\b.* FROM half_log/.test(statement)) bodies.push(statement);
  };
  bench.wake();
  expect(bodies).toEqual([]);
  const after = bench.queue.store.halves.open;
  expect(after.size).toBe(2_997);
  for (const [position, open] of before)
    expect(after.get(position)).toEqual({ ...open, offeredUntil: 0 });
});
