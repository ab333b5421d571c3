/** Messages out and what becomes of them: the exact JSON of a delivery, receipts, groups, dead letters, peeks. */
import { expect, test } from "vitest";
import type { DeadLetter, Delivery, Message } from "../../src/broker/broker.ts";
import { accept, refuse } from "../../src/protocol/errors.ts";
import type { GroupRoute, TopicRoute } from "../../src/protocol/rpc.ts";
import { GROUP_DEFAULTS, TOPIC_DEFAULTS } from "../../src/protocol/topic.ts";
import { testEdge } from "./edge.node.ts";

const GROUP = "/v1/topics/t/groups/g";
const DAY = 86_400_000;

const message: Message = {
  id: "mh_1_0_0_0",
  topic: "t",
  queue: 2,
  offset: 7,
  sentAt: 5,
  storedAt: 6,
  transactionId: "tx_1_0_0",
  content: {
    body: { json: '{"a": 1.0,"a":12345678901234567890}' },
    contentType: 'text/"x"',
    tag: "é",
    keys: ["k"],
    properties: { b: "2", a: "1" },
    messageGroup: "m",
    traceparent: "00",
  },
};
const plain: Message = {
  id: "ml_1_0_0",
  topic: "t",
  queue: 0,
  offset: 0,
  sentAt: 5,
  storedAt: 5,
  content: { body: { bytes: new Uint8Array([255, 0, 1]) } },
};
const delivered = (each: Message): Delivery => ({
  ...each,
  deliveryAttempt: 2,
  receipt: "r_1_0_1_0_1_0",
  invisibleUntil: 99,
});

test("a delivery shows its fields in the contract's order, the body as the text that came", async () => {
  const messages = [delivered(message), delivered(plain)];
  const { call } = testEdge({
    receive: () => Promise.resolve(accept({ messages, paused: false })),
  });
  const answer = await call("POST", `${GROUP}/receive`, {});
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(answer.text).toBe(
    '{"messages":[{"id":"mh_1_0_0_0","topic":"t","queue":2,"offset":7,' +
      '"body":{"a": 1.0,"a":12345678901234567890},"contentType":"text/\\"x\\"","tag":"é","keys":["k"],' +
      '"properties":{"b":"2","a":"1"},"messageGroup":"m","sentAt":5,"storedAt":6,' +
      '"transactionId":"tx_1_0_0","traceparent":"00","deliveryAttempt":2,' +
      '"receipt":"r_1_0_1_0_1_0","invisibleUntil":99},' +
      '{"id":"ml_1_0_0","topic":"t","queue":0,"offset":0,"bodyBase64":"/wAB","sentAt":5,"storedAt":5,' +
      '"deliveryAttempt":2,"receipt":"r_1_0_1_0_1_0","invisibleUntil":99}]}',
  );
});

test("a receive passes its defaults and its fields, and says that a group is paused", async () => {
  const { call, asked } = testEdge({
    receive: () => Promise.resolve(accept({ messages: [], paused: true })),
  });
  expect((await call("POST", `${GROUP}/receive`)).json).toEqual({ messages: [], paused: true });
  expect(asked[0]?.parameters).toMatchObject([
    { namespace: "default", topic: "t", group: "g" },
    { maxMessages: 16, waitMs: 0 },
  ]);
  const body = {
    maxMessages: 1_000,
    waitMs: 20_000,
    invisibleMs: 100,
    attemptId: "a",
    consumerId: "c",
  };
  expect((await call("POST", `${GROUP}/receive`, body)).status).toBe(200);
  expect(asked[1]?.parameters[1]).toMatchObject(body);
});

test.each([
  ["receive", { maxMessages: 0 }, "maxMessages"],
  ["receive", { maxMessages: 1_001 }, "maxMessages"],
  ["receive", { waitMs: -1 }, "waitMs"],
  ["receive", { waitMs: 20_001 }, "waitMs"],
  ["receive", { invisibleMs: 99 }, "invisibleMs"],
  ["receive", { invisibleMs: 12 * 3_600_000 + 1 }, "invisibleMs"],
  ["receive", { maxMesages: 1 }, "maxMesages"],
  ["ack", {}, "receipts"],
  ["ack", { receipts: [] }, "receipts"],
  ["ack", { receipts: Array.from({ length: 1_001 }, () => "r") }, "receipts"],
  ["ack", { receipts: [1] }, "receipts[0]"],
  ["nack", { receipts: ["r"], delayMs: 366 * DAY + 1 }, "delayMs"],
  ["nack", { receipts: ["r"], retry: "no" }, "retry"],
  ["extend", { receipts: ["r"] }, "invisibleMs"],
  ["extend", { receipts: ["r"], invisibleMs: 99 }, "invisibleMs"],
  ["seek", {}, "to"],
  ["seek", { to: "middle" }, "to"],
  ["seek", { to: {} }, "to"],
  ["seek", { to: { "256": 0 } }, "to"],
  ["seek", { to: { a: 0 } }, "to.a"],
  ["pause", { x: 1 }, "x"],
  ["dead-letters/redrive", { ids: [] }, "ids"],
  ["dead-letters/redrive", { ratePerSecond: 0.01 }, "ratePerSecond"],
])("%s refuses %j for %s", async (verb, body, field) => {
  const { call, asked } = testEdge();
  const answer = await call("POST", `${GROUP}/${verb}`, body);
  expect(answer, answer.text).toMatchObject({ status: 400, json: { code: "invalid_request" } });
  expect(String(answer.json["field"])).toBe(field);
  expect(asked).toEqual([]);
});

