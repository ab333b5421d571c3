/** A run's message at a real queue: the same run again is the same message, and a topic that is gone stays so. */
import { expect, test } from "vitest";
import { TOPIC, World } from "../../bench/counted/world.ts";
import { createBroker } from "../../src/broker/durable-broker.ts";
import { sendFiring } from "../../src/broker/schedules.ts";
import { firingOf } from "../../src/scheduler/firing.ts";
import { World as Fakes } from "../broker/fakes.node.ts";
import { record } from "./kit.node.ts";

const SCHEDULE = { name: "nightly", producer: "schedule.x" };
const MINUTE_MS = 60_000;

const firing = (run: number, topic = TOPIC.topic) =>
  firingOf(TOPIC.namespace, SCHEDULE, { run, scheduledAt: 5_000 }, { topic, record: record() });

test("a run that is sent again, however late, is answered with the first message", async () => {
  const world = await World.open({ queues: 4 });
  const send = (run: number) => sendFiring(world.broker, firing(run));
  const settle = async <T>(promise: Promise<T>): Promise<T> => {
    await world.clock.runUntil(promise);
    return promise;
  };
  const first = await settle(send(1));
  expect(first).toMatchObject({ ok: true, value: { state: "ready" } });
  await settle(world.clock.pause(6 * 24 * 60 * MINUTE_MS));
  const again = await settle(send(1));
  expect(again).toMatchObject({ ok: true, value: { state: "duplicate" } });
  if (first.ok && again.ok) expect(again.value.id).toBe(first.value.id);
  expect(await settle(send(2))).toMatchObject({ ok: true, value: { state: "ready" } });
  expect(await settle(send(1))).toMatchObject({ ok: false, code: "producer_fenced" });
});

test("a run makes no topic, although a send would", async () => {
  const world = new Fakes();
  const { ground } = world;
  const broker = createBroker({ ...ground, autoCreate: true });
  expect(await sendFiring(broker, firing(1, "gone"))).toMatchObject({
    ok: false,
    code: "topic_not_found",
  });
  expect(world.routes.size).toBe(0);
});
