/** Decisions, producer groups, keys, changes, stats and metrics over HTTP. */
import { expect, test } from "vitest";
import { accept, refuse } from "../../src/protocol/errors.ts";
import type { ChangeEvent, Decided } from "../../src/protocol/rpc.ts";
import { testEdge } from "./edge.node.ts";

const decided: Decided = {
  transactionId: "tx_1_0_0",
  state: "committed",
  repeated: false,
  messages: [{ id: "mh_1_0_0_0", queue: 0, offset: 3 }],
  nextCheckAt: 8,
  replayed: true,
};

test("each decision answers its own shape, with and without a body", async () => {
  const { call, asked } = testEdge({ decide: () => Promise.resolve(accept(decided)) });
  const { transactionId, state, repeated, messages, nextCheckAt } = decided;
  const shapes = {
    commit: { transactionId, state, repeated, messages },
    rollback: { transactionId, state, repeated },
    unknown: { transactionId, state, repeated, nextCheckAt },
    resume: { transactionId, state, repeated, nextCheckAt },
  };
  for (const [verb, shape] of Object.entries(shapes)) {
    const answer = await call("POST", `/v1/transactions/tx_1_0_0/${verb}`);
    expect(answer.json).toEqual(shape);
    expect(answer.headers.get("idempotent-replayed")).toBe("true");
    expect(asked.at(-1)?.parameters[1]).toEqual({ decision: verb, by: "producer" });
  }
  await call("POST", "/v1/transactions/tx_1_0_0/commit", { by: "check", attempt: 3 });
  expect(asked.at(-1)?.parameters[1]).toMatchObject({ by: "check", attempt: 3 });
  for (const body of [{ by: "me" }, { by: null }, { attempt: 0 }, { bye: 1 }]) {
    expect((await call("POST", "/v1/transactions/x/commit", body)).json["code"]).toBe(
      "invalid_request",
    );
  }
});

test("the loser of a decision is told the winner", async () => {
  const { call } = testEdge({
    decide: () => Promise.resolve(refuse("transaction_committed", "", { state: "committed" })),
  });
  expect(await call("POST", "/v1/transactions/x/rollback", {})).toMatchObject({
    status: 409,
    json: { code: "transaction_committed", state: "committed" },
  });
});

test("transactions are listed by a state that exists", async () => {
  const { call, asked } = testEdge({ transactions: () => Promise.resolve(accept({ items: [] })) });
  expect((await call("GET", "/v1/topics/t/transactions?state=prepared&limit=2")).json).toEqual({
    items: [],
  });
  expect(asked[0]?.parameters[1]).toEqual({ limit: 2, state: "prepared" });
  expect((await call("GET", "/v1/topics/t/transactions?state=open")).json).toMatchObject({
    field: "state",
  });
});

const record = {
  group: "p",
  secrets: [{ secret: "whsec_new" }, { secret: "whsec_old" }],
  createdAt: 1,
  version: 1,
};