test("ack, nack and extend answer results in order; an extended lease its new receipt", async () => {
  const { call, asked } = testEdge({
    settle: (_at, { verb }) =>
      Promise.resolve(
        accept([
          verb === "extend"
            ? { receipt: "a", ok: true, extended: { receipt: "b", invisibleUntil: 5 } }
            : { receipt: "a", ok: true },
          { receipt: "x", ok: false, code: "receipt_invalid" },
        ]),
      ),
  });
  const receipts = ["a", "x"];
  const refused = { receipt: "x", ok: false, code: "receipt_invalid" };
  expect((await call("POST", `${GROUP}/ack`, { receipts })).json).toEqual({
    results: [{ receipt: "a", ok: true }, refused],
  });
  await call("POST", `${GROUP}/nack`, { receipts, delayMs: 0, reason: "no", retry: false });
  expect(asked[1]?.parameters[1]).toEqual({
    verb: "nack",
    receipts,
    delayMs: 0,
    reason: "no",
    retry: false,
  });
  expect((await call("POST", `${GROUP}/extend`, { receipts, invisibleMs: 100 })).json).toEqual({
    results: [{ ok: true, receipt: "b", invisibleUntil: 5 }, refused],
  });
});

test("a peek shows messages without a delivery, and takes an offset, a key or a time", async () => {
  const { call, asked } = testEdge({
    peek: () => Promise.resolve(accept({ items: [message], nextCursor: "n" })),
  });
  const answer = await call("GET", "/v1/topics/t/messages?queue=2&offset=7&limit=1000");
  expect(answer.json["nextCursor"]).toBe("n");
  expect(answer.text).toContain('"body":{"a": 1.0,"a":12345678901234567890}');
  expect(answer.text).not.toContain("receipt");
  expect(asked[0]?.parameters[1]).toEqual({ limit: 1_000, queue: 2, offset: 7 });
  await call("GET", "/v1/topics/t/messages?key=a%20b");
  expect(asked[1]?.parameters[1]).toEqual({ limit: 100, key: "a b" });
  for (const [query, field] of [
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    ["limit=1.5", "limit"],
    ["limit=1&limit=2", "limit"],
    ["limt=1", "limt"],
    ["queue=256", "queue"],
    ["queue=-1", "queue"],
    ["offset=x", "offset"],
    ["offset=1&key=k", "offset"],
    ["cursor=", "cursor"],
    ["__proto__=1", "__proto__"],
  ]) {
    expect((await call("GET", `/v1/topics/t/messages?${query}`)).json, query).toMatchObject({
      code: "invalid_request",
      field,
    });
  }
  const below = await call("GET", "/v1/topics/t/messages?queue=-1");
  expect(below.json).toMatchObject({ limit: 0, actual: -1 });
  const broken = await call("GET", "/v1/topics/t/messages?queue=0&offset=1.5");
  expect(broken.json["detail"]).toBe("offset: a whole number");
});

test("dead letters show the message, its attempts and the last reason", async () => {
  const letter: DeadLetter = { ...plain, attempts: 16, deadAt: 50, reason: 'no "stock"' };
  const { call } = testEdge({ deadLetters: () => Promise.resolve(accept({ items: [letter] })) });
  expect((await call("GET", `${GROUP}/dead-letters`)).json).toEqual({
    items: [
      {
        id: "ml_1_0_0",
        topic: "t",
        queue: 0,
        offset: 0,
        bodyBase64: "/wAB",
        sentAt: 5,
        storedAt: 5,
        deliveryAttempt: 16,
        deadAt: 50,
        reason: 'no "stock"',
      },
    ],
  });
});

const group: GroupRoute = {
  name: "g",
  number: 1,
  settings: GROUP_DEFAULTS,
  paused: false,
  createdAt: 3,
};

function settings() {
  const route: TopicRoute = {
    namespace: "default",
    topic: "t",
    incarnation: 1,
    version: 1,
    settings: TOPIC_DEFAULTS,
    createdAt: 3,
    growths: [],
    groups: [group],
  };
  return testEdge({
    putTopic: () => Promise.resolve(accept({ route, created: true })),
    putGroup: () => Promise.resolve(accept({ group, created: false })),
    group: () => Promise.resolve(refuse("group_not_found", "")),
    seek: () => Promise.resolve(accept([{ queue: 0, offset: 4 }])),
  });
}

