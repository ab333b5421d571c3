/** Messages in: every limit at its maximum and one past it, every relation, and what reaches the broker. */
import { expect, test } from "vitest";
import type { PrepareRequest, SendRequest } from "../../src/broker/broker.ts";
import { encodeText } from "../../src/core/bytes.ts";
import { accept, refuse } from "../../src/protocol/errors.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { NOW_MS, testEdge } from "./edge.node.ts";

const PATH = "/v1/topics/t/messages";
const sent = () => Promise.resolve(accept({ messages: [], replayed: false }));
const MIB = 1024 * 1024;

function sender() {
  const edge = testEdge({ send: sent });
  const request = (): SendRequest => edge.asked.at(-1)?.parameters[1] as unknown as SendRequest;
  return { ...edge, request };
}

const properties = (count: number, size: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, "x".repeat(size)]));

const LIMIT_ROWS: readonly (readonly [string, unknown, unknown, number, number])[] = [
  ["tag", "x".repeat(128), "x".repeat(129), 128, 129],
  ["tag", "é".repeat(64), `${"é".repeat(64)}x`, 128, 129],
  ["messageGroup", "😀".repeat(32), "😀".repeat(33), 128, 132],
  ["messageGroup", "x", "", 1, 0],
  ["dedupId", "x".repeat(128), "x".repeat(129), 128, 129],
  ["keys", Array.from({ length: 16 }, () => "k"), Array.from({ length: 17 }, () => "k"), 16, 17],
  ["contentType", "x".repeat(256), "x".repeat(257), 256, 257],
  ["properties", properties(128, 1), properties(129, 1), 128, 129],
  ["properties", { ab: "x".repeat(16_382) }, { ab: "x".repeat(16_383) }, 16_384, 16_385],
  ["delayMs", 366 * 86_400_000, 366 * 86_400_000 + 1, 366 * 86_400_000, 366 * 86_400_000 + 1],
  ["delayMs", 0, -1, 0, -1],
  [
    "deliverAt",
    NOW_MS + 366 * 86_400_000,
    NOW_MS + 366 * 86_400_000 + 1,
    NOW_MS + 366 * 86_400_000,
    NOW_MS + 366 * 86_400_000 + 1,
  ],
  ["ttlMs", 1, 0, 1, 0],
  ["expiresAt", NOW_MS + 1, NOW_MS, NOW_MS, NOW_MS],
];

test.each(LIMIT_ROWS)(
  "%s is taken at its limit and refused one past it",
  async (...[field, good, bad, limit, actual]) => {
    const { call, request } = sender();
    expect((await call("POST", PATH, { messages: [{ body: 1, [field]: good }] })).status).toBe(200);
    expect(request().messages).toHaveLength(1);
    const refused = await call("POST", PATH, {
      messages: [{ body: 1 }, { body: 1, [field]: bad }],
    });
    expect(refused).toMatchObject({
      status: 400,
      json: { code: "invalid_request", field: `messages[1].${field}`, limit, actual },
    });
    const bare = await call("POST", PATH, { body: 1, [field]: bad });
    expect(bare.json["field"]).toBe(field);
  },
);

test("one of the keys is named by its place", async () => {
  const { call } = sender();
  const answer = await call("POST", PATH, { body: 1, keys: ["a", "x".repeat(129)] });
  expect(answer.json).toMatchObject({ field: "keys[1]", limit: 128, actual: 129 });
});

test.each([
  [{}, "body"],
  [{ tag: "t" }, "body"],
  [{ body: 1, bodyBase64: "AA==" }, "body"],
  [{ body: 1, delayMs: 1, deliverAt: 1 }, "deliverAt"],
  [{ body: 1, ttlMs: 1, expiresAt: NOW_MS + 1 }, "expiresAt"],
  [{ body: 1, delayMs: 5_000, expiresAt: NOW_MS + 5_000 }, "expiresAt"],
  [{ body: 1, deliverAt: NOW_MS + 10, expiresAt: NOW_MS + 10 }, "expiresAt"],
  [{ body: 1, deliverAt: 5, expiresAt: 10 }, "expiresAt"],
  [{ body: 1, delay: 5 }, "delay"],
  [{ body: 1, tag: null }, "tag"],
  [{ body: 1, delayMs: 1.5 }, "delayMs"],
  [{ body: 1, delayMs: "1" }, "delayMs"],
  [{ body: 1, topic: "t" }, "topic"],
  [{ body: 1, producer: { id: "p", epoch: 1 } }, "producer.sequence"],
  [{ body: 1, producer: { id: "p", epoch: 1, sequence: 0 } }, "producer.sequence"],
  [{ body: 1, producer: { id: "p", epoch: -1, sequence: 1 } }, "producer.epoch"],
  [{ body: 1, producer: { id: "", epoch: 1, sequence: 1 } }, "producer.id"],
  [{ body: 1, properties: { a: 1 } }, "properties.a"],
  [{ body: 1, properties: ["a"] }, "properties"],
  [{ bodyBase64: "AA" }, "bodyBase64"],
  [{ bodyBase64: "AB==" }, "bodyBase64"],
  [{ bodyBase64: "AA==\n" }, "bodyBase64"],
  [{ bodyBase64: "_w==" }, "bodyBase64"],
  [{ bodyBase64: "====" }, "bodyBase64"],
  [{ bodyBase64: null }, "bodyBase64"],
])("%j is refused for %s", async (message, field) => {
  const { call, asked } = sender();
  const answer = await call("POST", PATH, { messages: [{ body: 0 }, message] });
  expect(answer).toMatchObject({
    status: 400,
    json: { code: "invalid_request", field: `messages[1].${field}` },
  });
  expect(asked).toEqual([]);
});