test("a producer group's secret is shown when it is made or rotated, and never else", async () => {
  const { call, asked } = testEdge({
    putProducerGroup: (_namespace, _group, { check }) =>
      Promise.resolve(
        accept({
          record: check === undefined ? record : { ...record, check },
          created: check !== undefined,
        }),
      ),
    producerGroup: () => Promise.resolve(accept(record)),
    rotateProducerSecret: () => Promise.resolve(accept(record)),
    producerGroups: () => Promise.resolve(accept({ items: [record] })),
  });
  const path = "/v1/producer-groups/p";
  for (const url of [
    "http://a.example/",
    "https://127.0.0.1/",
    "https://metadata.internal/",
    "nonsense",
  ]) {
    expect((await call("PUT", path, { check: { url } })).json, url).toMatchObject({
      code: "target_not_allowed",
      field: "check.url",
    });
  }
  const made = await call("PUT", path, { check: { url: "https://a.example/x" } });
  expect(made.json).toEqual({
    group: "p",
    check: { url: "https://a.example/x", timeoutMs: 10_000 },
    createdAt: 1,
    secret: "whsec_new",
  });
  for (const [method, at, body] of [
    ["PUT", path, {}],
    ["GET", path, undefined],
    ["GET", "/v1/producer-groups", undefined],
  ] as const) {
    const answer = await call(method, at, body);
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain("whsec");
  }
  expect((await call("POST", `${path}/secret`, {})).json["secret"]).toBe("whsec_new");
  await call("PUT", path, { check: { binding: "ORDERS", timeoutMs: 100 } });
  expect(asked.at(-1)?.parameters[2]).toEqual({ check: { binding: "ORDERS", timeoutMs: 100 } });
  for (const check of [
    {},
    { url: "" },
    { url: "x", binding: "y" },
    { url: "x", timeoutMs: 1 },
    { binding: "a-b" },
  ]) {
    expect((await call("PUT", path, { check })).json["code"], JSON.stringify(check)).toBe(
      "invalid_request",
    );
  }
});

test("a poll takes checks, at most 1,000, for at most 20 s", async () => {
  const { call, asked } = testEdge({ checks: () => Promise.resolve(accept({ checks: [] })) });
  const path = "/v1/producer-groups/p/checks/receive";
  expect((await call("POST", path)).json).toEqual({ checks: [] });
  expect(asked[0]?.parameters[2]).toMatchObject({ maxMessages: 16, waitMs: 0 });
  for (const body of [{ maxMessages: 0 }, { maxMessages: 1_001 }, { waitMs: 20_001 }, { x: 1 }]) {
    expect((await call("POST", path, body)).status).toBe(400);
  }
});

test("a key is shown once, and gives no more than its maker has", async () => {
  const { call, asked } = testEdge({
    key: () => Promise.resolve(refuse("key_not_found", "")),
    putKey: (namespace, name, { scopes, topics }) =>
      Promise.resolve(
        accept({
          key: "hmq_text",
          record: {
            name,
            namespace,
            scopes,
            createdAt: 1,
            ...(topics === undefined ? {} : { topics }),
          },
        }),
      ),
  });
  const path = "/v1/keys/k";
  const made = await call("PUT", path, {
    scopes: ["send", "send"],
    topics: ["a*"],
    namespace: "other",
  });
  expect(made).toMatchObject({
    status: 201,
    json: { name: "k", namespace: "other", scopes: ["send"], topics: ["a*"], key: "hmq_text" },
  });
  expect(asked[0]?.parameters[0]).toBe("other");
  const refused = async (key: string, body: unknown, field: string): Promise<void> => {
    const answer = await call("PUT", path, body, { key });
    expect(answer, JSON.stringify(body)).toMatchObject({
      status: 403,
      json: { code: "forbidden", field },
    });
  };
  await refused("manager", { scopes: ["consume"] }, "scopes");
  await refused("manager", { scopes: ["send"], namespace: "other" }, "namespace");
  await refused("bound", { scopes: ["send"] }, "topics");
  await refused("bound", { scopes: ["send"], topics: ["*"] }, "topics");
  await refused("bound", { scopes: ["send"], topics: ["exact*"] }, "topics");
  await refused("bound", { scopes: ["send"], topics: ["a-1", "b"] }, "topics");
  expect(
    (
      await call(
        "PUT",
        path,
        { scopes: ["send"], topics: ["a-*", "a-b*", "a-1", "exact"] },
        { key: "bound" },
      )
    ).status,
  ).toBe(201);
  expect((await call("PUT", path, { scopes: ["send"] }, { key: "manager" })).status).toBe(201);
  for (const body of [
    {},
    { scopes: [] },
    { scopes: ["all"] },
    { scopes: ["send"], topics: ["a*b"] },
    { scopes: ["send"], topics: [""] },
    { scopes: ["send"], namespace: "A" },
  ]) {
    expect((await call("PUT", path, body)).status, JSON.stringify(body)).toBe(400);
  }
});

