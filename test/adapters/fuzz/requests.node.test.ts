/** Whatever a caller says at a door is answered in its own words: nothing that can be said is a bug. */
import * as fc from "../../kit/properties.node.ts";
import { expect, test } from "vitest";
import { INPUTS } from "../../../src/adapters/sqs/inputs.ts";
import { ask, CHANCE, encoded, INNATE, type Said, word } from "./kit.node.ts";

/** Of SQS, of Cloudflare Queues, of CloudEvents. */
const FIELDS = (
  "QueueUrl QueueName Entries Id MessageBody DelaySeconds MessageAttributes DataType StringValue BinaryValue " +
  "Attributes AttributeNames ReceiptHandle RedrivePolicy SourceArn TaskHandle Tags TagKeys VisibilityTimeout " +
  "body content_type messages delay_seconds acks retries lease_id " +
  "specversion id source type time data data_base64 expirytime"
).split(" ");
const FORM_NAMES = (
  "Attribute MessageAttribute Tag TagKey SendMessageBatchRequestEntry DeleteMessageBatchRequestEntry " +
  "MessageBody QueueName Id Name Value 1 2"
).split(" ");
const QUERY_NAMES = ["limit", "queue", "offset", "key", "from", "to", "cursor"];

const field = fc.oneof(fc.constantFrom(...FIELDS), fc.constantFrom(...INNATE), fc.string());
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { depthSize: "small" },
    word,
    fc.double(),
    fc.constant(null),
    fc.array(tie("json"), { maxLength: 4 }),
    fc.array(fc.tuple(field, tie("json")), { maxLength: 6 }).map(Object.fromEntries),
  ),
}));
const object = fc
  .array(fc.tuple(field, json), { maxLength: 8 })
  .map((pairs) => JSON.stringify(Object.fromEntries(pairs)));
const body = fc.oneof({ weight: 6, arbitrary: object }, { weight: 1, arbitrary: word });

/** A form, or a query: names of so many parts. */
const formOf = (names: readonly string[], partsMax: number): fc.Arbitrary<string> => {
  const name = fc.array(fc.constantFrom(...names, ...INNATE), {
    minLength: 1,
    maxLength: partsMax,
  });
  const pairs = fc.array(fc.tuple(name, word), { maxLength: 6 });
  return pairs.map((all) =>
    all.map(([parts, value]) => `${parts.map(encoded).join(".")}=${encoded(value)}`).join("&"),
  );
};

const MARKUP = [
  "<a>",
  "</a>",
  "<![CDATA[",
  "]]>",
  "&amp;",
  "&#1;",
  "&x;",
  "<",
  "\r",
  "<?x",
  "<!--",
];
const markup = fc
  .array(fc.oneof(word, fc.constantFrom(...MARKUP)), { maxLength: 6 })
  .map((parts) => parts.join(""));
const element = (name: string, inner: string): string => `<${name}>${inner}</${name}>`;
const actions = fc.constantFrom(...Object.keys(INPUTS), ...INNATE);

const SAID: Readonly<Record<string, readonly [Parameters<typeof ask>[0], fc.Arbitrary<Said>]>> = {
  "SQS in JSON": [
    "sqs",
    fc
      .tuple(
        actions.filter((name) => name !== "__proto__"),
        body,
      )
      .map(([action, text]) => ({
        method: "POST",
        target: "/",
        headers: { "x-amz-target": `AmazonSQS.${action}` },
        body: text,
      })),
  ],
  "SQS in forms": [
    "sqs",
    fc.tuple(actions, formOf(FORM_NAMES, 6)).map(([action, form]) => ({
      method: "POST",
      target: "/",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: `Action=${action}&QueueUrl=/default/q&${form}`,
    })),
  ],
  "Cloudflare Queues": [
    "cloudflareQueues",
    fc
      .tuple(
        fc.constantFrom("POST", "PUT", "PATCH"),
        fc.oneof(word.map(encoded), fc.constant("default")),
        fc.constantFrom("", "/messages", "/messages/batch", "/messages/pull", "/messages/ack"),
        body,
      )
      .map(([method, account, path, text]) => ({
        method,
        target: `/client/v4/accounts/${account}/queues${path === "" ? "" : "/q"}${path}`,
        body: text,
      })),
  ],
  "CloudEvents in": [
    "cloudEvents",
    fc
      .tuple(
        fc.constantFrom("cloudevents+json", "cloudevents-batch+json", "json"),
        fc.oneof(
          body,
          body.map((text) => `[${text}]`),
        ),
        fc.dictionary(
          fc.constantFrom("ce-id", "ce-source", "ce-type", "ce-x", "ce-specversion"),
          fc.constantFrom("1", "1.0", "%ff", '"', "a b"),
        ),
      )
      .map(([type, text, headers]) => ({
        method: "POST",
        target: "/cloudevents/q",
        headers: { ...headers, "content-type": `application/${type}` },
        body: text,
      })),
  ],
  "CloudEvents out": [
    "cloudEvents",
    fc.tuple(word.map(encoded), formOf(QUERY_NAMES, 1)).map(([topic, query]) => ({
      method: "GET",
      target: `/cloudevents/${topic}?${query}`,
    })),
  ],
  "RocketMQ over HTTP": [
    "rocketmq",
    fc
      .tuple(
        fc.constantFrom("POST", "DELETE"),
        fc.oneof(formOf(["consumer", "trans", "ns", "tag"], 1), fc.constant("consumer=g")),
        fc.oneof(
          markup,
          markup.map((text) => element("Message", element("Properties", text))),
          markup.map((text) => element("ReceiptHandles", element("ReceiptHandle", text))),
        ),
      )
      .map(([method, query, text]) => ({
        method,
        target: `/topics/q/messages?${query}`,
        body: text,
      })),
  ],
};

test.each(Object.entries(SAID))("%s", async (_, [door, said]) => {
  await fc.assert(
    fc.asyncProperty(said, async (each) => {
      const answer = await ask(door, {}, each);
      expect(answer.status).toBeLessThan(500);
      await answer.text();
    }),
    CHANCE,
  );
});
