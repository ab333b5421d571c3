/** Asking a webhook or a bound Worker: what goes out, and what counts as an answer. */
import { expect, test } from "vitest";
import { ask, readAnswer } from "../../src/coordinator/ask.ts";
import type { CheckBegun } from "../../src/protocol/rpc.ts";
import { aCheck, aRecord, makeWorld, settle, WEBHOOK, type World } from "./kit.node.ts";

const ID = aCheck({}, []).transactionId;
const RECORD = { secrets: aRecord().secrets, timeoutMs: 10_000 };

const askWebhook = async (world: World, check: CheckBegun, text: string, status = 200) => {
  const answer = ask(world.ports, check, WEBHOOK, RECORD);
  await settle();
  world.endpoint.asked.at(-1)?.answer(text, status);
  return answer;
};

test("the webhook carries everything of the half message, and JSON bodies as the text that came", async () => {
  const world = makeWorld();
  const exact = '{"n": 12345678901234567890.10,\n "z":1, "a":"\\u00e9", "__proto__":null, "a":2}';
  const check: CheckBegun = {
    ...aCheck({ position: 5, queue: 2 }, [
      {
        body: { json: exact },
        tag: "created",
        keys: ["k1", "k2"],
        properties: { __proto__x: "1", 'qu"ote': "\u2028" },
        messageGroup: "customer-1",
        delayMs: 5,
        ttlMs: 9,
        contentType: "application/json",
        traceparent: "00-1",
      },
      {
        body: { bytes: Uint8Array.from({ length: 70_000 }, (_, i) => i & 0xff) },
        deliverAt: 77,
        expiresAt: 99,
        dedupId: "d",
      },
      { body: { json: "null" } },
    ]),
    targets: [
      { topic: "t", incarnation: 7, queue: 2 },
      { topic: "stock", incarnation: 8, queue: 1 },
      { topic: "t", incarnation: 7, queue: 0 },
    ],
  };
  await askWebhook(world, check, '{"resolution":"commit"}');
  const [asked] = world.endpoint.asked;
  const text = asked?.body ?? "";
  expect(text).toContain(`"body":${exact}`);
  const { data, ...envelope } = JSON.parse(text);
  expect(envelope).toEqual({
    type: "transaction.check",
    timestamp: new Date(1_000_000).toISOString(),
  });
  const { messages, ...fields } = data;
  expect(fields).toEqual({
    transactionId: check.transactionId,
    topic: "t",
    queue: 2,
    producerGroup: "orders",
    attempt: 1,
    maxChecks: 15,
    preparedAt: 900_000,
  });
  expect(messages[0]).toEqual({
    id: "mh_7_2_5_0",
    topic: "t",
    queue: 2,
    sentAt: 900_000,
    tag: "created",
    keys: ["k1", "k2"],
    properties: { __proto__x: "1", 'qu"ote': "\u2028" },
    messageGroup: "customer-1",
    delayMs: 5,
    ttlMs: 9,
    contentType: "application/json",
    body: JSON.parse(exact),
  });
  expect(messages[1]).toMatchObject({
    id: "mh_7_2_5_1",
    topic: "stock",
    queue: 1,
    deliverAt: 77,
    expiresAt: 99,
    dedupId: "d",
  });
  expect(Buffer.from(messages[1].bodyBase64, "base64")).toHaveLength(70_000);
  expect(messages[2]).toMatchObject({ body: null });
});

test("each attempt has a webhook id of its own, without a dot, also the first one after a resume", async () => {
  const world = makeWorld();
  await askWebhook(world, aCheck({}, []), "");
  await askWebhook(world, { ...aCheck({}, []), attempt: 2 }, "");
  await world.clock.advance(1);
  await askWebhook(world, aCheck({}, []), "");
  const ids = world.endpoint.asked.map(({ id }) => id);
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) expect(id).toMatch(/^chk_[a-z0-9_]+$/);
});

test.each(["commit", "rollback", "unknown"])(
  "a 200 that says %s is an answer",
  async (resolution) => {
    const answer = await askWebhook(
      makeWorld(),
      aCheck({}, []),
      ` {"resolution": "${resolution}", "note": 1}\n`,
    );
    expect(answer).toEqual({ resolution, status: 200 });
  },
);

