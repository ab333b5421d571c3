/** The verbs of a binding: each is a route of the catalogue, and each is in the type that programs get. */
import { expect, test } from "vitest";
import { routeOf } from "../../src/api/routes.ts";
import type { HalfMQBinding } from "../../src/client/index.ts";
import { callOf, VERBS, type Verb } from "../../src/rpc/verbs.ts";

const TYPED: Readonly<Record<Exclude<keyof HalfMQBinding, "call">, true>> = {
  send: true,
  message: true,
  recall: true,
  retime: true,
  prepare: true,
  commit: true,
  rollback: true,
  unknown: true,
  resume: true,
  transaction: true,
  receiveChecks: true,
  receive: true,
  ack: true,
  nack: true,
  extend: true,
};

test("the type has the verbs that there are", () => {
  expect(VERBS.toSorted()).toEqual(Object.keys(TYPED).toSorted());
});

test.each(VERBS)("%s calls a route of the catalogue, with names that hold anything", (verb) => {
  const made = callOf(verb, ["a/b%", "ü?"]);
  if (!made.ok) throw new Error(made.detail);
  const { method, path } = made.value.call;
  const route = routeOf(method, path);
  expect(route).toMatchObject({ ok: true });
  if (route.ok) expect(Object.values(route.value.params)[0]).toBe("a/b%");
});

test("an argument that is no name, options that are none, and what is no JSON are refused by field", () => {
  const circle: Record<string, unknown> = {};
  circle["circle"] = circle;
  const refused: readonly (readonly [Verb, unknown[], string, string?])[] = [
    ["send", [undefined, {}], "invalid_request", "topic"],
    ["send", ["", {}], "invalid_request", "topic"],
    ["send", ["\ud800", {}], "invalid_request", "topic"],
    ["receive", ["t", { maxMessages: 1 }], "invalid_request", "group"],
    ["commit", [5], "invalid_request", "id"],
    ["send", ["t", { body: 1 }, { key: "k" }], "invalid_request", "key"],
    ["send", ["t", { body: 1 }, { hold: {} }], "invalid_request", "hold"],
    ["send", ["t", { body: 1n }], "invalid_json"],
    ["send", ["t", circle], "invalid_json"],
  ];
  for (const [verb, given, code, field] of refused) {
    const made = callOf(verb, given);
    expect(made, JSON.stringify(code)).toMatchObject({ ok: false, code });
    if (!made.ok) expect(made.facts?.["field"]).toBe(field);
  }
});
