/** What clients of a counted world do: one verb each, in the words of a bench. It never retries. */
import type { Content } from "../../src/core/record.ts";
import { GROUP, TOPIC, type World } from "./world.ts";

const BODY = `"${"x".repeat(254)}"`;

type More = Partial<Pick<Content, "deliverAt" | "messageGroup">>;

export const contents = (count: number, more: More = {}) =>
  Array.from({ length: count }, () => ({ body: { json: BODY }, ...more }));

export async function send(world: World, count = 1, more: More = {}): Promise<void> {
  await world.call(() => world.broker.send(TOPIC, { messages: contents(count, more) }));
}

export async function sendDelayed(world: World, deliverAt: number): Promise<void> {
  await world.call(() => world.broker.send(TOPIC, { messages: contents(1, { deliverAt }) }));
}

/** Receipts of what was leased. */
export async function receive(world: World, maxMessages: number, waitMs = 0): Promise<string[]> {
  const request = { maxMessages, waitMs, invisibleMs: 600_000 };
  const { messages } = await world.call(() => world.broker.receive(GROUP, request));
  return messages.map(({ receipt }) => receipt);
}

export async function ack(world: World, receipts: readonly string[]): Promise<void> {
  await world.call(() => world.broker.settle(GROUP, { verb: "ack", receipts }));
}

export async function prepareAndCommit(world: World): Promise<void> {
  const messages = contents(1).map((content) => ({ content }));
  const { transactionId } = await world.call(() =>
    world.broker.prepare(TOPIC, { producerGroup: "shop", messages }),
  );
  const at = { namespace: TOPIC.namespace, id: transactionId, permit: () => undefined };
  await world.call(() => world.broker.decide(at, { decision: "commit", by: "producer" }));
}
