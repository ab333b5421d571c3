/** What the end of a run makes of uploads: each is waited for, and only a clock that leapt over one excuses what it left. */
import { expect, test } from "vitest";
import { EventClock } from "../kit/event-clock.node.ts";
import { answeredFor, emptyBin } from "./bin.ts";
import { checkBodies } from "./checker/bodies.ts";
import type { History, Uploaded } from "./history.ts";
import { CALM } from "./plan.ts";
import { Deployment } from "./world/deployment.ts";
import { Dice } from "./world/dice.ts";
import { Host } from "./world/host.ts";
import { NAMESPACE } from "./world/wakes.ts";

const HOUR_MS = 3_600_000;

test("the end waits for an upload that never came", async () => {
  const clock = new EventClock();
  const errors: unknown[] = [];
  const faults = { ...CALM, lostCalls: Number.MIN_VALUE };
  const host = new Host(clock, new Dice(1), faults, (error) => void errors.push(error));
  // Its every call gets lost, and nobody else's.
  const bucketDice = Object.assign(new Dice(1), { roll: () => 0 });
  const deployment = new Deployment(host, new Dice(2), {
    ringDeltas: 8,
    inlineBytesMax: 10,
    coldAfterMs: Infinity,
    blockBytes: 400,
    hasSchedules: false,
    sharesCalls: false,
    callDice: new Dice(1),
    bucketDice,
    post: () => Promise.resolve({ status: 500, bodyText: "" }),
    push: () => Promise.resolve({ status: 500, bodyText: "" }),
    onBegun: () => undefined,
    onCommitted: () => undefined,
  });
  const at = { namespace: NAMESPACE, topic: "t" };
  const message = { body: { bytes: new Uint8Array(20) }, properties: {} };
  const played = (async () => {
    await deployment.request((broker) => broker.putTopic(at, {}));
    const sent = await deployment.request((broker) => broker.send(at, { messages: [message] }));
    expect(sent).toMatchObject({ ok: false, code: "body_unavailable" });
    expect(deployment.bucket.objects).toEqual([]);
    expect(answeredFor({ host })).toMatchObject([{ state: 0 }]);
    host.faults = CALM;
    await emptyBin({ deployment, host });
    expect(answeredFor({ host })).toEqual([]);
  })();
  await clock.runUntil(played);
  await played;
  host.close();
  expect(errors).toEqual([]);
});

/** What the checker says of one object that no queue answers for. */
function brokenBy(upload: Uploaded, steps: readonly [at: number, wall: number][]): string[] {
  const events = steps.map(([at, wall]) => ({ at, wall, is: "fault", fault: "clock" }) as const);
  const rest = { topics: [], bucket: [upload], answered: [], isDrained: true };
  const history: History = { seed: 1, isCalm: false, groups: [], events, rest };
  const broken: string[] = [];
  checkBodies(history, (invariant) => void broken.push(invariant));
  return broken;
}

test("an object that nobody answers for is excused only if the clock leapt over its upload", () => {
  const upload = { key: "k", namedAt: 1_000, namedWall: 1_000, landedAt: 61_000 };
  expect(brokenBy(upload, [])).toEqual(["B1"]);
  expect(brokenBy(upload, [[2_000, 2_000 + HOUR_MS]])).toEqual([]);
  expect(brokenBy(upload, [[2_000, 2_000 + HOUR_MS / 2]])).toEqual(["B1"]);
  // Before it was named, and after it had come.
  expect(brokenBy(upload, [[500, 500 + HOUR_MS * 2]])).toEqual(["B1"]);
  expect(brokenBy(upload, [[62_000, 62_000 + HOUR_MS * 2]])).toEqual(["B1"]);
  // Back and forth again.
  const steps: [number, number][] = [
    [2_000, 2_000 - HOUR_MS],
    [3_000, 3_000],
  ];
  expect(brokenBy(upload, steps)).toEqual([]);
});
