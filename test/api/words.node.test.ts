/** What a refusal says to people: the field, and what is expected of it, in our words; and what no schema may leave out silently. */
import { expect, test } from "vitest";
import { accept } from "../../src/protocol/errors.ts";
import { testEdge } from "./edge.node.ts";

type Case = readonly [method: string, path: string, body: unknown, detail: string];

const TOPIC = "/v1/topics/t";
const GROUP = `${TOPIC}/groups/g`;

const CASES: readonly Case[] = [
  ["PUT", TOPIC, { queues: "2" }, "queues: must be a number"],
  ["PUT", TOPIC, { queues: 1.5 }, "queues: must be a whole number"],
  ["PUT", TOPIC, { queues: 0 }, "queues: must be at least 1"],
  ["PUT", TOPIC, { queues: 1_000 }, "queues: must be at most 256"],
  ["PUT", TOPIC, { trace: "yes" }, "trace: must be true or false"],
  ["PUT", TOPIC, { durability: "ram" }, 'durability: must be one of "disk", "memory"'],
  ["PUT", TOPIC, { transaction: 5 }, "transaction: must be an object"],
  ["PUT", TOPIC, [], "The body: must be an object"],
  ["PUT", TOPIC, { labels: { a: 5 } }, 'labels.a: must be "", or a text, or null'],
  [
    "PUT",
    GROUP,
    { startFrom: "now" },
    'startFrom: must be one of "earliest", "latest", or a number',
  ],
  ["PUT", GROUP, { filter: { tags: [] } }, "filter.tags: must be at least 1 items"],
  [
    "PUT",
    GROUP,
    { push: { binding: "a-b" } },
    "push.binding: a binding's name: 1 to 128 of A-Z a-z 0-9 _ $, no digit first",
  ],
  ["POST", `${TOPIC}/messages`, { body: 1, keys: "k" }, "keys: must be a list"],
  [
    "POST",
    `${TOPIC}/messages`,
    { messages: [{ body: 1, tag: 5 }] },
    "messages[0].tag: must be a text",
  ],
  ["POST", `${TOPIC}/transactions`, { message: { body: 1 } }, "producerGroup: is required: a text"],
  ["POST", `${GROUP}/ack`, {}, "receipts: is required: a list"],
];

test.each(CASES)("%s %s %j", async (method, path, body, detail) => {
  const { call } = testEdge({});
  expect((await call(method, path, body)).json).toMatchObject({ status: 400, detail });
});

test("a query's number is named as what it is", async () => {
  const { call } = testEdge({});
  const { json } = await call("GET", "/v1/topics?limit=many");
  expect(json).toMatchObject({ field: "limit", detail: "limit: a whole number" });
});

test.each([
  ["PUT", TOPIC, `{"labels":{"team":"a","__proto__":"b"}}`, "labels.__proto__"],
  ["POST", `${GROUP}/seek`, `{"to":{"0":1,"__proto__":2}}`, "to.__proto__"],
])(
  "a member called __proto__ is refused, never left out: %s %s",
  async (method, path, text, field) => {
    const { call } = testEdge({});
    const { json } = await call(method, path, undefined, { text });
    expect(json).toMatchObject({ status: 400, code: "invalid_request", field });
  },
);

test("a binding that the deployment has not is refused when it is registered, and none of those that it has is told", async () => {
  const { call, asked } = testEdge({
    putProducerGroup: () => Promise.reject(new Error("never")),
    putGroup: () => Promise.reject(new Error("never")),
  });
  for (const [path, body, field] of [
    ["/v1/producer-groups/p", { check: { binding: "OTHERS" } }, "check.binding"],
    [GROUP, { push: { binding: "OTHERS" } }, "push.binding"],
    [GROUP, { push: { binding: "QUEUE" } }, "push.binding"],
    [GROUP, { push: { binding: "constructor" } }, "push.binding"],
  ] as const) {
    const { json, text } = await call("PUT", path, body);
    expect(json).toMatchObject({ status: 400, code: "invalid_request", field });
    expect(text).not.toContain("ORDERS");
  }
  expect(asked).toEqual([]);
  const other = testEdge({
    putGroup: () => Promise.resolve(accept({ group: { name: "g", settings: {} }, created: true })),
  } as never);
  expect((await other.call("PUT", GROUP, { push: { binding: "ORDERS" } })).status).toBe(201);
});
