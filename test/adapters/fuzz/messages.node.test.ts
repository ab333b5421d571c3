/** Whatever a native program puts into a message comes out of every door, each message once, in words that its readers take. */
import * as fc from "../../kit/properties.node.ts";
import { SaxesParser } from "saxes";
import { expect, test } from "vitest";
import type { Content } from "../../../src/core/record.ts";
import type { Broker, Delivery } from "../../../src/broker/broker.ts";
import { accept } from "../../../src/protocol/errors.ts";
import { ask, CHANCE, INNATE, NOW_MS, type Said, word } from "./kit.node.ts";

const text = word.filter((each) => each !== "");
const name = fc.oneof(
  fc.constantFrom(...INNATE),
  fc.constantFrom("a", "sqs:types", "sqs:MessageId", "ce_id", "ce_specversion", "ce_time", "KEYS"),
  text,
);
const types = fc.dictionary(name, fc.constantFrom("Number", "Binary", "String.x", "none"));
const value = fc.oneof(
  text,
  types.map((each) => JSON.stringify(each)),
);

const content: fc.Arbitrary<Content> = fc
  .record(
    {
      body: fc.oneof(
        fc.jsonValue().map((each) => ({ json: JSON.stringify(each) })),
        word.map((each) => ({ json: JSON.stringify(each) })),
        fc.uint8Array({ maxLength: 20 }).map((bytes) => ({ bytes })),
      ),
      contentType: fc.constantFrom("text/plain; charset=utf-8", "application/json", "image/x"),
      tag: text,
      keys: fc.array(text, { minLength: 1, maxLength: 3 }),
      messageGroup: text,
      properties: fc
        .array(fc.tuple(name, value), { maxLength: 5 })
        .map((pairs) => Object.fromEntries(pairs)),
    },
    { requiredKeys: ["body"] },
  )
  .map((each) => each as Content);

const deliveryOf = (each: Content, place: number): Delivery => ({
  id: `m${place}`,
  topic: "q",
  queue: 0,
  offset: place,
  sentAt: NOW_MS,
  storedAt: NOW_MS,
  content: each,
  deliveryAttempt: 1,
  receipt: `r${place}`,
  invisibleUntil: NOW_MS + 1,
});

/** How many elements of that name a document has that a strict parser takes. */
function elementsIn(document: string, wanted: string): number {
  let count = 0;
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name: found }) => {
    if (found === wanted) count++;
  });
  parser.write(document).close();
  return count;
}

const listIn = (document: string, path: (parsed: never) => unknown): number => {
  const list = path(JSON.parse(document) as never);
  return Array.isArray(list) ? list.length : 0;
};

interface Shown {
  readonly door: Parameters<typeof ask>[0];
  readonly said: Said;
  readonly count: (document: string) => number;
}

const SHOWN: Readonly<Record<string, Shown>> = {
  "SQS in JSON": {
    door: "sqs",
    said: {
      method: "POST",
      target: "/",
      headers: { "x-amz-target": "AmazonSQS.ReceiveMessage" },
      body: JSON.stringify({
        QueueUrl: "/default/q",
        MessageAttributeNames: ["All"],
        AttributeNames: ["All"],
      }),
    },
    count: (document) => listIn(document, ({ Messages }: { Messages: unknown }) => Messages),
  },
  "SQS in XML": {
    door: "sqs",
    said: {
      method: "POST",
      target: "/",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "Action=ReceiveMessage&QueueUrl=/default/q&AttributeName.1=All&MessageAttributeName.1=All",
    },
    count: (document) => elementsIn(document, "Message"),
  },
  "Cloudflare Queues": {
    door: "cloudflareQueues",
    said: { method: "POST", target: "/client/v4/accounts/default/queues/q/messages/pull" },
    count: (document) =>
      listIn(document, ({ result }: { result: { messages: unknown } }) => result.messages),
  },
  CloudEvents: {
    door: "cloudEvents",
    said: { method: "GET", target: "/cloudevents/q" },
    count: (document) => listIn(document, (events) => events),
  },
  "RocketMQ over HTTP": {
    door: "rocketmq",
    said: { method: "GET", target: "/topics/q/messages?consumer=g&numOfMessages=16" },
    count: (document) => elementsIn(document, "Message"),
  },
};

test.each(Object.entries(SHOWN))("%s", async (_, { door, said, count }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 4 }), async (contents) => {
      const messages = contents.map(deliveryOf);
      const settings = { ordered: false, mode: "shared" };
      const broker: { readonly [K in keyof Broker]?: Broker[K] } = {
        receive: async () => accept({ messages, paused: false }),
        peek: async () => accept({ items: messages }),
        group: async () => accept({ settings } as never),
      };
      const answer = await ask(door, broker, said);
      const document = await answer.text();
      expect(answer.status, document).toBe(200);
      expect(count(document), document).toBe(messages.length);
    }),
    CHANCE,
  );
});