test.each([
  ["", "not_json"],
  ["commit", "not_json"],
  ["<html>Internal error: commit failed</html>", "not_json"],
  ['{"resolution":"commit"', "not_json"],
  ['{"resolution":"commit"} {"resolution":"rollback"}', "not_json"],
  ['"commit"', "no_resolution"],
  ["null", "no_resolution"],
  ["[]", "no_resolution"],
  ['[{"resolution":"commit"}]', "no_resolution"],
  ["{}", "no_resolution"],
  ['{"error":"database is down"}', "no_resolution"],
  ['{"resolution":"COMMIT"}', "no_resolution"],
  ['{"resolution":" commit"}', "no_resolution"],
  ['{"resolution":true}', "no_resolution"],
  ['{"resolution":["commit"]}', "no_resolution"],
  ['{"resolution":null}', "no_resolution"],
  ['{"data":{"resolution":"commit"}}', "no_resolution"],
  ['{"__proto__":{"resolution":"commit"}}', "no_resolution"],
  ['{"resolution":"commit","transactionId":"tx_7_0_2"}', "other_transaction"],
  ['{"resolution":"rollback","transactionId":null}', "other_transaction"],
])("a 200 that says %s is unknown", (text, failure) => {
  expect(readAnswer(text, ID)).toEqual({ resolution: "unknown", failure });
});

test("an answer may name the transaction that was asked about", () => {
  expect(readAnswer(`{"resolution":"rollback","transactionId":"${ID}"}`, ID)).toEqual({
    resolution: "rollback",
  });
});

test.each([201, 202, 204, 400, 404, 410, 429, 500, 503])(
  "a %d never counts, whatever it says",
  async (status) => {
    const answer = await askWebhook(makeWorld(), aCheck({}, []), '{"resolution":"commit"}', status);
    expect(answer).toEqual({ resolution: "unknown", failure: "status", status });
  },
);

test.each([
  "timeout",
  "network",
  "redirect",
  "too_large",
  "target_not_allowed",
  "no_secret",
] as const)("a call that ends as %s is unknown", async (failure) => {
  const world = makeWorld();
  const answer = ask(world.ports, aCheck({}, []), WEBHOOK, RECORD);
  await settle();
  world.endpoint.asked[0]?.fail(failure);
  expect(await answer).toMatchObject({ resolution: "unknown", failure });
});

const BINDING = { binding: "ORDERS", timeoutMs: 1_000 };

test("a bound Worker gets the check as an object, with the body parsed and as its text", async () => {
  const got: unknown[] = [];
  const world = makeWorld({ ORDERS: (data) => (got.push(data), "commit") });
  const check = aCheck({}, [
    { body: { json: '{"n":1.00}' } },
    { body: { bytes: new Uint8Array([1]) } },
  ]);
  expect(await ask(world.ports, check, BINDING, RECORD)).toEqual({ resolution: "commit" });
  expect(got[0]).toMatchObject({
    transactionId: ID,
    attempt: 1,
    messages: [
      { id: "mh_7_0_1_0", body: { n: 1 }, bodyJson: '{"n":1.00}' },
      { bodyBase64: "AQ==" },
    ],
  });
  expect(structuredClone(got[0])).toEqual(got[0]);
});

test.each([
  ["a word", () => "rollback", { resolution: "rollback" }],
  ["an object", () => Promise.resolve({ resolution: "unknown" }), { resolution: "unknown" }],
  ["another word", () => "done", { resolution: "unknown", failure: "no_resolution" }],
  ["nothing", () => undefined, { resolution: "unknown", failure: "no_resolution" }],
  ["true", () => true, { resolution: "unknown", failure: "no_resolution" }],
  [
    "another transaction",
    () => ({ resolution: "commit", transactionId: "tx_1" }),
    { resolution: "unknown", failure: "other_transaction" },
  ],
  [
    "an exception",
    () => {
      throw new Error("commit");
    },
    { resolution: "unknown", failure: "failed" },
  ],
  [
    "a rejection",
    () => Promise.reject(new Error("commit")),
    { resolution: "unknown", failure: "failed" },
  ],
])("a bound Worker that answers %s", async (_, checkTransaction, expected) => {
  const world = makeWorld({ ORDERS: checkTransaction });
  expect(await ask(world.ports, aCheck({}, []), BINDING, RECORD)).toEqual(expected);
});

test("a bound Worker that hangs ends by the group's timeout, and a missing one at once", async () => {
  const world = makeWorld({ ORDERS: () => new Promise(() => undefined) });
  const answer = ask(world.ports, aCheck({}, []), BINDING, { ...RECORD, timeoutMs: 1_000 });
  await world.clock.advance(1_000);
  expect(await answer).toEqual({ resolution: "unknown", failure: "timeout" });
  expect(world.clock.timers).toBe(0);
  expect(await ask(world.ports, aCheck({}, []), { binding: "GONE", timeoutMs: 1 }, RECORD)).toEqual(
    { resolution: "unknown", failure: "no_such_binding" },
  );
});