const event = (sequence: number): ChangeEvent => ({
  sequence,
  at: 9,
  type: "topic.created",
  data: { topic: `t${sequence}` },
});

const route = (topic: string, queues = 1) =>
  ({ topic, settings: { queues }, createdAt: 1 }) as never;

test("changes come as server-sent events and a reader goes on where it was", async () => {
  const answers = [
    { events: [event(4), event(5)], last: 5, gap: false },
    { events: [], last: 5, gap: false },
    { events: [event(9)], last: 9, gap: true },
  ];
  const { raw, asked } = testEdge({
    changes: () => {
      const next = answers.shift();
      return Promise.resolve(next === undefined ? refuse("unavailable", "") : accept(next));
    },
  });
  const headers = { authorization: "Bearer root", "last-event-id": "3" };
  const answer = await raw("GET", "/v1/changes", { headers });
  expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/u);
  const text = await answer.text();
  expect(text.startsWith(": halfmq\n\n")).toBe(true);
  expect(
    Array.from(
      text.matchAll(/^id: (\d+)\nevent: (\S+)\ndata: (.+)$/gmu),
      ([, id, type]) => `${id} ${type}`,
    ),
  ).toEqual(["4 topic.created", "5 topic.created", "9 gap", "9 topic.created"]);
  expect(text).toContain('data: {"topic":"t4","type":"topic.created","at":9,"sequence":4}\n\n');
  expect(asked.map(({ parameters }) => parameters[1])).toEqual([3, 5, 5, 9]);
});

test("a reader of changes that has heard nothing yet knows where to go on", async () => {
  const answers = [
    { events: [], last: 7, gap: false },
    { events: [{ ...event(8), type: "key.updated" as const, data: {} }], last: 8, gap: false },
  ];
  const { raw } = testEdge({
    changes: () => {
      const next = answers.shift();
      return Promise.resolve(next === undefined ? refuse("unavailable", "") : accept(next));
    },
  });
  // It hears of no keys, and is told how far it has come all the same.
  const answer = await raw("GET", "/v1/changes", { headers: { authorization: "Bearer bound" } });
  expect(await answer.text()).toBe(": halfmq\n\n: halfmq\nid: 7\n\n: halfmq\nid: 8\n\n");
});

test("a place that no stream of changes gave is refused", async () => {
  const { call, asked } = testEdge();
  for (const place of ["x", "-1", "1.5", "1-7"]) {
    const headers = { "last-event-id": place };
    expect(await call("GET", "/v1/changes", undefined, { headers }), place).toMatchObject({
      status: 400,
      json: { code: "invalid_request", field: "lastEventId" },
    });
  }
  expect(asked).toEqual([]);
});

test("a reader of changes without a place starts now", async () => {
  const { raw, asked } = testEdge({ changes: () => Promise.resolve(refuse("unavailable", "")) });
  await (await raw("GET", "/v1/changes", { headers: { authorization: "Bearer root" } })).text();
  expect(asked[0]?.parameters[1]).toBe(-1);
});

const stats = {
  queues: [
    {
      queue: 0,
      firstOffset: 0,
      nextOffset: 4,
      bytes: 10,
      coldBytes: 4,
      prepared: 1,
      failingChecks: 1,
      delayed: 2,
      forwarding: 0,
      groups: [],
      transactions: { prepared: 1, committed: 0, rolledBack: 0, discarded: 0 },
    },
  ],
  groups: [
    {
      group: "g",
      lag: 3,
      lagExact: true,
      inFlight: 1,
      retrying: 0,
      deadLetters: 0,
      poisoned: 0,
      expired: 0,
      oldestUnackedAgeMs: 1_500,
      consumers: [],
    },
  ],
  transactions: { prepared: 1, committed: 0, rolledBack: 0, discarded: 0 },
};

