/** Who signed a request and what it says: right, wrong, quoted on the way, and each error that the protocol has for it. */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { claimOf, signedTarget } from "../../../src/adapters/rocketmq/signature.ts";
import { bodiesOf, type Cases, type Door, thrown } from "./kit.ts";
import { leafOf, raw, told } from "./raw.ts";

const NAMESPACE = "http://mq.aliyuncs.com/doc/v1";
const pathOf = ({ topic }: Door): string => `/topics/${topic}/messages`;
const publishXml = (inner: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Message xmlns="${NAMESPACE}">${inner}</Message>`;

interface Key {
  readonly id: string;
  readonly secret: string;
}

/** A key of its own, as an SDK is configured with it. */
async function keyOf(door: Door, settings: object, namespace = "default"): Promise<Key> {
  const name = `key-${door.topic}`;
  const root = door.mq.with(door.running.rootKey, { "halfmq-namespace": namespace });
  const { key } = await root.ok<{ key: string }>("PUT", `/v1/keys/${name}`, settings);
  const pair = await door.mq
    .with(key)
    .ok<{ accessKeyId: string; secretAccessKey: string }>("GET", "/v1/signing-pair");
  return { id: pair.accessKeyId, secret: pair.secretAccessKey };
}

const at = (offsetMs: number): string => new Date(Date.now() + offsetMs).toUTCString();

export const signing: Cases = {
  "row 202: the signature of a known request is that of the SDK's own test": async () => {
    const headers = new Headers({
      "content-md5": "574683b3684e3cff610afa155cc2506d",
      "content-type": "text/xml",
      date: "Tue, 11 Apr 2017 10:09:19 GMT",
      "x-mq-version": "2015-06-06",
      authorization: "MQ ACCESS_KEY_ID:G7NRBqmP9XfhTJ/pV3AgYQtXaaU=",
    });
    const request = { method: "PUT", target: "/", headers };
    const claim = claimOf(request, Date.UTC(2017, 3, 11, 10, 20));
    if (!claim.ok) throw new Error(claim.detail);
    expect(claim.value.accessKeyId).toBe("ACCESS_KEY_ID");
    expect(await signedTarget("ACCESS_KEY_SECRET", claim.value, request)).toBe("/");
    expect(await signedTarget("ACCESS_KEY_SECRE7", claim.value, request)).toBeUndefined();
  },

  "row 203: a wrong secret over HTTP is 403 SignatureDoesNotMatch": async (door) => {
    const wrong = door.client("root", "wrong").getProducer("", door.topic);
    expect(await thrown(wrong.publishMessage("body"))).toBe("SignatureDoesNotMatch");
    const answer = await raw(door, { target: pathOf(door), secret: "wrong" });
    expect(told(answer)).toBe("403 SignatureDoesNotMatch");
    await door.producer.publishMessage("right");
    expect(bodiesOf(await door.consumer().consumeMessage(16, 10))).toEqual(["right"]);
  },

  "row 206: every answer is of a content type that the SDK reads, and names its request": async (
    door,
  ) => {
    const target = `${pathOf(door)}?consumer=${door.group}&numOfMessages=1`;
    const answers = [
      await raw(door, {
        method: "POST",
        target: pathOf(door),
        body: publishXml("<MessageBody>a</MessageBody>"),
      }),
      await raw(door, { target }),
      await raw(door, { target }),
      await raw(door, { target: "/nowhere" }),
      await raw(door, { target, secret: "wrong" }),
      await raw(door, { target, headers: { authorization: "" } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 404, 400, 403, 400]);
    for (const { headers } of answers) {
      expect(headers["content-type"]).toBe("text/xml;charset=utf-8");
      expect(headers["x-mq-request-id"]).toMatch(/^\S+$/);
    }
    for (const answer of answers.slice(2))
      for (const leaf of ["Code", "Message", "RequestId", "HostId"])
        expect(leafOf(answer, leaf), leaf).toMatch(/./);
  },

  "a key that nobody has is InvalidAccessKeyId, and so is one that is gone": async (door) => {
    for (const id of ["nobody", "default.nobody", "other-namespace.key", "root@Bad"])
      expect(told(await raw(door, { target: pathOf(door), id }))).toBe("403 InvalidAccessKeyId");
    const { id, secret } = await keyOf(door, { scopes: ["send"], expiresAt: Date.now() + 600_000 });
    await door.client(id, secret).getProducer("", door.topic).publishMessage("a");
    await door.mq.ok("DELETE", `/v1/keys/key-${door.topic}`);
    await expect
      .poll(async () => told(await raw(door, { target: pathOf(door), id, secret })), {
        timeout: 15_000,
      })
      .toBe("403 InvalidAccessKeyId");
  },

  "a key does over this door what its scopes and topics allow": async (door) => {
    const { id, secret } = await keyOf(door, { scopes: ["send"], topics: [door.topic] });
    const client = door.client(id, secret);
    await client.getProducer("", door.topic).publishMessage("allowed");
    const other = client.getProducer("", `${door.topic}-2`);
    expect(await thrown(other.publishMessage("not"))).toBe("AccessDenied");
    const consumer = client.getConsumer("", door.topic, door.group);
    expect(await thrown(consumer.consumeMessage(1))).toBe("AccessDenied");
    expect(await thrown(consumer.ackMessage(["a"]))).toBe("AccessDenied");
    const half = client.getTransProducer("", door.topic, door.group);
    expect(await thrown(half.consumeHalfMessage(1))).toBe("AccessDenied");
    expect(await thrown(half.commit("a"))).toBe("AccessDenied");
  },

  "an instance is a namespace: of a key its own, of the root key any": async (door) => {
    const namespace = `mq-inst-${Date.now()}-${door.topic.slice(-4).replace("-", "x")}`;
    const instance = namespace.toUpperCase().replaceAll("-", "_");
    const { id, secret } = await keyOf(door, { scopes: ["send", "consume"] }, namespace);
    await door.client(id, secret).getProducer(instance, door.topic).publishMessage("there");
    await door.producer.publishMessage("here");
    const there = door.client().getConsumer(instance, door.topic, door.group);
    expect(bodiesOf(await there.consumeMessage(16, 10))).toEqual(["there"]);
    expect(bodiesOf(await door.consumer().consumeMessage(16, 10))).toEqual(["here"]);
    const foreign = door.client(id, secret).getProducer("MQ_INST_other", door.topic);
    expect(await thrown(foreign.publishMessage("no"))).toBe("AccessDenied");
    const misnamed = door.client().getProducer("a.b", door.topic);
    expect(await thrown(misnamed.publishMessage("no"))).toBe("InvalidArgument");
  },

  "Authorization and Date are there, readable and of now": async (door) => {
    const asked = async (headers: Readonly<Record<string, string | undefined>>): Promise<string> =>
      told(await raw(door, { target: pathOf(door), headers }));
    const signature = "G7NRBqmP9XfhTJ/pV3AgYQtXaaU=";
    expect(await asked({ authorization: "" })).toBe("400 MissingAuthorizationHeader");
    for (const wrong of ["MQ root", "MQ root:short", "MQ :", `Basic root:${signature}`])
      expect(await asked({ authorization: wrong })).toBe("400 InvalidAuthorizationHeader");
    expect(await asked({ date: undefined })).toBe("400 MissingDateHeader");
    expect(await asked({ date: "yesterday" })).toBe("400 InvalidDateHeader");
    expect(await asked({ date: at(-16 * 60_000) })).toBe("408 TimeExpired");
    expect(await asked({ date: at(16 * 60_000) })).toBe("408 TimeExpired");
    // In time and well signed, so that the next thing is told: there is no GET without a consumer.
    expect(await asked({ date: at(-14 * 60_000) })).toBe("400 InvalidArgument");
    expect(await asked({ date: at(14 * 60_000) })).toBe("400 InvalidArgument");
  },

  "a token of temporary credentials is refused, not ignored": async (door) => {
    const target = `${pathOf(door)}?consumer=g&numOfMessages=1`;
    const answer = await raw(door, { target, headers: { "security-token": "token" } });
    expect(told(answer)).toBe("400 InvalidArgument");
  },

  "a digest is that of the body, in either spelling, or absent": async (door) => {
    const body = publishXml("<MessageBody>a</MessageBody>");
    const digest = createHash("md5").update(body).digest();
    const publish = async (md5: string | undefined): Promise<string> => {
      const headers = { "content-md5": md5 };
      const answer = await raw(door, { method: "POST", target: pathOf(door), body, headers });
      return answer.status === 201 ? "201" : told(answer);
    };
    expect(await publish(Buffer.from(digest.toString("hex")).toString("base64"))).toBe("201");
    expect(await publish(digest.toString("base64"))).toBe("201");
    expect(await publish(undefined)).toBe("201");
    expect(await publish(Buffer.alloc(16).toString("base64"))).toBe("400 InvalidDigest");
  },

  "a line that is none of the protocol's is told so": async (door) => {
    const path = pathOf(door);
    const ask = async (method: string, target: string): Promise<string> =>
      told(await raw(door, { method, target }));
    expect(await ask("GET", "/topics")).toBe("400 InvalidRequestURL");
    expect(await ask("GET", `/topics/${door.topic}`)).toBe("400 InvalidRequestURL");
    expect(await ask("GET", `/base${path}`)).toBe("400 InvalidRequestURL");
    expect(await ask("GET", `${path}/`)).toBe("400 InvalidRequestURL");
    expect(await ask("PUT", path)).toBe("400 InvalidQueryString");
    expect(await ask("GET", `${path}?trans=commit&consumer=g`)).toBe("400 InvalidQueryString");
    expect(await ask("GET", `${path}?consumer=g&numofmessages=1`)).toBe("400 InvalidQueryString");
    expect(await ask("GET", `${path}?consumer=g&consumer=g`)).toBe("400 InvalidQueryString");
    expect(await ask("GET", `${path}?consumer=g&tag=%ff`)).toBe("400 InvalidQueryString");
    expect(await ask("GET", `${path}?consumer=g`)).toBe("400 InvalidArgument");
    expect(await ask("GET", `${path}?consumer=a,b&numOfMessages=1`)).toBe("400 InvalidArgument");
    expect(await ask("GET", `/topics/${"t".repeat(128)}/messages`)).toBe("400 InvalidArgument");
  },

  "a topic that is not there has nothing to ack": async (door) => {
    expect(await thrown(door.consumer().ackMessage(["a"]))).toBe("TopicNotExist");
  },

  "what is quoted behind an SDK's back is what the SDK signed": async (door) => {
    await door.producer.publishMessage("body", "it's");
    const query = (tag: string): string => `?consumer=${door.group}&tag=${tag}&numOfMessages=1`;
    const plain = pathOf(door) + query("it's");
    for (const sent of [plain, pathOf(door) + query("it%27s")]) {
      const answer = await raw(door, { target: plain, sent });
      expect(["200", "404"]).toContain(String(answer.status));
    }
    // Quoted by the SDK itself, and signed so.
    const escaped = pathOf(door) + query("it%27s%20%22%7C%3C%3E");
    expect(told(await raw(door, { target: escaped }))).toBe("404 MessageNotExist");
    // A name that no topic or group has, however it is sent, is no wrong signature.
    for (const name of ["a b", "a|b", "a<b>", "a'b", 'a"b']) {
      const target = `/topics/${name}/messages?consumer=${name}&numOfMessages=1`;
      const sent = target.replaceAll(/[ |<>'"]/g, (sign) => QUOTED[sign] ?? sign);
      expect(told(await raw(door, { target, sent })), name).toBe("400 InvalidArgument");
    }
    // What is signed and not what is sent by accident.
    const other = `/topics/${door.topic}-2/messages`;
    expect(told(await raw(door, { target: pathOf(door), sent: other }))).toBe(
      "403 SignatureDoesNotMatch",
    );
  },

  "an endpoint with a slash at its end works": async (door) => {
    const client = door.client("root", door.running.rootKey, `${door.running.url}/`);
    expect((await client.getProducer("", door.topic).publishMessage("body")).code).toBe(201);
    const consumer = client.getConsumer("", door.topic, door.group);
    expect(bodiesOf(await consumer.consumeMessage(1, 10))).toEqual(["body"]);
  },

  "other SDKs' spellings are read: escaped text, their order, a bar at the end, no body": async (
    door,
  ) => {
    const publish = async (inner: string): Promise<number> => {
      const wanted = { method: "POST", target: pathOf(door), body: publishXml(inner) };
      const headers = { "content-type": "text/xml;charset=UTF-8" };
      return (await raw(door, { ...wanted, headers })).status;
    };
    const escaped = "&lt;a&gt; &amp; &#13;\n&#x1F600;";
    expect(
      await publish(`<MessageBody>${escaped}</MessageBody><Properties>a:1|b:2|</Properties>`),
    ).toBe(201);
    expect(await publish("<Properties>KEYS:k</Properties><MessageTag>T</MessageTag>")).toBe(201);
    expect(await publish("\n  <MessageBody>x</MessageBody>\n  <MessageTag></MessageTag>\n")).toBe(
      201,
    );
    const { body } = await door.consumer().consumeMessage(16, 10);
    expect(body).toMatchObject([
      { MessageBody: "<a> & \r\n\u{1F600}", Properties: { a: "1", b: "2" } },
      { MessageBody: "", MessageKey: "k", MessageTag: "T" },
      { MessageBody: "x" },
    ]);
  },

  "XML that is none, or says what the protocol does not know, stores nothing": async (door) => {
    const publish = async (body: string): Promise<string> =>
      told(await raw(door, { method: "POST", target: pathOf(door), body }));
    const part = "<MessageBody>a</MessageBody>";
    for (const body of [
      "",
      "{}",
      "<Message>",
      `<Messages>${part}</Messages>`,
      publishXml(part + part),
      publishXml("<Other>a</Other>"),
      publishXml("<MessageBody><b>a</b></MessageBody>"),
      publishXml(`text${part}`),
      publishXml("<MessageBody>&#1;</MessageBody>"),
      publishXml("<MessageBody>&nothing;</MessageBody>"),
      `<!DOCTYPE Message [<!ENTITY e "x">]>${publishXml("<MessageBody>&e;</MessageBody>").slice(38)}`,
    ])
      expect(await publish(body), body).toBe("400 MalformedXML");
    for (const wrong of [
      "novalue",
      ":v",
      "a:",
      "__SHARDINGKEY:",
      "__TransCheckT:x",
      "__STARTDELIVERTIME:x",
    ])
      expect(await publish(publishXml(`${part}<Properties>${wrong}</Properties>`)), wrong).toBe(
        "400 InvalidArgument",
      );
    const long = "t".repeat(129);
    expect(await publish(publishXml(`${part}<MessageTag>${long}</MessageTag>`))).toBe(
      "400 InvalidArgument",
    );
    expect(await publish(publishXml(`<MessageBody>${"b".repeat(1_048_577)}</MessageBody>`))).toBe(
      "400 InvalidArgument",
    );
    expect(await thrown(door.consumer().consumeMessage(1))).toBe("MessageNotExist");
  },

  "a body of 1 MiB is taken, whatever its escapes come to": async (door) => {
    const body = `${"\t".repeat(1_000)}${"b".repeat(1_047_576)}`;
    await door.producer.publishMessage(body);
    expect(bodiesOf(await door.consumer().consumeMessage(1, 10))).toEqual([body]);
  },

  "the door stands beside the native API": async (door) => {
    const health = await door.mq.call("GET", "/v1/health");
    expect(health.status).toBe(200);
    const nobody = await door.mq.with("").call("GET", `/topics/${door.topic}/messages`);
    expect([nobody.status, nobody.headers.get("content-type")]).toEqual([
      400,
      "text/xml;charset=utf-8",
    ]);
    const native = await door.mq.call("GET", "/elsewhere");
    expect(native.headers.get("content-type")).toBe("application/problem+json");
  },
};

const QUOTED: Readonly<Record<string, string>> = {
  " ": "%20",
  "|": "%7C",
  "<": "%3C",
  ">": "%3E",
  "'": "%27",
  '"': "%22",
};
