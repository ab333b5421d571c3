/** Every case of the RocketMQ door, for whatever HalfMQ is running. Each has a topic of its own. */
import { describe, expect, test } from "vitest";
import { type Cases, Door, type Running } from "./kit.ts";
import { messages } from "./messages.ts";
import { ordered } from "./ordered.ts";
import { signing } from "./signing.ts";
import { transactions } from "./transactions.ts";

export const ROCKETMQ_CASES: Cases = { ...messages, ...ordered, ...signing, ...transactions };

const CASE_TIMEOUT_MS = 120_000;

/** `without`: the cases that cannot be there, each with its reason. */
export function rocketmqSuite(
  running: () => Running,
  without: Readonly<Record<string, string>> = {},
): void {
  const define = (cases: Cases): void => {
    for (const [name, run] of Object.entries(cases))
      if (!Object.hasOwn(without, name))
        test(name, { timeout: CASE_TIMEOUT_MS }, () => run(new Door(running())));
  };
  for (const [name, reason] of Object.entries(without))
    test(`not here: ${name}: ${reason}`, () => expect(Object.keys(ROCKETMQ_CASES)).toContain(name));
  describe("messages", () => define(messages));
  describe("in order", () => define(ordered));
  describe("signatures and errors", () => define(signing));
  // They wait for checks nearly all the time, so they wait together.
  describe.concurrent("transactions", () => define(transactions));
}
