/** Bodies on their way out and in: JSON as it is written, exact JSON text, and bytes. */
import * as fc from "../kit/properties.node.ts";
import { describe, expect, test } from "vitest";
import type { Message } from "../../src/client/index.ts";
import { bodyTexts } from "../../src/client/json-text.ts";
import { FakeBroker } from "./fake-broker.node.ts";
import { GROUP, GROUP_PATH, TOPIC } from "./fake-group.node.ts";

const SEND = `POST /v1/topics/${TOPIC}/messages`;
const SENT = { json: { messages: [{ id: "m1" }, { id: "m2" }] } };

describe("an outgoing message", () => {
  test("travels with everything that was said of it", async () => {
    const broker = new FakeBroker().script(SEND, SENT);
    const options = {
      tag: "new",
      keys: ["k"],
      properties: { a: "b" },
      messageGroup: "g",
      delayMs: 5,
    };
    await broker.client().send(TOPIC, { body: { n: 1 }, ...options });
    expect(broker.requests[0]?.json).toEqual({ messages: [{ body: { n: 1 }, ...options }] });
  });

  test("answers for itself, or for its list", async () => {
    const mq = new FakeBroker().script(SEND, SENT).client();
    expect((await mq.send(TOPIC, { body: 1 })).id).toBe("m1");
    expect((await mq.send(TOPIC, [{ body: 1 }, { body: 2 }])).map(({ id }) => id)).toEqual([
      "m1",
      "m2",
    ]);
  });

  test("keeps every digit of its bodyText", async () => {
    const broker = new FakeBroker().script(SEND, SENT);
    const bodyText = '{"n": 12345678901234567890.10}';
    await broker.client().send(TOPIC, [{ bodyText, tag: "t" }, { bodyText: "1.0" }]);
    expect(broker.requests[0]?.text).toBe(
      `{"messages":[{"body":${bodyText},"tag":"t"},{"body":1.0}]}`,
    );
  });

  test("is refused when its bodyText is not JSON, before anything is sent", async () => {
    const broker = new FakeBroker().script(SEND, SENT);
    const sending = broker.client().send(TOPIC, { bodyText: '1,"tag":"smuggled"' });
    await expect(sending).rejects.toThrow(SyntaxError);
    expect(broker.requests).toEqual([]);
  });

  test("carries bytes as Base64", async () => {
    const broker = new FakeBroker().script(SEND, SENT);
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index % 256);
    await broker.client().send(TOPIC, { bytes });
    const [message] = broker.requests[0]?.json.messages ?? [];
    expect(Buffer.from(message.bodyBase64, "base64").equals(bytes)).toBe(true);
  });
});

describe("a received message", () => {
  test("gives its body as JSON, as its exact text and as bytes", async () => {
    const message = await receive('{"id":"m","tag":"]","body":{"n" : 12345678901234567890}}');
    expect(message.json()).toEqual({ n: 12345678901234567000 });
    expect(message.body).toEqual({ n: 12345678901234567000 });
    expect(message.bodyText).toBe('{"n" : 12345678901234567890}');
    expect(message.text()).toBe('{"n" : 12345678901234567890}');
  });

  test("gives a binary body as bytes, and reads it as JSON when asked", async () => {
    const message = await receive('{"id":"m","bodyBase64":"eyJuIjoxfQ=="}');
    expect([...message.bytes()]).toEqual([...Buffer.from('{"n":1}')]);
    expect(message.json()).toEqual({ n: 1 });
    expect(message.bodyText).toBeUndefined();
  });
});

test("the text of every body is found in any answer", () => {
  const spaced = fc.constantFrom(0, 2);
  fc.assert(
    fc.property(fc.array(fc.json()), fc.jsonValue(), spaced, (bodies, noise, space) => {
      const items = bodies.map(
        (body) => `{"noise":${JSON.stringify(noise, null, space)},"body": ${body} }`,
      );
      const answer = `{ "noise": ${JSON.stringify(noise)}, "messages": [${items.join(" , ")}]}`;
      expect(bodyTexts(answer, "messages")).toEqual(bodies);
    }),
  );
});

/** The first message of an answer with these. */
async function receive(messages: string): Promise<Message> {
  const broker = new FakeBroker();
  broker.on(`POST ${GROUP_PATH}/receive`, () => ({ text: `{"messages": [${messages}]}` }));
  const [message] = await broker.client().consumer(TOPIC, GROUP).receive();
  if (message === undefined) throw new Error("no message");
  return message;
}
