/** How every answer looks: problems, unknown fields, request ids, and the limits of words and lists. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, type Json, there, unique } from "./kit.ts";

const properties = (count: number, size: number): Json =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `p${String(index).padStart(3, "0")}`,
      "v".repeat(size),
    ]),
  );

export const shape: Cases = {
  "a refusal is problem+json with its code, and says whether repeating helps": async (mq) => {
    const answer = await mq.call("GET", `/v1/topics/${unique("nothing")}`);
    expect(answer.status).toBe(404);
    expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/u);
    expect(answer.json).toMatchObject({
      type: expect.any(String) as string,
      title: expect.any(String) as string,
      status: 404,
      detail: expect.any(String) as string,
      code: "topic_not_found",
      retryable: false,
    });
  },

  "routes, methods, content types and JSON that are wrong have their codes": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    await mq.refused([404, "route_not_found"], "GET", "/v1/nothing/at/all");
    await mq.refused([405, "method_not_allowed"], "PATCH", topic.path, {});
    await mq.refused([405, "method_not_allowed"], "GET", `${topic.path}/groups/g/receive`);
    const text = { raw: "hello", headers: { "content-type": "text/plain" } };
    await mq.refused([415, "unsupported_media_type"], "POST", path, undefined, text);
    for (const raw of ["{", '{"body":1,}', '{"body":01}'])
      await mq.refused([400, "invalid_json"], "POST", path, undefined, { raw });
    for (const raw of ["[]", "1", "null", '"x"'])
      await mq.refused([400, "invalid_request"], "POST", path, undefined, { raw });
    expect(await topic.peek()).toEqual([]);
  },

  "an unknown field is refused on every route, and the first one is named": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const { transactionId } = await topic.prepare({ body: 1 });
    const requests: readonly (readonly [string, string, Json, string])[] = [
      ["POST", `${topic.path}/messages`, { body: 1, delay: 1, x: 1 }, "delay"],
      ["POST", `${topic.path}/messages`, { messages: [{ body: 1 }], key: "k" }, "key"],
      ["POST", `${topic.path}/messages`, { messages: [{ body: 1, key: "k" }] }, "messages[0].key"],
      [
        "POST",
        `${topic.path}/transactions`,
        { producerGroup: "p", message: { body: 1 }, chek: 1 },
        "chek",
      ],
      [
        "POST",
        `${topic.path}/transactions`,
        { producerGroup: "p", message: { body: 1 }, check: { timeout: 1 } },
        "check.timeout",
      ],
      ["POST", `/v1/transactions/${transactionId}/commit`, { b: 1 }, "b"],
      ["POST", `${group.path}/receive`, { max: 1 }, "max"],
      ["POST", `${group.path}/ack`, { receipts: ["r"], receipt: "r" }, "receipt"],
      ["POST", `${group.path}/nack`, { receipts: ["r"], delay: 1 }, "delay"],
      ["POST", `${group.path}/extend`, { receipts: ["r"], invisibleMs: 1_000, by: 1 }, "by"],
      ["POST", `${group.path}/seek`, { to: "latest", at: 1 }, "at"],
      ["POST", `${group.path}/dead-letters/redrive`, { id: "x" }, "id"],
      ["PUT", `/v1/producer-groups/${unique("p")}`, { chek: {} }, "chek"],
      ["POST", "/v1/producer-groups/p/checks/receive", { max: 1 }, "max"],
      ["PATCH", `/v1/messages/${unique("m")}`, { deliverAt: 1, delayMs: 1 }, "delayMs"],
    ];
    for (const [method, path, body, field] of requests) {
      const answer = await mq.refused([400, "invalid_request"], method, path, body);
      expect(answer["field"], `${path} ${JSON.stringify(body)}`).toBe(field);
    }
    expect((await mq.transaction(transactionId)).state).toBe("prepared");
    expect(await topic.peek()).toEqual([]);
  },

  "X-Request-Id comes back on every answer, made where none came": async (mq) => {
    const id = unique("request");
    for (const path of ["/v1/health", "/v1/topics?limit=1", "/v1/nothing"]) {
      const named = await mq.call("GET", path, undefined, { headers: { "x-request-id": id } });
      expect(named.headers.get("x-request-id"), path).toBe(id);
      expect((await mq.call("GET", path)).headers.get("x-request-id"), path).toBeTruthy();
    }
    const refused = await mq
      .with("")
      .call("GET", "/v1/topics", undefined, { headers: { "x-request-id": id } });
    expect(refused.headers.get("x-request-id")).toBe(id);
  },

  "words of a message have 128 bytes, keys 16, properties 128 in 16 KiB": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    const word = "é".repeat(64);
    await topic.send({
      body: 1,
      tag: word,
      keys: Array.from({ length: 16 }, (_, index) => `${index % 10}${"x".repeat(126)}`),
      messageGroup: word,
      dedupId: word,
      properties: properties(128, 124),
    });
    const bad: readonly (readonly [Json, string, number])[] = [
      [{ tag: `${word}x` }, "tag", 128],
      [{ keys: [`${word}x`] }, "keys[0]", 128],
      [{ keys: Array.from({ length: 17 }, (_, index) => `k${index}`) }, "keys", 16],
      [{ messageGroup: `${word}x` }, "messageGroup", 128],
      [{ dedupId: `${word}x` }, "dedupId", 128],
      [{ properties: properties(129, 1) }, "properties", 128],
      [{ properties: { p: "v".repeat(16 * 1024) } }, "properties", 16 * 1024],
    ];
    for (const [content, field, limit] of bad) {
      const answer = await mq.call("POST", path, { messages: [{ body: 1, ...content }] });
      expect([400, 413], answer.text).toContain(answer.status);
      expect(answer.json, field).toMatchObject({ field: `messages[0].${field}`, limit });
      expect(Number(answer.json["actual"])).toBeGreaterThan(limit);
    }
    expect(await topic.peek()).toHaveLength(1);
  },

  "the numbers of a receive and of a settle have limits": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const bad: readonly (readonly [string, Json, string])[] = [
      ["receive", { maxMessages: 0 }, "maxMessages"],
      ["receive", { maxMessages: 1_001 }, "maxMessages"],
      ["receive", { waitMs: -1 }, "waitMs"],
      ["receive", { waitMs: 20_001 }, "waitMs"],
      ["receive", { invisibleMs: 99 }, "invisibleMs"],
      ["receive", { invisibleMs: 43_200_001 }, "invisibleMs"],
      ["ack", {}, "receipts"],
      ["ack", { receipts: Array.from({ length: 1_001 }, () => "r") }, "receipts"],
      ["nack", { receipts: ["r"], delayMs: -1 }, "delayMs"],
      ["extend", { receipts: ["r"] }, "invisibleMs"],
      ["extend", { receipts: ["r"], invisibleMs: 99 }, "invisibleMs"],
    ];
    for (const [verb, body, field] of bad) {
      const answer = await mq.refused(
        [400, "invalid_request"],
        "POST",
        `${group.path}/${verb}`,
        body,
      );
      expect(answer["field"], verb).toBe(field);
    }
    await topic.send(...Array.from({ length: 1_000 }, (_, body) => ({ body })));
    const all = await group.receive({ maxMessages: 1_000 });
    expect(all).toHaveLength(1_000);
    const results = await group.ack(...all);
    expect(results.filter((each) => each.ok)).toHaveLength(1_000);
    expect(results.map((each) => each.receipt)).toEqual(all.map((each) => each.receipt));
  },

  "instants of the wire are epoch milliseconds of the server": async (mq) => {
    const topic = await mq.topic();
    const before = Date.now() - 60_000;
    const sent = await topic.sendOne({ body: 1, delayMs: 50 });
    const message = await topic.group().one();
    for (const at of [
      there(sent.deliverAt),
      message.sentAt,
      message.storedAt,
      message.invisibleUntil,
    ]) {
      expect(Number.isSafeInteger(at)).toBe(true);
      expect(at).toBeGreaterThan(before);
    }
    expect(bodies([message])).toEqual([1]);
  },
};
