/** Publish, consume and ack, as Alibaba Cloud's SDK does it. */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { until } from "../../conformance/kit.ts";
import { bodiesOf, type Cases, first, properties, thrown } from "./kit.ts";

/** Long enough for whatever is on its way. */
const WAIT_SECONDS = 10;

const md5 = (text: string): string => createHash("md5").update(text).digest("hex").toUpperCase();

export const messages: Cases = {
  "row 199: a publish over HTTP answers 201 with the id and the digest of the body": async (
    door,
  ) => {
    const { code, requestId, body } = await door.producer.publishMessage("hello");
    expect(code).toBe(201);
    expect(requestId).toMatch(/^\S+$/);
    expect(body).toEqual({ MessageId: body.MessageId, MessageBodyMD5: md5("hello") });
    const native = await door.mq.ok<{ state: string }>("GET", `/v1/messages/${body.MessageId}`);
    expect(native.state).toBe("ready");
  },

  "row 200: a body with & over HTTP arrives intact": async (door) => {
    await door.producer.publishMessage("a=1&b=2&amp;");
    expect(bodiesOf(await door.consumer().consumeMessage(1, WAIT_SECONDS))).toEqual([
      "a=1&b=2&amp;",
    ]);
  },

  "row 201: signs of XML in a property are refused by the SDK itself": async () => {
    for (const sign of ["'", '"', "&", "<", ">", "|", ":"])
      expect(() => properties({ user: { name: `a${sign}b` } })).toThrow("can not contains");
    expect(await Promise.resolve(properties({ user: { name: "a.b" } }))).toBeDefined();
  },

  "row 204: a body with ]]> from the SDK is 400 MalformedXML, and nothing is stored": async (
    door,
  ) => {
    expect(await thrown(door.producer.publishMessage("a]]>b"))).toBe("MalformedXML");
    expect(await thrown(door.producer.publishMessage(Buffer.from("bytes")))).toBe("MalformedXML");
    await door.producer.publishMessage("after");
    expect(bodiesOf(await door.consumer().consumeMessage(16, WAIT_SECONDS))).toEqual(["after"]);
  },

  "row 205: a body of <&>, CRLF and emoji comes back as the same text": async (door) => {
    const texts = [
      "<&>",
      "line\r\nline\rline\n",
      "\u{1F600} ünï",
      "\"'",
      "]]",
      "a\tb",
      "<![CDATA[x",
    ];
    for (const text of texts) await door.producer.publishMessage(text);
    const seen: string[] = [];
    await until("all of them", async () => {
      const { body } = await door.consumer().consumeMessage(16, WAIT_SECONDS);
      for (const message of body) expect(message.MessageBodyMD5).toBe(md5(message.MessageBody));
      seen.push(...body.map((message) => message.MessageBody));
      return seen.length >= texts.length;
    });
    expect(seen).toEqual(texts);
  },

  "row 139: a consume shows every field, and its ack is 204": async (door) => {
    const sent = await door.producer.publishMessage(
      "body",
      "TagA",
      properties({ key: "k-1", shardingKey: "s-1", user: { colour: "red", size: "7" } }),
    );
    const { code, requestId, body } = await door.consumer().consumeMessage(3, WAIT_SECONDS);
    expect({ code, count: body.length }).toEqual({ code: 200, count: 1 });
    expect(requestId).toMatch(/^\S+$/);
    const [message] = body;
    expect(message).toMatchObject({
      MessageId: sent.body.MessageId,
      MessageBodyMD5: md5("body"),
      MessageBody: "body",
      ConsumedTimes: "1",
      MessageTag: "TagA",
      MessageKey: "k-1",
      ShardingKey: "s-1",
      Properties: { colour: "red", size: "7" },
    });
    const times = [message?.PublishTime, message?.FirstConsumeTime, message?.NextConsumeTime];
    const [published = 0, consumed = 0, next = 0] = times.map(Number);
    expect(published).toBeLessThanOrEqual(consumed);
    // The group is new: its leases are those of the service.
    expect(next - consumed).toBeGreaterThan(290_000);
    expect(next - consumed).toBeLessThanOrEqual(300_000);
    const acked = await door.consumer().ackMessage([message?.ReceiptHandle ?? ""]);
    expect({ code: acked.code, body: acked.body }).toEqual({ code: 204, body: undefined });
  },

  "a message without a key has the id of its request as key": async (door) => {
    const { requestId } = await door.producer.publishMessage("no key");
    expect(first(await door.consumer().consumeMessage(1, WAIT_SECONDS)).MessageKey).toBe(requestId);
  },

  "an empty body is a body": async (door) => {
    await door.producer.publishMessage("");
    expect(bodiesOf(await door.consumer().consumeMessage(1, WAIT_SECONDS))).toEqual([""]);
  },

  "row 140: an ack of two garbage handles is 404 with an error for each": async (door) => {
    await door.producer.publishMessage("one");
    const { code, body } = await door.consumer().ackMessage(["garbage-1", "garbage-2"]);
    expect(code).toBe(404);
    expect(body?.map(({ ErrorCode, ReceiptHandle }) => [ErrorCode, ReceiptHandle])).toEqual([
      ["ReceiptHandleError", "garbage-1"],
      ["ReceiptHandleError", "garbage-2"],
    ]);
  },

  "an ack tells of the handles that failed and takes the others": async (door) => {
    await door.setGroup({ invisibleMs: 1_000 });
    await door.producer.publishMessage("one");
    const consumer = door.consumer();
    const old = first(await consumer.consumeMessage(1, WAIT_SECONDS));
    const again = first(await consumer.consumeMessage(1, WAIT_SECONDS));
    expect([old.ConsumedTimes, again.ConsumedTimes]).toEqual(["1", "2"]);
    const { code, body } = await consumer.ackMessage([old.ReceiptHandle, again.ReceiptHandle]);
    expect(code).toBe(404);
    expect(body).toMatchObject([
      { ErrorCode: "MessageNotExist", ReceiptHandle: old.ReceiptHandle },
    ]);
    // An ack may come twice.
    expect((await consumer.ackMessage([again.ReceiptHandle])).code).toBe(204);
    expect(await thrown(consumer.consumeMessage(1, 2))).toBe("MessageNotExist");
  },

  "row 141: a consume of nothing is 404 MessageNotExist after the wait": async (door) => {
    const consumer = door.consumer();
    expect(await thrown(consumer.consumeMessage(1))).toBe("MessageNotExist");
    const askedAt = Date.now();
    expect(await thrown(consumer.consumeMessage(1, 2))).toBe("MessageNotExist");
    expect(Date.now() - askedAt).toBeGreaterThanOrEqual(1_990);
  },

  "a consume that waits is answered when a message comes": async (door) => {
    const consumer = door.consumer();
    const waiting = consumer.consumeMessage(1, 30);
    await door.producer.publishMessage("now");
    expect(bodiesOf(await waiting)).toEqual(["now"]);
  },

  "row 142: 17 messages or 31 seconds are InvalidArgument": async (door) => {
    const consumer = door.consumer();
    for (const [count, seconds] of [
      [17, 0],
      [0, 0],
      [1, 31],
      [1.5, 0],
    ] as const)
      expect(await thrown(consumer.consumeMessage(count, seconds))).toBe("InvalidArgument");
    await door.producer.publishMessage("one");
    expect(bodiesOf(await consumer.consumeMessage(16, 30))).toEqual(["one"]);
  },

  "row 142b: an ack without handles is MissingReceiptHandle": async (door) => {
    expect(await thrown(door.consumer().ackMessage([]))).toBe("MissingReceiptHandle");
  },

  "row 92: a message with a start time over HTTP is answered 201 and delivered then": async (
    door,
  ) => {
    const deliverAt = Date.now() + 3_000;
    const sent = await door.producer.publishMessage("later", "", properties({ deliverAt }));
    expect(sent.code).toBe(201);
    const message = first(await door.consumer().consumeMessage(1, 30));
    expect(message).toMatchObject({ MessageBody: "later", StartDeliverTime: deliverAt });
    expect(Date.now()).toBeGreaterThanOrEqual(deliverAt);
  },

  "a start time in the past means now, one beyond a year is InvalidArgument": async (door) => {
    const publish = (deliverAt: number) =>
      door.producer.publishMessage("body", "", properties({ deliverAt }));
    await publish(Date.now() - 60_000);
    expect(bodiesOf(await door.consumer().consumeMessage(1, WAIT_SECONDS))).toEqual(["body"]);
    expect(await thrown(publish(Date.now() + 400 * 24 * 3_600_000))).toBe("InvalidArgument");
    expect(await thrown(publish(-1))).toBe("InvalidArgument");
  },

  "a tag is a filter, several have || between them, and the last that is said counts": async (
    door,
  ) => {
    const take = async (tag: string | undefined, group: string): Promise<string[]> =>
      bodiesOf(await door.consumer(tag, group).consumeMessage(16, WAIT_SECONDS));
    for (const tag of ["A", "B", "C", "it's|+ %"]) await door.producer.publishMessage(tag, tag);
    await door.producer.publishMessage("untagged");
    expect(await take("A", "one")).toEqual(["A"]);
    expect(await take("A||C", "two")).toEqual(["A", "C"]);
    expect(await take("it's|+ %", "quoted")).toEqual(["it's|+ %"]);
    expect(await take("*", "all")).toEqual(["A", "B", "C", "it's|+ %", "untagged"]);
    expect(await take(undefined, "none")).toEqual(["A", "B", "C", "it's|+ %", "untagged"]);
    // What the first filter passed over stays so; what comes is judged by the new one.
    await door.producer.publishMessage("B2", "B");
    expect(await take("B", "one")).toEqual(["B2"]);
    await door.producer.publishMessage("D2", "D");
    expect(await take(undefined, "one")).toEqual(["D2"]);
    expect(await thrown(door.consumer("A||").consumeMessage(1))).toBe("InvalidArgument");
  },

  "a filter in SQL is left alone, and a tag does not replace it": async (door) => {
    await door.setGroup({ filter: { sql: "colour = 'red'" } });
    await door.producer.publishMessage("blue", "A", properties({ user: { colour: "blue" } }));
    await door.producer.publishMessage("red", "A", properties({ user: { colour: "red" } }));
    expect(bodiesOf(await door.consumer().consumeMessage(16, WAIT_SECONDS))).toEqual(["red"]);
    expect(await thrown(door.consumer("A").consumeMessage(1))).toBe("InvalidArgument");
  },

  "native programs and programs of the SDK read each other's messages": async (door) => {
    const path = `/v1/topics/${door.topic}`;
    await door.producer.publishMessage("text", "T", properties({ key: "a b", user: { n: "v" } }));
    const native = await door.mq.ok<{ messages: readonly object[] }>(
      "POST",
      `${path}/groups/native/receive`,
      { waitMs: 10_000 },
    );
    expect(native.messages).toMatchObject([
      { body: "text", tag: "T", keys: ["a", "b"], properties: { n: "v" } },
    ]);
    const bytes = Buffer.from([0, 1, 255]).toString("base64");
    const send = (message: object) => door.mq.ok("POST", `${path}/messages`, message);
    await send({ body: { n: 1.0 }, properties: { "bad:name": "x", bad: "a|b", good: "g" } });
    await send({ bodyBase64: bytes });
    await send({ body: "bell \u0007", tag: "\u0001" });
    const { body } = await door.consumer().consumeMessage(16, WAIT_SECONDS);
    const shown = body.map(({ MessageBody, Properties }) => [MessageBody, Properties]);
    expect(shown).toEqual([
      ["text", { n: "v" }],
      ['{"n":1}', { good: "g" }],
      [bytes, { __HALFMQ_BODY: "base64" }],
      [Buffer.from("bell \u0007").toString("base64"), { __HALFMQ_BODY: "base64" }],
    ]);
    expect(body[0]?.MessageKey).toBe("a b");
    expect(body[3]?.MessageTag).toBeUndefined();
  },
};
