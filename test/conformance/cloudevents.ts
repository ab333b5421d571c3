/**
 * The door of CloudEvents, driven by the package `cloudevents` as it is: events in by every content mode, out by a peek, and
 * the handshake of who sends.
 */
import { HTTP, Mode } from "cloudevents";
import { expect } from "vitest";
import type { Cases } from "./client.ts";
import { emit, event, pathOf, peeked, plain, SOURCE, transport } from "./cloudevents-kit.ts";
import { type Json, type Message, there } from "./kit.ts";

export const cloudEvents: Cases = {
  "an event goes in binary and structured, and comes out of a peek as it was": async (mq) => {
    for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
      const topic = await mq.topic();
      const sent = event({
        id: "A234-1234",
        // The package says in a header what it has, so that a binary event has ASCII alone.
        subject: `order 17 / "x" 100%${mode === Mode.STRUCTURED ? " žluť €" : ""}`,
        time: "2026-01-02T03:04:05.678Z",
        dataschema: "https://shop.example/schema",
        datacontenttype: "application/json",
        comexample: "an extension",
        data: { total: 17.5, lines: [1, 2] },
      });
      expect(await emit(topic, sent, mode)).toMatchObject({ state: "ready" });
      const [came] = await peeked(topic);
      expect(plain(there(came))).toEqual(plain(sent));
    }
  },

  "a native consumer sees the event's data as the body and its attributes as words": async (mq) => {
    const topic = await mq.topic();
    await emit(topic, event({ id: "1", subject: "order-17", data: { a: 1 } }), Mode.BINARY);
    const [message] = await topic.group().receive({ waitMs: 20_000 });
    expect(message).toMatchObject({
      body: { a: 1 },
      tag: "order.paid",
      messageGroup: "order-17",
      properties: { ce_id: "1", ce_source: SOURCE, ce_type: "order.paid", ce_specversion: "1.0" },
    });
  },

  "an event that comes twice is stored once: source and id say that it is the same": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const first = await emit(topic, event({ id: "same" }), Mode.BINARY);
    const again = await emit(topic, event({ id: "same" }), Mode.STRUCTURED);
    expect(again).toMatchObject({ id: first.id, state: "duplicate" });
    const other = await emit(topic, event({ id: "same", source: "/elsewhere" }), Mode.BINARY);
    expect(other.state).toBe("ready");
    expect(await peeked(topic)).toHaveLength(2);
  },

  "data is JSON to the digit, text, bytes or nothing": async (mq) => {
    const topic = await mq.topic();
    const headers = { "content-type": "application/cloudevents+json" };
    const head = `"specversion":"1.0","source":"/s","type":"t"`;
    const raws = [
      `{${head},"id":"1","data":12345678901234567890.10}`,
      `{${head},"id":"2","data":null}`,
      `{${head},"id":"3"}`,
      `{${head},"id":"4","datacontenttype":"text/plain","data":"žluť"}`,
      `{${head},"id":"5","datacontenttype":"image/x","data_base64":"AP8="}`,
    ];
    for (const raw of raws) {
      const answer = await mq.call("POST", pathOf(topic), undefined, { headers, raw });
      expect(answer.status, answer.text).toBe(200);
    }
    const out = (await mq.call("GET", pathOf(topic))).text;
    const bare = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`;
    const expected = raws.map((raw, index) =>
      raw.replace(/^.*"id":"."/u, bare.replace('"1"', `"${index + 1}"`)),
    );
    expect(out).toBe(`[${expected.join(",")}]`);
    const events = await peeked(topic);
    expect(events.map(({ data }) => data)).toEqual([
      expect.anything(),
      null,
      undefined,
      "žluť",
      expect.anything(),
    ]);
    const messages = await topic.peek();
    const bodies = messages.map(({ body, bodyBase64 }) => bodyBase64 ?? body);
    expect(bodies).toEqual([
      Number("12345678901234567890"),
      null,
      "",
      btoa(String.fromCharCode(...new TextEncoder().encode("žluť"))),
      "AP8=",
    ]);
  },

  "attributes in headers are percent-encoded, and may be quoted": async (mq) => {
    const topic = await mq.topic();
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": '"quoted"',
      "ce-source": "/s%2ft",
      "ce-type": "t",
      "ce-subject": "%C5%BElu%C5%A5%20%E2%82%AC%20100%25",
      "content-type": "text/plain",
    };
    const answer = await mq.call("POST", pathOf(topic), undefined, { headers, raw: "hello" });
    expect(answer.status, answer.text).toBe(200);
    expect((await peeked(topic)).map(plain)).toMatchObject([
      { id: "quoted", source: "/s/t", subject: "žluť € 100%", data: "hello" },
    ]);
  },

  "a batch is taken whole or refused whole, and a fault says where it is": async (mq) => {
    const topic = await mq.topic();
    const headers = { "content-type": "application/cloudevents-batch+json; charset=utf-8" };
    const post = (batch: unknown) =>
      mq.call("POST", pathOf(topic), undefined, { headers, raw: JSON.stringify(batch) });
    const events = Array.from({ length: 3 }, (_, n) => event({ id: String(n), data: n }));
    const wrong = { ...plain(event()), type: "" };
    expect((await post([...events, wrong])).json).toMatchObject({
      code: "invalid_request",
      field: "[3].type",
    });
    expect((await post([])).json).toEqual({ messages: [] });
    expect((await mq.call("GET", pathOf(topic))).json, "nothing was stored").toEqual([]);
    const answer = await post(events);
    expect(answer.json["messages"]).toHaveLength(3);
    expect((await peeked(topic)).map(({ data }) => data)).toEqual([0, 1, 2]);
  },

  "native messages come out as events, page by page": async (mq) => {
    const topic = await mq.topic();
    await topic.send(
      { body: { n: 1 }, tag: "made", messageGroup: "g", properties: { trace: "x", Odd: "y" } },
      { body: 2 },
    );
    const answer = await mq.call("GET", `${pathOf(topic)}?limit=1`);
    const [first] = await peeked(topic, "?limit=1");
    const [message] = (await topic.peek()) as [Message];
    expect(plain(there(first))).toEqual({
      specversion: "1.0",
      id: message.id,
      source: `/v1/topics/${topic.name}`,
      type: "made",
      time: new Date(message.sentAt).toISOString(),
      partitionkey: "g",
      trace: "x",
      data: { n: 1 },
    });
    const [, next = ""] = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "") ?? [];
    const events = JSON.parse((await mq.call("GET", next)).text) as Json[];
    expect(events).toMatchObject([{ type: "halfmq.message", data: 2 }]);
  },

  "an order is kept by partition key or subject, and long ones are as good": async (mq) => {
    const topic = await mq.topic({ queues: 8 });
    const long = "x".repeat(300);
    for (const [id, more] of Object.entries({
      1: { partitionkey: "p", subject: "a" },
      2: { partitionkey: "p", subject: "b" },
      3: { subject: long },
      4: { subject: long },
    }))
      await emit(topic, event({ id, ...more }), Mode.BINARY);
    const messages = await topic.peek();
    const groups = messages.map(({ messageGroup }) => messageGroup);
    expect(groups.filter((group) => group === "p")).toHaveLength(2);
    const [digest, ...rest] = groups.filter((group) => group !== "p");
    expect(digest).toMatch(/^sha256:/u);
    expect(rest).toEqual([digest]);
  },

  "an event's expiry is the message's": async (mq) => {
    const topic = await mq.topic();
    const headers = { "content-type": "application/cloudevents+json" };
    const head = { specversion: "1.0", id: "1", source: "/s", type: "t" };
    const post = (more: Json) => mq.call("POST", pathOf(topic), { ...head, ...more }, { headers });
    expect((await post({ expirytime: "2020-01-01T00:00:00Z" })).json).toMatchObject({
      code: "invalid_request",
      field: "expirytime",
    });
    expect((await post({ expirytime: "2100-01-01T00:00:00Z" })).status).toBe(200);
  },

  "what is no event is refused, and says which field it is": async (mq) => {
    const topic = await mq.topic();
    const structured = { "content-type": "application/cloudevents+json" };
    const good = { specversion: "1.0", id: "1", source: "/s", type: "t" };
    const bad: readonly (readonly [Json, string])[] = [
      [{ ...good, specversion: "0.3" }, "specversion"],
      [{ ...good, id: "" }, "id"],
      [{ ...good, source: null }, "source"],
      [{ ...good, source: "a b" }, "source"],
      [{ ...good, type: "t".repeat(129) }, "type"],
      [{ ...good, time: "yesterday" }, "time"],
      [{ ...good, subject: "a\u0000" }, "subject"],
      [{ ...good, Ext: "x" }, "Ext"],
      [{ ...good, ext: { a: 1 } }, "ext"],
      [{ ...good, ext: 1.5 }, "ext"],
      [{ ...good, ext: "x".repeat(17_000) }, "attributes"],
      [{ ...good, data: 1, data_base64: "AA==" }, "data_base64"],
      [{ ...good, data_base64: "?" }, "data_base64"],
    ];
    for (const [body, field] of bad) {
      const answer = await mq.call("POST", pathOf(topic), body, { headers: structured });
      expect([answer.status, answer.json["field"]], answer.text).toEqual([400, field]);
    }
    const raw = (text: string, headers: Record<string, string>) =>
      mq.call("POST", pathOf(topic), undefined, { headers, raw: text });
    expect((await raw("{", structured)).json).toMatchObject({ code: "invalid_json" });
    expect((await raw("[]", structured)).json).toMatchObject({ code: "invalid_request" });
    const batch = { "content-type": "application/cloudevents-batch+json" };
    expect((await raw("{}", batch)).json).toMatchObject({ code: "invalid_request" });
    expect((await raw("{}", { "content-type": "application/json" })).status).toBe(415);
    const binary = { "ce-specversion": "1.0", "ce-id": "%ff", "ce-source": "/s", "ce-type": "t" };
    expect((await raw("{}", binary)).json).toMatchObject({ code: "invalid_request", field: "id" });
    const large = { ...good, data: "x".repeat(1_048_577) };
    const answer = await mq.call("POST", pathOf(topic), large, { headers: structured });
    expect(answer.json).toMatchObject({ code: "message_too_large", field: "data" });
  },

  "the door is open to nobody without the right key, and to no other path or method": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const name = `ce-${topic.name}`;
    const { key } = await mq.ok<{ key: string }>("PUT", `/v1/keys/${name}`, {
      scopes: ["send"],
      topics: [topic.name],
    });
    const sender = mq.with(key);
    const path = pathOf(topic);
    for (const method of ["POST", "GET", "OPTIONS"])
      expect((await mq.with("").call(method, path)).status, method).toBe(401);
    expect((await sender.call("GET", path)).json).toMatchObject({ code: "forbidden" });
    const send = transport(sender, path);
    expect((await send(HTTP.binary(event()))).status).toBe(200);
    const elsewhere = transport(sender, `${path}-other`);
    expect((await elsewhere(HTTP.binary(event()))).json).toMatchObject({ code: "forbidden" });
    await mq.ok("DELETE", `/v1/keys/${name}`);
    await mq.refused([405, "method_not_allowed"], "DELETE", path);
    await mq.refused([404, "route_not_found"], "GET", `${path}/x`);
    await mq.refused([400, "invalid_request"], "GET", `${path}?more=1`);
    await mq.refused([400, "invalid_request"], "GET", `${path}?key=a&offset=1`);
    await mq.refused([400, "invalid_request"], "GET", `${path}?constructor=1&toString=1`);
    await mq.refused([400, "invalid_request"], "GET", "/cloudevents/a b");
  },

  "a sender that asks before it sends is told that it may": async (mq) => {
    const topic = await mq.topic();
    const headers = { "webhook-request-origin": "eventemitter.example.com" };
    const answer = await mq.call("OPTIONS", pathOf(topic), undefined, { headers });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("webhook-allowed-origin")).toBe("eventemitter.example.com");
    expect(answer.headers.get("webhook-allowed-rate")).toBe("*");
  },
};
