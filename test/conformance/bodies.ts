/** What a body may be, byte for byte, and how large a message and a request may be. */
import { expect } from "vitest";
import { type Cases, type Mq, type Topic } from "./client.ts";
import { type Message } from "./kit.ts";

const MIB = 1024 * 1024;

/** The text of the field `body` as the server wrote it. */
function bodyText(answer: string): string {
  const start = answer.indexOf('"body":') + '"body":'.length;
  expect(start).toBeGreaterThan('"body":'.length - 1);
  return answer.slice(start);
}

async function received(mq: Mq, topic: Topic): Promise<string> {
  const answer = await mq.call("POST", `${topic.group().path}/receive`, {});
  expect(answer.status).toBe(200);
  return answer.text;
}

/** JSON text of exactly so many bytes. */
const textOf = (bytes: number): string => `"${"x".repeat(bytes - 2)}"`;

const half = (bytes: number): string => `{"producerGroup":"p","message":{"body":${textOf(bytes)}}}`;

const binary = (bytes: number): string => btoa("\u00ff".repeat(bytes));

/** A request of nine messages and exactly so many bytes. */
function request(bytes: number): string {
  const nine = Array.from({ length: 9 }, () => `{"body":${textOf(900_000)}}`);
  const bare = `{"messages":[${nine.join(",")}]}`;
  return bare + " ".repeat(bytes - bare.length);
}

export const bodyCases: Cases = {
  "a JSON body comes back as the text that came": async (mq) => {
    const texts = [
      "12345678901234567890123456789.000000000000000000001",
      "1E400",
      "-0.0",
      '{"z":1,"a":2,"10":3,"9":4,"__proto__":5,"a":6}',
      String.raw`"\u0041\/\ud83d\ude00é"`,
      '[ 1 , { "spaced" : [ ] } ]',
      '"\u2028"',
      "true",
    ];
    for (const text of texts) {
      const topic = await mq.topic();
      const raw = `{"messages":[{"tag":"t","body":${text},"keys":["k"]}]}`;
      await mq.ok("POST", `${topic.path}/messages`, undefined, { raw });
      const answer = await received(mq, topic);
      expect(bodyText(answer).startsWith(text), `${text} in ${answer}`).toBe(true);
      const peeked = await mq.call("GET", `${topic.path}/messages`);
      expect(bodyText(peeked.text).startsWith(text), `${text} in ${peeked.text}`).toBe(true);
    }
  },

  "a half message's body comes back as the text that came": async (mq) => {
    const topic = await mq.topic();
    const text = '{"n":1.10000000000000000001,"s":"\\u00e9"}';
    const raw = `{"producerGroup":"p","message":{"body":${text}}}`;
    const { transactionId } = await mq.ok<{ transactionId: string }>(
      "POST",
      `${topic.path}/transactions`,
      undefined,
      { raw },
    );
    await mq.commit(transactionId);
    expect(bodyText(await received(mq, topic)).startsWith(text)).toBe(true);
  },

  "null is a body": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: null }, { body: "" }, { body: {} });
    const taken = await topic.group().take(3);
    expect(taken.map((each) => each.body)).toEqual([null, "", {}]);
    expect("body" in (taken[0] ?? {})).toBe(true);
  },

  "a binary body comes back byte for byte, also the empty one": async (mq) => {
    const topic = await mq.topic();
    const bytes = Uint8Array.from({ length: 1_024 }, (_, index) => index % 256);
    const bodyBase64 = btoa(String.fromCodePoint(...bytes));
    await topic.send({ bodyBase64, contentType: "application/x-test" }, { bodyBase64: "" });
    const taken = await topic.group().take(2);
    expect(taken[0]?.bodyBase64).toBe(bodyBase64);
    expect(taken[1]?.bodyBase64).toBe("");
    for (const each of taken) expect("body" in each).toBe(false);
  },

  "row 8: a transactional body of 1 MiB is taken, one byte more is refused": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/transactions`;
    const { transactionId } = await mq.ok<{ transactionId: string }>("POST", path, undefined, {
      raw: half(MIB),
    });
    await mq.commit(transactionId);
    const [message] = await topic.group().take(1);
    expect(String(message?.body)).toHaveLength(MIB - 2);
    const answer = await mq.refused([413, "message_too_large"], "POST", path, undefined, {
      raw: half(MIB + 1),
    });
    expect(answer).toMatchObject({ field: "message.body", limit: MIB, actual: MIB + 1 });
  },

  "a body of 1 MiB is taken, JSON or binary; one byte more refuses the request": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    await mq.ok("POST", path, undefined, { raw: `{"messages":[{"body":${textOf(MIB)}}]}` });
    const over = await mq.refused([413, "message_too_large"], "POST", path, undefined, {
      raw: `{"messages":[{"body":1},{"body":${textOf(MIB + 1)}}]}`,
    });
    expect(over).toMatchObject({ field: "messages[1].body", limit: MIB, actual: MIB + 1 });
    await topic.send({ bodyBase64: binary(MIB) });
    await mq.refused([413, "message_too_large"], "POST", path, {
      messages: [{ bodyBase64: binary(MIB + 1) }],
    });
    // The size of a JSON body is that of its text in UTF-8, not of what it means.
    const wide = `"${"é".repeat(MIB / 2)}"`;
    await mq.refused([413, "message_too_large"], "POST", path, undefined, {
      raw: `{"body":${wide}}`,
    });
    const taken = await topic.group().take(2);
    expect(taken.map((each) => (each.bodyBase64 ?? JSON.stringify(each.body)).length)).toEqual([
      MIB,
      binary(MIB).length,
    ]);
  },

  "a request of 8 MiB is taken, one byte more is refused": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    await mq.ok("POST", path, undefined, { raw: request(8 * MIB) });
    const answer = await mq.refused([413, "request_too_large"], "POST", path, undefined, {
      raw: request(8 * MIB + 1),
    });
    expect(answer).toMatchObject({ limit: 8 * MIB, actual: 8 * MIB + 1 });
    expect((await topic.stats()).queues[0]?.nextOffset).toBe(9);
  },

  "a receive and a peek answer at most 8 MiB, bytes in Base64 too, and at least one message":
    async (mq) => {
      const topic = await mq.topic({ queues: 3 });
      const message = `{"bodyBase64":"${"AAAA".repeat(MIB / 3)}"}`;
      for (let round = 0; round < 3; round += 1)
        await mq.ok("POST", `${topic.path}/messages`, undefined, {
          raw: `{"messages":[${Array.from({ length: 3 }, () => message).join(",")}]}`,
        });
      const answer = await mq.call("POST", `${topic.group().path}/receive`, { maxMessages: 100 });
      const { messages } = answer.json as { messages: Message[] };
      expect(answer.text.length).toBeLessThanOrEqual(8 * MIB);
      expect(messages.length).toBeGreaterThanOrEqual(1);
      expect(messages.length).toBeLessThan(9);
      await topic.group().ack(...messages);
      const rest = await topic.group().take(9 - messages.length);
      expect(rest).toHaveLength(9 - messages.length);
      const peeked = await mq.call("GET", `${topic.path}/messages?limit=100`);
      expect(peeked.text.length).toBeLessThanOrEqual(8 * MIB);
      expect(await topic.peek()).toHaveLength(9);
    },
};
