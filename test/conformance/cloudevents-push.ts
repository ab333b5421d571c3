/** Pushes of events, taken by the packages `cloudevents` and `standardwebhooks` as they are, and the handshake before them. */
import { type CloudEventV1, HTTP, Mode } from "cloudevents";
import { Webhook } from "standardwebhooks";
import { expect } from "vitest";
import type { Cases } from "./client.ts";
import { emit, event, plain } from "./cloudevents-kit.ts";
import { type Json, there, until } from "./kit.ts";
import { drained, pushing } from "./push-kit.ts";

export const cloudEventPushes: Cases = {
  "a group that asks for events is pushed events, structured and binary, signed like any push":
    async (mq) => {
      for (const format of ["cloudevents-structured", "cloudevents-binary"]) {
        const topic = await mq.topic();
        const pushed = await pushing(topic, () => ({ status: 202 }), {
          push: { format, maxMessages: 100, concurrency: 1 },
        });
        // The package does not decode what a header must encode.
        const subject = format === "cloudevents-structured" ? "order 17 žluť" : "order-17";
        const sent = event({
          id: "1",
          subject,
          datacontenttype: "application/json",
          data: { a: "ž" },
        });
        await emit(topic, sent, Mode.STRUCTURED);
        await emit(
          topic,
          event({ id: "2", subject, datacontenttype: "text/plain", data: "two" }),
          Mode.STRUCTURED,
        );
        await topic.send(
          { body: { n: 3 }, tag: "native" },
          { bodyBase64: "AP8=", contentType: "image/x" },
        );
        await drained(topic);
        expect(pushed.calls, "one event a call").toHaveLength(4);
        const events = pushed.calls.map(({ headers, body }) => {
          const verifier = new Webhook(pushed.secret);
          verifier.verify(body, Object.fromEntries(headers), { jsonParse: false });
          return HTTP.toEvent<unknown>({ headers: Object.fromEntries(headers), body });
        }) as CloudEventV1<unknown>[];
        const byId = new Map(
          events.map((one) => [one.type === "order.paid" ? one.id : one.type, one]),
        );
        expect(plain(there(byId.get("1")))).toEqual(plain(sent));
        expect(byId.get("2")).toMatchObject({ data: "two", datacontenttype: "text/plain" });
        expect(byId.get("native")).toMatchObject({
          data: { n: 3 },
          source: `/v1/topics/${topic.name}`,
        });
        expect(byId.get("halfmq.message"), "no text, so no header can do").toMatchObject({
          data_base64: "AP8=",
        });
        const isBinary = pushed.calls.map(({ headers }) => headers.has("ce-specversion"));
        expect(isBinary.filter(Boolean)).toHaveLength(format === "cloudevents-binary" ? 3 : 0);
      }
    },

  "an event is acked by the status alone, whatever is answered": async (mq) => {
    const topic = await mq.topic();
    let calls = 0;
    await pushing(
      topic,
      () =>
        ++calls === 1
          ? { status: 415 }
          : { status: 200, body: JSON.stringify({ results: "of somebody else" }) },
      { push: { format: "cloudevents-structured" } },
    );
    await emit(topic, event(), Mode.BINARY);
    await drained(topic);
    expect(calls).toBe(2);
    expect(await topic.group("pushed").deadLetters()).toEqual([]);
  },

  "an endpoint is asked before its first event when the group wants that, and called when it agrees":
    async (mq) => {
      const topic = await mq.topic();
      let agrees = false;
      const pushed = await pushing(
        topic,
        ({ method }) => {
          if (method !== "OPTIONS") return { status: 200 };
          return agrees
            ? { status: 200, headers: { "WebHook-Allowed-Origin": "halfmq.example.com" } }
            : { status: 405 };
        },
        { push: { format: "cloudevents-binary", handshakeOrigin: "halfmq.example.com" } },
      );
      await emit(topic, event(), Mode.BINARY);
      await until("it is asked", () => pushed.calls.length > 0);
      const [question] = pushed.calls;
      expect(question?.method).toBe("OPTIONS");
      expect(question?.headers.get("webhook-request-origin")).toBe("halfmq.example.com");
      await until("the refusal shows", async () => (await pushed.state())["state"] === "waiting");
      expect(await pushed.state()).toMatchObject({
        lastFailure: { reason: "handshake_refused", status: 405 },
      });
      agrees = true;
      await drained(topic);
      const methods = pushed.calls.map(({ method }) => method);
      expect(methods.filter((method) => method === "POST")).toHaveLength(1);
      expect(methods.at(-1)).toBe("POST");
      expect(pushed.calls.at(-1)?.headers.get("halfmq-attempt"), "no attempt was lost").toBe("1");
    },

  "format and handshake are settings of a URL": async (mq) => {
    const topic = await mq.topic();
    const { path } = topic.group();
    const put = (push: Json) => mq.call("PUT", path, { push });
    for (const [push, field] of [
      [{ binding: "B", format: "cloudevents-binary" }, "push.format"],
      [{ binding: "B", handshakeOrigin: "a.example" }, "push.handshakeOrigin"],
      [{ url: "https://a.example", format: "xml" }, "push.format"],
      [{ url: "https://a.example", handshakeOrigin: "https://a" }, "push.handshakeOrigin"],
    ] as const)
      expect((await put(push)).json, field).toMatchObject({ code: "invalid_request", field });
    const url = "https://a.example/";
    const set = { format: "cloudevents-binary", handshakeOrigin: "b.example" };
    expect((await put({ url, ...set })).json["push"]).toMatchObject({ url, ...set });
    expect((await put({ concurrency: 1 })).json["push"]).toMatchObject(set);
    const off = (await put({ format: "messages", handshakeOrigin: "" })).json["push"];
    expect(off).not.toHaveProperty("format");
    expect(off).not.toHaveProperty("handshakeOrigin");
    await mq.ok("DELETE", path);
  },
};
