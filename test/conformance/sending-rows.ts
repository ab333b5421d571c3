/** RocketMQ's cases of sending, validation and query (§7.7), as HalfMQ holds them. */
import { expect } from "vitest";
import { type Cases, type Topic } from "./client.ts";
import { bodies, type Json, sorted, there, unique } from "./kit.ts";

const MIB = 1024 * 1024;
/** JSON text of exactly so many bytes. */
const text = (bytes: number): string => "x".repeat(bytes - 2);
const properties = (count: number, bytes: number): Json =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      String(index).padStart(4, "0"),
      "v".repeat(bytes / count - 4),
    ]),
  );

/** Sends one message and takes it again. */
async function through(topic: Topic, message: Json): Promise<Json> {
  const sent = await topic.sendOne(message);
  const taken = await topic.group(unique("g")).take(1);
  expect(taken.at(-1)?.id).toBe(sent.id);
  return there(taken.at(-1)) as unknown as Json;
}

export const sendingRows: Cases = {
  "row 185: a body has 1 MiB and no more, plain, delayed, grouped or half": async (mq) => {
    const topic = await mq.topic();
    const kinds: readonly Json[] = [{}, { delayMs: 3_600_000 }, { messageGroup: "g" }];
    for (const kind of kinds) {
      await topic.send({ body: text(MIB), ...kind });
      const path = `${topic.path}/messages`;
      const large = { body: text(MIB + 1), ...kind };
      const answer = await mq.refused([413, "message_too_large"], "POST", path, large);
      expect(answer).toMatchObject({ field: "body", limit: MIB, actual: MIB + 1 });
    }
    await topic.prepare({ body: text(MIB) });
    await mq.refused([413, "message_too_large"], "POST", `${topic.path}/transactions`, {
      producerGroup: "p",
      message: { body: text(MIB + 1) },
    });
  },

  "row 186: a body of 1 MiB beside properties of 16 KiB": async (mq) => {
    const topic = await mq.topic();
    const message = { body: text(MIB), properties: properties(8, 16 * 1024) };
    const taken = await through(topic, message);
    expect(taken["body"]).toBe(message.body);
    expect(taken["properties"]).toEqual(message.properties);
  },

  "rows 187, 188: 128 properties in 16 KiB; tag and keys do not count among them": async (mq) => {
    const topic = await mq.topic();
    const words = { tag: "t".repeat(128), keys: ["k".repeat(128)] };
    const full = properties(128, 16 * 1024);
    expect((await through(topic, { body: 1, properties: full, ...words }))["properties"]).toEqual(
      full,
    );
    for (const [bad, limit] of [
      [properties(129, 129 * 8), 128],
      [{ ...properties(1, 16 * 1024), x: "" }, 16 * 1024],
    ] as const) {
      const path = `${topic.path}/messages`;
      const message = { body: 1, properties: bad };
      const answer = await mq.refused([400, "invalid_request"], "POST", path, message);
      expect(answer).toMatchObject({ field: "properties", limit });
    }
  },

  "row 189: no name and no sign of a property is reserved": async (mq) => {
    const topic = await mq.topic();
    const odd = { "nul\0in": "a\0b", UNIQ_KEY: "1", KEYS: "2", TAGS: "3", __proto__x: "4" };
    expect((await through(topic, { body: 1, properties: odd }))["properties"]).toEqual(odd);
  },

  "rows 190, 191: tags and keys are any text of up to 128 bytes": async (mq) => {
    const topic = await mq.topic();
    for (const word of ["t".repeat(128), "a\0b", "a|b", "中文标签", "*", " "]) {
      expect((await through(topic, { body: 1, tag: word }))["tag"]).toBe(word);
      expect((await through(topic, { body: 1, keys: [word, "other"] }))["keys"]).toEqual([
        word,
        "other",
      ]);
    }
    const path = `${topic.path}/messages`;
    for (const [bad, field] of [
      [{ tag: "t".repeat(129) }, "tag"],
      [{ keys: ["k".repeat(129)] }, "keys[0]"],
    ] as const)
      expect(
        await mq.refused([400, "invalid_request"], "POST", path, { body: 1, ...bad }),
      ).toMatchObject({ field, limit: 128, actual: 129 });
  },

  "row 192: blanks, Chinese and emoji come back as they went": async (mq) => {
    const topic = await mq.topic();
    for (const body of ["   ", "\t\r\n", "中文", "👩‍👩‍👧‍👦 ✓", "\ufeff"]) {
      expect((await through(topic, { body }))["body"]).toBe(body);
      const bodyBase64 = btoa(String.fromCharCode(...new TextEncoder().encode(body)));
      expect((await through(topic, { bodyBase64 }))["bodyBase64"]).toBe(bodyBase64);
    }
  },

  "row 193: an empty body is one, none is not; an empty or absent word is refused": async (mq) => {
    const topic = await mq.topic();
    for (const body of ["", null, {}, [], 0, false])
      expect((await through(topic, { body }))["body"]).toEqual(body);
    expect((await through(topic, { bodyBase64: "" }))["bodyBase64"]).toBe("");
    const path = `${topic.path}/messages`;
    for (const [bad, field] of [
      [{}, "body"],
      [{ body: 1, tag: "" }, "tag"],
      [{ body: 1, tag: null }, "tag"],
      [{ body: 1, keys: [""] }, "keys[0]"],
    ] as const) {
      const answer = await mq.refused([400, "invalid_request"], "POST", path, bad);
      expect(answer["field"]).toBe(field);
    }
    await mq.refused([404, "route_not_found"], "POST", "/v1/topics//messages", { body: 1 });
  },

  "row 194: ten sends whose answers nobody reads all arrive": async (mq) => {
    const topic = await mq.topic();
    await topic.group().make();
    for (let body = 0; body < 10; body++)
      mq.call("POST", `${topic.path}/messages`, { body }).catch(() => undefined);
    expect(sorted(bodies(await topic.group().take(10)))).toEqual(
      sorted(Array.from({ length: 10 }, (_, body) => body)),
    );
  },

  "row 195: a batch of ten has ten ids, over queues or in one": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const spread = await topic.send(
      ...Array.from({ length: 10 }, (_, body) => ({ body, messageGroup: `g${body}` })),
    );
    const one = await topic.send(
      ...Array.from({ length: 10 }, (_, body) => ({ body: body + 10, messageGroup: "g" })),
    );
    expect(new Set(spread.map(({ queue }) => queue)).size).toBeGreaterThan(1);
    expect(new Set(one.map(({ queue }) => queue)).size).toBe(1);
    const ids = [...spread, ...one].map(({ id }) => id);
    expect(new Set(ids).size).toBe(20);
    expect(sorted((await topic.group().take(20)).map(({ id }) => id))).toEqual(sorted(ids));
  },

  "row 196: a send makes an unknown topic; nothing else does, and a deleted one stays away": async (
    mq,
  ) => {
    const path = `/v1/topics/${unique("unknown")}`;
    await mq.refused([404, "topic_not_found"], "GET", `${path}/messages`);
    await mq.ok("POST", `${path}/messages`, { body: 1 });
    await mq.ok("DELETE", path);
    await mq.refused([404, "topic_not_found"], "POST", `${path}/messages`, { body: 1 });
  },

  "rows 197, 198: messages are found by id and by exact key, and wrong ids find none": async (
    mq,
  ) => {
    const topic = await mq.topic();
    // "Aa" and "BB" have one hash in Java, where these cases come from.
    const sent = await topic.send(
      ...["Aa", "BB", "Aa", "AaBB", "aa"].map((key, body) => ({ body, keys: [key, "all"] })),
    );
    expect(bodies(await topic.peek("?key=Aa"))).toEqual([0, 2]);
    expect(bodies(await topic.peek("?key=BB"))).toEqual([1]);
    expect(bodies(await topic.peek("?key=A"))).toEqual([]);
    const page = await mq.ok<{ items: Json[]; nextCursor?: string }>(
      "GET",
      `${topic.path}/messages?key=all&limit=2`,
    );
    expect(page.items.map((each) => each["body"])).toEqual([0, 1]);
    expect(page.nextCursor).toBeDefined();
    for (const { id, offset } of sent)
      expect(await mq.ok("GET", `/v1/messages/${id}`)).toMatchObject({
        id,
        offset,
        state: "ready",
      });
    for (const id of ["nothing", `${there(sent[0]).id}9`, "null", "%20"])
      await mq.refused([404, "message_not_found"], "GET", `/v1/messages/${id}`);
  },
};
