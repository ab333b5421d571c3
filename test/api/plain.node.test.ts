/** What is known at a glance is what the schema says of it, too, with the same outcome. */
import * as fc from "../kit/properties.node.ts";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { prepareBody, sendBody } from "../../src/api/message-schema.ts";
import {
  plainAck,
  plainDecide,
  plainPrepare,
  plainReceive,
  plainSend,
} from "../../src/api/plain.ts";
import { ackBody, receiveBody } from "../../src/api/receipts.ts";
import { decideBody } from "../../src/api/transactions.ts";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom("", "x".repeat(128), "é".repeat(64), "\ud800", "a/b", ".."),
);
const number = fc.oneof(fc.integer({ min: -2, max: 2_000 }), fc.double(), fc.constant(4e10));
const any = fc.oneof(text, number, fc.jsonValue(), fc.constant(null));
const message = fc.record(
  { body: any, tag: any, messageGroup: text, dedupId: text, delayMs: any, bodyBase64: text },
  { requiredKeys: [] },
);
const plainMessage = fc.record(
  { body: any, tag: fc.constantFrom("a", "é"), delayMs: fc.nat(9_000) },
  { requiredKeys: ["body"] },
);
const messages = fc.array(fc.oneof({ weight: 9, arbitrary: plainMessage }, message), {
  maxLength: 3,
});
const MEMBERS = {
  messages,
  message: plainMessage,
  producerGroup: fc.oneof(fc.constant("shop"), text),
  receipts: fc.array(fc.oneof({ weight: 9, arbitrary: text }, any), { maxLength: 3 }),
  maxMessages: number,
  waitMs: number,
  attemptId: text,
  repeat: fc.oneof(fc.boolean(), any),
  by: any,
  other: any,
};
type Name = keyof typeof MEMBERS;

/** Objects of mostly these members. */
const of = (...names: readonly Name[]): fc.Arbitrary<unknown> => {
  const mine = Object.fromEntries(names.map((name) => [name, MEMBERS[name]]));
  const most = fc.record(mine, { requiredKeys: [] });
  const all = fc.record<Record<string, unknown>>(MEMBERS, { requiredKeys: [] });
  return fc.oneof({ weight: 6, arbitrary: most }, { weight: 1, arbitrary: all }, any);
};

interface Kind {
  readonly plain: (value: unknown) => unknown;
  readonly schema: z.ZodType;
  readonly asked: fc.Arbitrary<unknown>;
}

const KINDS: Record<string, Kind> = {
  send: { plain: plainSend, schema: sendBody, asked: fc.oneof(of("messages"), message) },
  prepare: {
    plain: plainPrepare,
    schema: prepareBody,
    asked: fc.oneof(of("producerGroup", "message"), of("producerGroup", "messages")),
  },
  decide: { plain: plainDecide, schema: decideBody, asked: of("by") },
  receive: {
    plain: plainReceive,
    schema: receiveBody,
    asked: of("maxMessages", "waitMs", "attemptId", "repeat"),
  },
  ack: { plain: plainAck, schema: ackBody, asked: of("receipts") },
};

describe("a plain request", () => {
  for (const [kind, { plain, schema, asked }] of Object.entries(KINDS)) {
    it(`is the schema's, too: ${kind}`, () => {
      let plainOnes = 0;
      fc.assert(
        fc.property(asked, (made) => {
          // As it comes over the wire: JSON knows no undefined and no -0.
          const value: unknown = JSON.parse(JSON.stringify(made) ?? "null");
          const outcome = plain(value);
          if (outcome === undefined) return;
          plainOnes++;
          expect(outcome).toEqual(schema.parse(value));
        }),
        { numRuns: 2_000, seed: 1 },
      );
      expect(plainOnes).toBeGreaterThan(50);
    });
  }

  it("leaves a member called __proto__ to the schema", () => {
    const value: unknown = JSON.parse(`{"body":1,"__proto__":{"tag":"x"}}`);
    expect(plainSend(value)).toBeUndefined();
    expect(plainSend({ messages: [value] })).toBeUndefined();
  });
});