test("stats show queues, groups and transactions; an inexact lag says so", async () => {
  const inexact = { ...stats, groups: stats.groups.map((each) => ({ ...each, lagExact: false })) };
  let answer: typeof stats = stats;
  const { call } = testEdge({ stats: () => Promise.resolve(accept(answer)) });
  const exact = await call("GET", "/v1/topics/t/stats");
  expect(exact.json["queues"]).toEqual([
    {
      queue: 0,
      firstOffset: 0,
      nextOffset: 4,
      bytes: 10,
      coldBytes: 4,
      prepared: 1,
      failingChecks: 1,
      delayed: 2,
      forwarding: 0,
    },
  ]);
  expect(exact.text).not.toContain("lagExact");
  answer = inexact;
  expect((await call("GET", "/v1/topics/t/stats")).text).toContain('"lagExact":false');
});

test("metrics are OpenMetrics text, each family once, of the key's topics only", async () => {
  const { call } = testEdge({
    topics: () => Promise.resolve(accept({ items: [route("a-1"), route("b"), route("a-2")] })),
    stats: () => Promise.resolve(accept(stats)),
  });
  const answer = await call("GET", "/metrics", undefined, { key: "bound" });
  expect(answer.headers.get("content-type")).toMatch(/^application\/openmetrics-text/u);
  expect(answer.text.endsWith("# EOF\n")).toBe(true);
  expect(answer.text).toContain('halfmq_group_lag_messages{topic="a-2",group="g"} 3\n');
  expect(answer.text).toContain(
    'halfmq_group_oldest_unacked_age_seconds{topic="a-1",group="g"} 1.5\n',
  );
  expect(answer.text).toContain('halfmq_queue_cold_bytes{topic="a-1",queue="0"} 4\n');
  expect(answer.text).toContain('halfmq_queue_failing_checks{topic="a-1",queue="0"} 1\n');
  expect(answer.text).toContain("halfmq_metrics_truncated 0\n");
  expect(answer.text).not.toContain('topic="b"');
  const families = Array.from(answer.text.matchAll(/^# TYPE (\S+)/gmu), ([, name]) => name);
  expect(new Set(families).size).toBe(families.length);
});

test("metrics page through the topics, up to 800 queues, and say when there are more", async () => {
  const names = Array.from({ length: 250 }, (_, n) => `a-${String(n).padStart(3, "0")}`);
  const metrics = async (queues: number): Promise<{ topics: number; text: string }> => {
    const { call } = testEdge({
      topics: (_namespace, { limit, cursor = "0" }) => {
        const from = Number(cursor);
        const items = names.slice(from, from + limit).map((name) => route(name, queues));
        const isLast = from + limit >= names.length;
        return Promise.resolve(
          accept(isLast ? { items } : { items, nextCursor: `${from + limit}` }),
        );
      },
      stats: () => Promise.resolve(accept(stats)),
    });
    const { text } = await call("GET", "/metrics");
    return { topics: text.match(/^halfmq_group_lag_messages/gmu)?.length ?? 0, text };
  };
  const all = await metrics(1);
  expect(all.topics).toBe(250);
  expect(all.text).toContain("halfmq_metrics_truncated 0\n");
  const some = await metrics(8);
  expect(some.topics).toBe(100);
  expect(some.text).toContain("halfmq_metrics_truncated 1\n");
});

test("topics out of a key's reach are not in its list", async () => {
  const { call } = testEdge({
    topics: () => Promise.resolve(accept({ items: [route("a-1"), route("b")], nextCursor: "n" })),
  });
  const answer = await call("GET", "/v1/topics", undefined, { key: "bound" });
  expect(answer.json).toEqual({
    items: [{ topic: "a-1", queues: 1, createdAt: 1 }],
    nextCursor: "n",
  });
});
