/** Consumers that begin while the broker is away: they wait for it as they would later. */
import { expect, test } from "vitest";
import type { ConsumerOptions } from "../../src/client/index.ts";
import { FakeBroker, problem } from "./fake-broker.node.ts";
import { FakeGroup, GROUP, GROUP_PATH, TOPIC } from "./fake-group.node.ts";

const DOWN = problem(503, "unavailable");

/** A group whose settings are not to be had so many times. */
function away(times: number, options?: ConsumerOptions) {
  const broker = new FakeBroker();
  const group = new FakeGroup(broker);
  broker.script(`GET ${GROUP_PATH}`, ...Array.from({ length: times }, () => DOWN), {
    json: { group: GROUP, invisibleMs: 30_000 },
  });
  return { broker, group, consumer: broker.client().consumer(TOPIC, GROUP, options) };
}

test("a subscription waits for its broker, and says so", async () => {
  const errors: unknown[] = [];
  const { broker, group, consumer } = away(60, { onError: (error) => errors.push(error) });
  group.put(1);
  const handled: string[] = [];
  const subscription = consumer.subscribe((message) => void handled.push(message.id));
  await broker.clock.advance(300_000);
  expect(handled).toEqual(["m0"]);
  expect(errors[0]).toMatchObject({ code: "unavailable" });
  await subscription.stop();
});

test("a stop ends a subscription that still waits", async () => {
  const { broker, consumer } = away(1_000);
  const subscription = consumer.subscribe(() => {});
  await broker.clock.advance(100_000);
  await subscription.stop();
  await expect(subscription.done).resolves.toBeUndefined();
});

test("a stop ends a loop that still waits, quietly", async () => {
  const { broker, consumer } = away(1_000);
  const next = consumer.messages().next();
  await broker.clock.advance(100_000);
  await consumer.stop();
  expect(await next).toEqual({ done: true, value: undefined });
});