test("a topic's settings are taken at their limits and shown with their defaults", async () => {
  const { call, asked } = settings();
  const body = {
    queues: 256,
    retentionMs: 30 * DAY,
    transaction: { timeoutMs: 100, intervalMs: DAY, maxChecks: 100 },
    dedupWindowMs: 7 * DAY,
    retentionBytes: 1,
    maxBacklog: 5,
    durability: "disk",
    trace: false,
    flushSpacingMs: 50,
  };
  const answer = await call("PUT", "/v1/topics/t", body);
  expect(answer.status).toBe(201);
  expect(answer.json).toMatchObject({
    topic: "t",
    queues: 1,
    retentionMs: 3 * DAY,
    durability: "disk",
  });
  expect(asked[0]?.parameters[1]).toEqual(body);
});

test.each([
  ["queues", 0],
  ["queues", 257],
  ["retentionMs", 59_999],
  ["retentionMs", 30 * DAY + 1],
  ["dedupWindowMs", -1],
  ["dedupWindowMs", 7 * DAY + 1],
  ["durability", "tape"],
  ["trace", "yes"],
  ["maxBacklog", -1],
  ["maxBacklog", 1.5],
  ["flushSpacingMs", 51],
  ["colour", "red"],
])("a topic's %s %j is refused by name", async (field, value) => {
  const { call, asked } = settings();
  const answer = await call("PUT", "/v1/topics/t", { [field]: value });
  expect(answer).toMatchObject({ status: 400, json: { code: "invalid_request", field } });
  expect(asked).toEqual([]);
});

test("a group's settings are taken at their limits", async () => {
  const { call, asked } = settings();
  for (const body of [
    { startFrom: "latest", invisibleMs: 100, maxAttempts: 1_000, ordered: true, onPoison: "block" },
    {
      startFrom: 5,
      invisibleMs: 43_200_000,
      maxAttempts: 1,
      mode: "shared",
      filter: { tags: ["a"] },
    },
    { filter: { sql: "price > 20 AND TAGS IN ('a', 'b')" } },
    { backoff: { initialMs: 5, factor: 1.5, maxMs: 10 } },
    { backoff: { factor: 3 } },
    { backoff: { delaysMs: [0, 366 * DAY] } },
    {},
  ]) {
    expect((await call("PUT", GROUP, body)).status, JSON.stringify(body)).toBe(200);
    expect(asked.at(-1)?.parameters[1]).toEqual(body);
  }
});

test.each([
  [{ invisibleMs: 99 }, "invisibleMs"],
  [{ invisibleMs: 43_200_001 }, "invisibleMs"],
  [{ maxAttempts: 0 }, "maxAttempts"],
  [{ maxAttempts: 1_001 }, "maxAttempts"],
  [{ startFrom: "middle" }, "startFrom"],
  [{ onPoison: "x" }, "onPoison"],
  [{ ordered: 1 }, "ordered"],
  [{ mode: "both" }, "mode"],
  [{ push: { url: "https://a.example/", concurrency: 0 } }, "push.concurrency"],
  [{ filter: { tags: ["a"], sql: "a = 1" } }, "filter.sql"],
  [{ filter: { sql: `a = '${"x".repeat(5_000)}'` } }, "filter.sql"],
  [{ filter: { sql: 1 } }, "filter.sql"],
  [{ filter: {} }, "filter.tags"],
  [{ filter: { tags: [] } }, "filter.tags"],
  [{ backoff: { delaysMs: [] } }, "backoff.delaysMs"],
  [{ backoff: { delaysMs: Array.from({ length: 1_001 }, () => 1) } }, "backoff.delaysMs"],
  [{ backoff: { delaysMs: [1], factor: 2 } }, "backoff.factor"],
  [{ backoff: { delaysMs: [1], x: 1 } }, "backoff.x"],
  [{ backoff: { initialMs: -1 } }, "backoff.initialMs"],
  [{ paused: true }, "paused"],
])("a group's %j is refused for %s", async (body, field) => {
  const { call, asked } = settings();
  expect(await call("PUT", GROUP, body)).toMatchObject({
    status: 400,
    json: { code: "invalid_request", field },
  });
  expect(asked.filter(({ verb }) => verb === "putGroup")).toEqual([]);
});

test.each([
  ["", 0],
  ["a = 1 garbage", 6],
  ["a > 5 AND b LIKE 'x%'", 12],
])("the filter %j is refused at %i", async (sql, position) => {
  const { call } = settings();
  const answer = await call("PUT", GROUP, { filter: { sql } });
  expect(answer).toMatchObject({
    status: 400,
    json: { code: "invalid_filter", field: "filter.sql", position },
  });
});

test("a seek goes to the start, the end, a time or an offset per queue", async () => {
  const { call, asked } = settings();
  for (const [to, target] of [
    ["earliest", "earliest"],
    ["latest", "latest"],
    [5, { at: 5 }],
    [
      { "0": 3, "12": 0 },
      {
        offsets: [
          { queue: 0, offset: 3 },
          { queue: 12, offset: 0 },
        ],
      },
    ],
  ]) {
    expect((await call("POST", `${GROUP}/seek`, { to })).json).toEqual({
      group: "g",
      offsets: { "0": 4 },
    });
    expect(asked.at(-1)?.parameters[1]).toEqual(target);
  }
});