test.each(["tag", "messageGroup", "dedupId", "contentType"])(
  "a lone surrogate in %s is refused",
  async (field) => {
    const { call } = sender();
    const answer = await call("POST", PATH, undefined, {
      text: `{"body":1,"${field}":"a\\ud800"}`,
    });
    expect(answer.json).toMatchObject({ code: "invalid_request", field });
  },
);

test.each(["a\nb", "\u0000", "text/plain\r\nx-evil: 1", "a\u0085"])(
  "a control character in contentType is refused: %j",
  async (contentType) => {
    const { call } = sender();
    const answer = await call("POST", PATH, { body: 1, contentType });
    expect(answer.json).toMatchObject({ code: "invalid_request", field: "contentType" });
  },
);

test("the body's text, a null body, and a binary one arrive as they came", async () => {
  const { call, request } = sender();
  const text =
    '{"messages":[{"body": 1.0 },{"body":null},{"bodyBase64":"/wA="},{"body":{"a":1,"a":2},"tag":"t"}]}';
  expect((await call("POST", PATH, undefined, { text })).status).toBe(200);
  expect(request().messages).toEqual([
    { body: { json: "1.0", utf8: encodeText("1.0") } },
    { body: { json: "null", utf8: encodeText("null") } },
    { body: { bytes: new Uint8Array([255, 0]) } },
    { body: { json: '{"a":1,"a":2}', utf8: encodeText('{"a":1,"a":2}') }, tag: "t" },
  ]);
});

test("a property named __proto__ stays a property", async () => {
  const { call, request } = sender();
  await call("POST", PATH, undefined, {
    text: '{"body":1,"properties":{"__proto__":"x","b":"y"}}',
  });
  expect(Object.entries(request().messages[0]?.properties ?? {})).toEqual([
    ["__proto__", "x"],
    ["b", "y"],
  ]);
  const unknown = await call("POST", PATH, undefined, { text: '{"body":1,"__proto__":1}' });
  expect(unknown.json).toMatchObject({ code: "invalid_request", field: "__proto__" });
});

const jsonOf = (bytes: number): string => `{"body":"${"x".repeat(bytes - 2)}"}`;
const binaryOf = (bytes: number): string => Buffer.alloc(bytes, 255).toString("base64");
const batchOf = (count: number) => ({
  messages: Array.from({ length: count }, () => ({ body: 1 })),
});
const paddedTo = (bytes: number): string => `{"body":1}${" ".repeat(bytes - 10)}`;
const once = (key: string) => ({ headers: { "idempotency-key": key } });

test("a body of 1 MiB is taken and one byte more refused, in JSON text and in bytes", async () => {
  const { call } = sender();
  expect((await call("POST", PATH, undefined, { text: jsonOf(MIB) })).status).toBe(200);
  expect(await call("POST", PATH, undefined, { text: jsonOf(MIB + 1) })).toMatchObject({
    status: 413,
    json: { code: "message_too_large", field: "body", limit: MIB, actual: MIB + 1 },
  });
  const wide = `{"body":"${"é".repeat(MIB / 2)}"}`;
  expect((await call("POST", PATH, undefined, { text: wide })).json["actual"]).toBe(MIB + 2);
  expect((await call("POST", PATH, { bodyBase64: binaryOf(MIB) })).status).toBe(200);
  expect((await call("POST", PATH, { bodyBase64: binaryOf(MIB + 1) })).json).toMatchObject({
    code: "message_too_large",
    field: "bodyBase64",
    actual: MIB + 1,
  });
});

