/**
 * [J1] [J2] What a queue knows is what its disk says: after each of many commands, chosen at random, a queue that wakes
 * from the disk as it is knows the same as the one that did them. [Q1] And its alarm is never later than the earliest thing due.
 */
import { expect, it } from "vitest";
import { QueueStore } from "../../src/queue/store.ts";
import { asleep, earliestDue, knowledge, RandomRun } from "./random-run.node.ts";

async function play(seed: number, steps: number, lookEvery: number): Promise<void> {
  const run = new RandomRun(seed);
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

it("knows the same after waking, when the ring has come round", async () => {
  await play(100, 2_500, 97);
});
