/** A broker over invented objects and a topic of 64 queues: what tests of receiving begin with. */
import { createBroker } from "../../src/broker/durable-broker.ts";
import type { Received, ReceiveRequest } from "../../src/broker/broker.ts";
import type { Outcome } from "../../src/protocol/errors.ts";
import { World } from "./fakes.node.ts";

export const at = { namespace: "default", topic: "t", group: "g" };

export function world64(): {
  world: World;
  receive: (more?: Partial<ReceiveRequest>) => Promise<Received>;
} {
  const world = new World();
  world.topic("t", 64);
  const broker = createBroker(world.ground);
  const receive = async (more: Partial<ReceiveRequest> = {}): Promise<Received> =>
    valueOf(await broker.receive(at, { maxMessages: 16, waitMs: 0, ...more }));
  return { world, receive };
}

export function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
  return outcome.value;
}