test("1,000 messages are taken, 1,001 and none are refused", async () => {
  const { call } = sender();
  expect((await call("POST", PATH, batchOf(1_000))).status).toBe(200);
  expect((await call("POST", PATH, batchOf(1_001))).json).toMatchObject({
    field: "messages",
    limit: 1_000,
    actual: 1_001,
  });
  expect((await call("POST", PATH, batchOf(0))).json).toMatchObject({
    field: "messages",
    limit: 1,
    actual: 0,
  });
});

test("a request of 8 MiB is taken and a byte more refused, with a length or without", async () => {
  const { raw } = sender();
  for (const length of [undefined, "10", "12000000"]) {
    for (const [bytes, status] of [
      [8 * MIB, 200],
      [8 * MIB + 1, 413],
    ] as const) {
      const half = new TextEncoder().encode(paddedTo(bytes));
      const body = new ReadableStream({
        start(controller) {
          for (let at = 0; at < half.length; at += 1_000_000)
            controller.enqueue(half.slice(at, at + 1_000_000));
          controller.close();
        },
      });
      const headers: Record<string, string> = {
        authorization: "Bearer root",
        "content-type": "application/json",
      };
      if (length !== undefined) headers["content-length"] = length;
      const answer = await raw("POST", PATH, { headers, body, duplex: "half" } as RequestInit);
      expect(answer.status, `${bytes} ${length}`).toBe(status);
      if (status === 413) {
        expect(await answer.json()).toMatchObject({
          code: "request_too_large",
          limit: 8 * MIB,
          actual: 8 * MIB + 1,
        });
      }
    }
  }
});

test("what is not JSON, not UTF-8, or of another type is refused as such", async () => {
  const { call, raw } = sender();
  for (const text of ["{", "[1,]", "\u{feff}{}", '{"body":01}']) {
    expect((await call("POST", PATH, undefined, { text })).json["code"], text).toBe("invalid_json");
  }
  const headers = { authorization: "Bearer root", "content-type": "application/json" };
  const broken = await raw("POST", PATH, {
    headers,
    body: new Uint8Array([123, 34, 255, 34, 58, 49, 125]),
  });
  expect(await broken.json()).toMatchObject({ code: "invalid_json" });
  for (const type of ["text/plain", "application/xml", "application/jsonp", "application/json5"]) {
    const other = await call("POST", PATH, { body: 1 }, { headers: { "content-type": type } });
    expect(other).toMatchObject({ status: 415, json: { code: "unsupported_media_type" } });
  }
  for (const charset of ["latin1", "utf-16", '"iso-8859-1"']) {
    const headers = { "content-type": `application/json; v=1; Charset=${charset}` };
    expect((await call("POST", PATH, { body: 1 }, { headers })).status, charset).toBe(415);
  }
  for (const type of [
    "application/json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "Application/JSON",
  ]) {
    expect(
      (await call("POST", PATH, { body: 1 }, { headers: { "content-type": type } })).status,
    ).toBe(200);
  }
  expect((await call("POST", PATH)).json).toMatchObject({ code: "invalid_request", field: "body" });
});

test("an idempotency key has 1 to 128 characters and reaches the broker as digests", async () => {
  const { call, request } = sender();
  expect((await call("POST", PATH, { body: 1 }, once("k".repeat(128)))).status).toBe(200);
  const { keyed } = request();
  expect([keyed?.key.length, keyed?.body.length]).toEqual([16, 8]);
  for (const [key, limit] of [
    ["", 1],
    ["k".repeat(129), 128],
  ] as const) {
    expect((await call("POST", PATH, { body: 1 }, once(key))).json).toMatchObject({
      code: "invalid_request",
      field: "Idempotency-Key",
      limit,
      actual: key.length,
    });
  }
  const digests: string[] = [];
  for (const [path, body, key] of [
    [PATH, 1, "a"],
    [PATH, 1, "b"],
    ["/v1/topics/u/messages", 1, "a"],
    [PATH, 2, "a"],
  ] as const) {
    await call("POST", path, { body }, once(key));
    digests.push(Buffer.from(request().keyed?.key ?? []).toString("hex"));
  }
  expect(new Set(digests).size).toBe(3);
  expect(digests[3]).toBe(digests[0]);
  await call("POST", PATH, { body: 1 });
  expect(request().keyed).toBeUndefined();
});

test("a replay says so", async () => {
  const { call } = testEdge({
    send: () => Promise.resolve(accept({ messages: [], replayed: true })),
  });
  const answer = await call("POST", PATH, { body: 1 }, { headers: { "idempotency-key": "a" } });
  expect(answer.headers.get("idempotent-replayed")).toBe("true");
});

