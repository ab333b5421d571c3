/** The watch over gaps: it asks the audit from time to time, tells each gap once, and holds up nothing. */
import { expect, test } from "vitest";
import { type Gap, GapWatch } from "../../src/client/gap-watch.ts";
import type { TopicAudit } from "../../src/client/topics.ts";
import { FakeClock, turns } from "./fake-clock.node.ts";

const WELL: TopicAudit = { faults: 0, queues: [], groups: [], producers: [] };
const queue = { queue: 1, firstOffset: 0, nextOffset: 9, delayed: 0, prepared: 0, checkedFrom: 0 };
const counts = {
  stored: 9,
  delivered: 7,
  acked: 7,
  deadLettered: 0,
  expired: 0,
  filtered: 0,
  open: 0,
};

const BAD: TopicAudit = {
  ...WELL,
  faults: 5,
  queues: [{ ...queue, holes: [{ offset: 3, count: 2 }] }],
  groups: [
    { group: "g", ...counts, unaccounted: 2 },
    { group: "another", ...counts, unaccounted: 1 },
  ],
};

function watched(audit: () => Promise<TopicAudit>) {
  const clock = new FakeClock();
  const gaps: Gap[] = [];
  const errors: unknown[] = [];
  const watch = new GapWatch({
    group: "g",
    clock,
    audit,
    onGap: (gap) => gaps.push(gap),
    auditMs: 1_000,
    onError: (error) => errors.push(error),
  });
  const pass = async (ms: number): Promise<void> => {
    clock.nowMs += ms;
    watch.saw();
    await turns();
  };
  return { watch, clock, gaps, errors, pass };
}

test("it asks when messages come and the time is over, not more often, and tells each gap once", async () => {
  let asked = 0;
  let answer = WELL;
  const { gaps, pass } = watched(() => {
    asked++;
    return Promise.resolve(answer);
  });
  await pass(0);
  await pass(999);
  expect(asked).toBe(0);
  await pass(1);
  await pass(1);
  expect([asked, gaps]).toEqual([1, []]);
  answer = BAD;
  await pass(1_000);
  await pass(1_000);
  expect(asked).toBe(3);
  expect(gaps).toEqual([
    { is: "hole", queue: 1, offset: 3, count: 2 },
    { is: "unaccounted", group: "g", count: 2 },
  ]);
});

test("an audit that cannot be had is told as an error, and asked again at its time", async () => {
  let asked = 0;
  const { gaps, errors, pass } = watched(() => {
    asked++;
    return asked === 1 ? Promise.reject(new Error("away")) : Promise.resolve(BAD);
  });
  await pass(0);
  await pass(1_000);
  expect([asked, errors.length, gaps.length]).toEqual([1, 1, 0]);
  await pass(1_000);
  expect([asked, errors.length, gaps.length]).toEqual([2, 1, 2]);
});

test("one audit is under way at a time", async () => {
  let asked = 0;
  const { pass } = watched(() => {
    asked++;
    return new Promise(() => {});
  });
  for (let round = 0; round < 4; round++) await pass(1_000);
  expect(asked).toBe(1);
});

test("it asks while nothing comes, too: a hole keeps what is behind it from coming", async () => {
  let asked = 0;
  const { watch, clock, gaps } = watched(() => {
    asked++;
    return Promise.resolve(BAD);
  });
  const end = watch.begin();
  await clock.advance(999);
  expect(asked).toBe(0);
  await clock.advance(1);
  expect([asked, gaps.length]).toEqual([1, 2]);
  await clock.advance(5_000);
  expect([asked, gaps.length]).toEqual([6, 2]);
  end();
  expect(clock.timers).toBe(0);
});
