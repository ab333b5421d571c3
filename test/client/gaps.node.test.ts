/** A consumer that hears of gaps: in a subscription and in a loop, for as long as they run. */
import { expect, test } from "vitest";
import { FakeBroker, problem } from "./fake-broker.node.ts";
import { FakeGroup, GROUP, GROUP_PATH, TOPIC } from "./fake-group.node.ts";

const broker = new FakeBroker();

test("a hole that keeps messages from coming is told all the same, to a subscription and to a loop", async () => {
  const audit = `GET /v1/topics/${TOPIC}/audit`;
  const hole = { is: "hole", queue: 0, offset: 8, count: 2 };
  const queues = [{ queue: 0, holes: [{ offset: 8, count: 2 }] }];
  void new FakeGroup(broker);
  broker.on(audit, () => ({ json: { faults: 2, queues, groups: [], producers: [] } }));
  broker.on(`POST ${GROUP_PATH}/receive`, () => problem(503, "unavailable"));
  const gaps: unknown[] = [];
  const consumer = broker
    .client()
    .consumer<{ n: number }>(TOPIC, GROUP, { onGap: (gap) => gaps.push(gap) });
  const subscription = consumer.subscribe(() => {});
  await broker.clock.advance(59_000);
  expect(gaps).toEqual([]);
  await broker.clock.advance(1_000);
  expect(gaps).toEqual([hole]);
  const stopped = subscription.stop();
  await broker.clock.advance(60_000);
  await stopped;

  const looping = broker.client().consumer(TOPIC, GROUP, { onGap: (gap) => gaps.push(gap) });
  const loop = looping.messages();
  const next = loop.next();
  await broker.clock.advance(60_000);
  expect(gaps).toEqual([hole, hole]);
  const stoppedLoop = looping.stop();
  await broker.clock.advance(60_000);
  await stoppedLoop;
  expect(await next).toEqual({ done: true, value: undefined });
  const asked = broker.of(audit).length;
  await broker.clock.advance(600_000);
  expect(broker.of(audit)).toHaveLength(asked);
});