test("a half-way failure shows what is stored", async () => {
  const messages = [{ id: "m", queue: 0, offset: 0, state: "ready" }, { error: "overloaded" }];
  const { call } = testEdge({
    send: () => Promise.resolve(refuse("unavailable", "", { messages })),
  });
  const answer = await call("POST", PATH, { messages: [{ body: 1 }, { body: 2 }] });
  expect(answer).toMatchObject({ status: 503, json: { code: "unavailable", messages } });
});

test("traceparent travels with the message when it is one", async () => {
  const { call, request } = sender();
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  await call("POST", PATH, { body: 1 }, { headers: { traceparent } });
  expect(request().messages[0]?.traceparent).toBe(traceparent);
  await call("POST", PATH, { body: 1 }, { headers: { traceparent: "nonsense" } });
  expect(request().messages[0]?.traceparent).toBeUndefined();
});

const PREPARE = "/v1/topics/t/transactions";

function preparer() {
  const edge = testEdge({
    prepare: (_at, { producerGroup }) =>
      Promise.resolve(
        accept({
          transactionId: "tx_1_0_0",
          producerGroup,
          check: { timeoutMs: 1, intervalMs: 2, maxChecks: 3 },
          nextCheckAt: 9,
          messageIds: ["mh_1_0_0_0"],
          replayed: false,
        }),
      ),
  });
  return { ...edge, request: () => edge.asked.at(-1)?.parameters[1] as unknown as PrepareRequest };
}

test("a prepare answers 201 with its ids, and its bodies are kept as they came", async () => {
  const { call, request } = preparer();
  const text =
    '{"message":{"body": 1.50 ,"topic":"u"},"producerGroup":"p","check":{"maxChecks":2}}';
  expect(await call("POST", PREPARE, undefined, { text })).toMatchObject({
    status: 201,
    json: {
      transactionId: "tx_1_0_0",
      state: "prepared",
      producerGroup: "p",
      check: { timeoutMs: 1, intervalMs: 2, maxChecks: 3 },
      nextCheckAt: 9,
      messages: [{ id: "mh_1_0_0_0" }],
    },
  });
  expect(request()).toMatchObject({
    producerGroup: "p",
    messages: [{ topic: "u", content: { body: { json: "1.50" } } }],
    check: { maxChecks: 2 },
  });
});

const message = { body: 1 };
test.each([
  [{ producerGroup: "p" }, "messages"],
  [{ producerGroup: "p", message, messages: [message] }, "messages"],
  [{ producerGroup: "p", messages: [] }, "messages"],
  [{ producerGroup: "p", messages: Array.from({ length: 101 }, () => message) }, "messages"],
  [{ message }, "producerGroup"],
  [{ producerGroup: "a b", message }, "producerGroup"],
  [{ producerGroup: "x".repeat(128), message }, "producerGroup"],
  [{ producerGroup: "p", message: { ...message, producer: {} } }, "message.producer"],
  [{ producerGroup: "p", message: { ...message, topic: "a/b" } }, "message.topic"],
  [{ producerGroup: "p", messages: [message, { tag: "x" }] }, "messages[1].body"],
  [{ producerGroup: "p", message, check: { timeoutMs: 99 } }, "check.timeoutMs"],
  [{ producerGroup: "p", message, check: { intervalMs: 86_400_001 } }, "check.intervalMs"],
  [{ producerGroup: "p", message, check: { maxChecks: 101 } }, "check.maxChecks"],
  [{ producerGroup: "p", message, check: { maxChecks: 0 } }, "check.maxChecks"],
  [{ producerGroup: "p", message, check: { x: 0 } }, "check.x"],
])("a prepare of %j is refused for %s", async (body, field) => {
  const { call, asked } = preparer();
  expect(await call("POST", PREPARE, body)).toMatchObject({
    status: 400,
    json: { code: "invalid_request", field },
  });
  expect(asked).toEqual([]);
});

test("100 messages make a transaction", async () => {
  const { call } = preparer();
  const messages = Array.from({ length: LIMITS.transactionMessagesMax }, () => message);
  expect((await call("POST", PREPARE, { producerGroup: "p", messages })).status).toBe(201);
});

test("a prepare needs the right to every topic that it names", async () => {
  const { call, asked } = preparer();
  const messages = [{ body: 1 }, { body: 1, topic: "b" }];
  const answer = await call(
    "POST",
    "/v1/topics/a-1/transactions",
    { producerGroup: "p", messages },
    { key: "bound" },
  );
  expect(answer).toMatchObject({
    status: 403,
    json: { code: "forbidden", field: "messages[1].topic" },
  });
  expect(asked).toEqual([]);
});
