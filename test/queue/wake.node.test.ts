/**
 * [J1] [J2] What a queue knows is what its disk says: after each of many commands, chosen at random, a queue that wakes
 * from the disk as it is knows the same as the one that did them. [Q1] And its alarm is never later than the earliest thing due.
 */
import { expect, it } from "vitest";
import { QueueStore } from "../../src/queue/store.ts";
import { SMALL } from "./cold.node.ts";
import { asleep, earliestDue, knowledge, RandomRun } from "./random-run.node.ts";

/** Old segments go to the bucket all the time. */
const COLD = { ...SMALL, coldAfterMs: 300, blockBytes: 150, fetchedBytesMax: 600 };

function cold(run: RandomRun): RandomRun {
  run.bench.storedBytes = 600;
  return run;
}

async function play(
  seed: number,
  steps: number,
  lookEvery: number,
  run = new RandomRun(seed),
): Promise<void> {
  await run.configure();
  for (let n = 0; n < steps; n++) {
    await run.step();
    expect(run.bench.aborted).toBeUndefined();
    if (n % lookEvery > 0) continue;
    const nowMs = run.bench.clock.nowMs();
    const armedAt = run.bench.alarmAt ?? Infinity;
    expect(armedAt, `[Q1] seed ${seed}, step ${n}`).toBeLessThanOrEqual(
      Math.max(nowMs, earliestDue(run.store)),
    );
    const woken = knowledge(new QueueStore(run.bench.sql, asleep), nowMs);
    expect(woken, `seed ${seed}, step ${n}`).toEqual(knowledge(run.store, nowMs));
    // At times it goes on as what woke.
    if (run.pick(20) > 0) continue;
    run.bench.wake();
    // Its first look at what is due.
    await run.bench.clock.advance(0);
  }
}

it.each([1, 2, 3, 4, 5])("knows the same after waking, at any moment (seed %i)", async (seed) => {
  await play(seed, 150, 1);
});

it.each([6, 7, 8])("knows the same after waking, with cold segments (seed %i)", async (seed) => {
  const run = cold(new RandomRun(seed, COLD));
  await play(seed, 150, 1, run);
  expect(run.bench.bucket.calls.put).toBeGreaterThan(3);
});

it.each([11, 12, 13, 15, 16])(
  "gives everybody the same with cold segments as without (seed %i)",
  async (seed) => {
    // Retention would look at other instants.
    const settings = { retentionMs: 1e9 };
    const runs = [new RandomRun(seed, {}, settings), cold(new RandomRun(seed, COLD, settings))];
    for (const run of runs) {
      run.isOneByOne = true;
      await run.configure();
      for (let n = 0; n < 400; n++) {
        await run.step();
        if (n % 97 === 0) run.bench.wake();
        // Its first look at what is due.
        if (n % 97 === 0) await run.bench.clock.advance(0);
      }
    }
    const [plain, other] = runs;
    expect(other?.got).toEqual(plain?.got);
    expect(other?.got.length).toBeGreaterThan(50);
    const [known, same] = runs.map((run) => knowledge(run.store, run.bench.clock.nowMs()));
    expect(same).toEqual(known);
    expect(other?.bench.bucket.calls.get).toBeGreaterThan(3);
    const referred = other?.bench.sql.exec("SELECT key FROM large_body WHERE state IN (0, 5, 6)");
    expect(other?.bench.bucket.objects.size).toBeLessThanOrEqual(referred?.length ?? 0);
  },
);

it("knows the same after waking, when the ring has come round", async () => {
  await play(100, 2_500, 97);
});
