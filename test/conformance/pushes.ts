/** Push by webhook: the envelope and its signature, batches, pace, order, and what may be said of single messages. */
import { expect } from "vitest";
import type { Cases } from "./client.ts";
import { gate, sorted, there, until } from "./kit.ts";
import { drained, messagesIn, pushing, results, verify } from "./push-kit.ts";

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

export const pushes: Cases = {
  "a push is signed by Standard Webhooks and carries the messages as a receive would": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({ status: 204 }), { maxAttempts: 7 });
    expect(push.secret).toMatch(/^whsec_/u);
    const sentAt = Date.now();
    const sent = await mq.ok<{ messages: { id: string }[] }>(
      "POST",
      `${topic.path}/messages`,
      { body: { order: "ä", big: 1 }, tag: "t", keys: ["k"], properties: { p: "1" } },
      { headers: { traceparent: TRACE } },
    );
    await drained(topic);
    const call = there(push.calls[0]);
    expect(call.method).toBe("POST");
    expect(call.headers.get("content-type")).toMatch(/^application\/json/u);
    expect(verify(call, push.secret)).toMatchObject({
      type: "messages.delivery",
      data: {
        topic: topic.name,
        group: "pushed",
        messages: [
          {
            id: sent.messages[0]?.id,
            body: { order: "ä", big: 1 },
            tag: "t",
            keys: ["k"],
            properties: { p: "1" },
            deliveryAttempt: 1,
          },
        ],
      },
    });
    expect(() => verify({ ...call, body: `${call.body} ` }, push.secret)).toThrow();
    expect(call.body).not.toContain(push.secret);
    expect(call.headers.get("traceparent")).toBe(TRACE);
    expect(call.headers.get("halfmq-topic")).toBe(topic.name);
    expect(call.headers.get("halfmq-group")).toBe("pushed");
    expect(call.headers.get("halfmq-attempt")).toBe("1");
    expect(call.headers.get("halfmq-max-attempts")).toBe("7");
    const deadline = Number(call.headers.get("halfmq-deadline"));
    expect(deadline).toBe(messagesIn(call)[0]?.invisibleUntil);
    expect(deadline, "longer than the call may take").toBeGreaterThanOrEqual(sentAt + 15_000);
  },

  "a JSON body is pushed as the text that was sent": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({}));
    const raw = '{"body":{"b":1.10,"a":123456789012345678901234567890,"u":"\\u00e4"}}';
    await mq.ok("POST", `${topic.path}/messages`, undefined, { raw });
    await drained(topic);
    expect(there(push.calls[0]).body).toContain(raw.slice(1, -1));
  },

  "a push of a batch acks all of it, and asks for no more than maxMessages": async (mq) => {
    const topic = await mq.topic();
    await topic.send(...Array.from({ length: 25 }, (_, body) => ({ body })));
    const push = await pushing(topic, () => ({}), { push: { maxMessages: 10, concurrency: 1 } });
    await drained(topic);
    expect(push.calls.map((call) => messagesIn(call).length)).toEqual([10, 10, 5]);
    expect(push.bodies()).toEqual(Array.from({ length: 25 }, (_, body) => body));
    const ids = push.calls.map((call) => call.headers.get("webhook-id"));
    expect(new Set(ids).size).toBe(3);
  },

  "a push reaches every queue of the topic, and what is sent later": async (mq) => {
    const topic = await mq.topic({ queues: 8 });
    const push = await pushing(topic, () => ({}));
    for (let round = 0; round < 3; round += 1) {
      const sends = Array.from({ length: 16 }, (_, key) =>
        topic.send({ body: `${round}/${key}`, messageGroup: `g${key}` }),
      );
      await Promise.all(sends);
      await drained(topic);
    }
    expect(sorted(push.bodies())).toEqual(
      sorted(Array.from({ length: 48 }, (_, n) => `${Math.floor(n / 16)}/${n % 16}`)),
    );
  },

  "queues that a topic gets later are pushed as well": async (mq) => {
    const topic = await mq.topic({ queues: 1 });
    const push = await pushing(topic, () => ({}));
    await topic.send({ body: "before" });
    await mq.ok("PUT", topic.path, { queues: 4 });
    for (let key = 0; key < 12; key += 1)
      await topic.send({ body: key, messageGroup: `group ${key}` });
    await until("all came", () => push.bodies().length >= 13);
    expect(push.bodies()).toHaveLength(13);
  },

  "a JSON answer acks some, gives some back and buries others": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(
      topic,
      (call) =>
        results(call, ({ body, deliveryAttempt }) => {
          if (body === "bury") return { ok: false, retry: false, reason: "not ours" };
          if (body === "again" && deliveryAttempt === 1)
            return { ok: false, delayMs: 300, reason: "not now" };
          return body === "ack" ? { ok: true } : undefined;
        }),
      { push: { concurrency: 1 } },
    );
    await topic.send({ body: "ack" }, { body: "again" }, { body: "bury" }, { body: "unnamed" });
    await drained(topic);
    const seen = push.bodies();
    expect(seen.filter((body) => body === "again")).toHaveLength(2);
    expect(seen).toHaveLength(5);
    const again = push.calls.findLast((call) => messagesIn(call)[0]?.body === "again");
    const first = there(
      push.calls.find((call) => messagesIn(call).some((m) => m.body === "again")),
    );
    expect(there(again).headers.get("halfmq-attempt")).toBe("2");
    expect(there(again).at - first.at).toBeGreaterThanOrEqual(290);
    const dead = await push.group.deadLetters();
    expect(dead).toMatchObject([{ body: "bury", reason: "not ours", deliveryAttempt: 1 }]);
  },

  "results that cannot be understood fail the call, and a body that is no JSON acks it": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const answers = [
      { status: 200, body: '{"results":{}}' },
      { status: 200, body: '{"results":[{"receipt":1,"ok":false}]}' },
      { status: 202, body: "thanks" },
    ];
    const push = await pushing(topic, () => answers.shift() ?? { status: 500 });
    await topic.send({ body: 1 });
    await drained(topic);
    expect(push.calls.map((call) => call.headers.get("halfmq-attempt"))).toEqual(["1", "2", "3"]);
  },

  "no more than concurrency calls are open, over all queues": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    let open = 0;
    let most = 0;
    const held = gate();
    const push = await pushing(
      topic,
      async () => {
        most = Math.max(most, ++open);
        await held.opened;
        open -= 1;
        return {};
      },
      { push: { concurrency: 3, maxMessages: 1 } },
    );
    for (let key = 0; key < 12; key += 1)
      await topic.send({ body: key, messageGroup: `group ${key}` });
    await until("three are open", () => push.calls.length >= 3);
    expect((await push.state())["openCalls"]).toBe(3);
    held.open();
    await drained(topic);
    expect(most).toBe(3);
    expect(push.bodies()).toHaveLength(12);
  },

  "ratePerSecond holds for the group as a whole": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const push = await pushing(topic, () => ({}), { push: { ratePerSecond: 20, concurrency: 8 } });
    // A call is heard of when it is made or later.
    const began = Date.now();
    for (let key = 0; key < 30; key += 1)
      await topic.send({ body: key, messageGroup: `group ${key}` });
    await drained(topic);
    const times = push.calls.flatMap((call) => messagesIn(call).map(() => call.at));
    expect(times).toHaveLength(30);
    expect(times.filter((at) => at - began < 500).length).toBeLessThanOrEqual(13);
    expect(Math.max(...times) - began, "30 at 20 a second").toBeGreaterThanOrEqual(1_200);
  },

  "an ordered group keeps its order under push, also through failures": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const seen = new Map<string, number[]>();
    let failures = 0;
    await pushing(
      topic,
      (call) => {
        const fails = failures < 3 && messagesIn(call).some(({ body }) => Number(body) % 4 === 1);
        if (fails) {
          failures += 1;
          return { status: 500 };
        }
        for (const { messageGroup = "", body } of messagesIn(call))
          seen.set(messageGroup, [...(seen.get(messageGroup) ?? []), Number(body)]);
        return {};
      },
      { ordered: true, push: { concurrency: 4, maxMessages: 4 } },
    );
    for (let body = 0; body < 10; body += 1)
      for (const messageGroup of ["a", "b", "c"]) await topic.send({ body, messageGroup });
    await drained(topic);
    expect(failures).toBe(3);
    for (const bodies of seen.values())
      expect(bodies).toEqual(Array.from({ length: 10 }, (_, body) => body));
    expect([...seen.keys()].toSorted()).toEqual(["a", "b", "c"]);
  },

  "a half message is pushed after its commit only": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({}));
    const half = await topic.prepare({ body: "half" });
    const never = await topic.prepare({ body: "never" });
    await topic.send({ body: "sent" });
    await drained(topic);
    expect(push.bodies()).toEqual(["sent"]);
    await mq.rollback(never.transactionId);
    await mq.commit(half.transactionId);
    await drained(topic);
    await until("committed", () => push.bodies().length === 2);
    expect(push.bodies()).toEqual(["sent", "half"]);
  },

  "a delayed message is pushed at its time, never early": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({}));
    const deliverAt = Date.now() + 700;
    await topic.send({ body: 1, deliverAt });
    await until("pushed", () => push.calls.length > 0);
    expect(there(push.calls[0]).at).toBeGreaterThanOrEqual(deliverAt);
  },

  "a paused group pushes nothing, and goes on when it is resumed": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({}));
    await mq.ok("POST", `${push.group.path}/pause`, {});
    await topic.send({ body: 1 });
    expect(await push.state()).toMatchObject({ state: "paused" });
    expect(push.calls).toEqual([]);
    await mq.ok("POST", `${push.group.path}/resume`, {});
    await drained(topic);
    expect(push.bodies()).toEqual([1]);
  },

  "settings of a push change while it runs, and its end ends it": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({}), { push: { maxMessages: 1 } });
    const elsewhere = await mq.target.listen(() => ({}));
    await topic.send({ body: "one" });
    await drained(topic);
    const moved = await mq.ok("PUT", push.group.path, { push: { url: elsewhere.url } });
    expect(moved).toMatchObject({ push: { url: elsewhere.url, maxMessages: 1, concurrency: 4 } });
    expect(moved["secret"], "the secret stays").toBeUndefined();
    await topic.send({ body: "two" });
    await drained(topic);
    expect(push.bodies()).toEqual(["one"]);
    const ended = await mq.ok("DELETE", `${push.group.path}/push`);
    expect(ended["push"]).toBeUndefined();
    await topic.send({ body: "three" });
    expect((await push.group.one()).body).toBe("three");
    await mq.refused([400, "invalid_request"], "POST", `${push.group.path}/secret`, {});
    const anew = await mq.ok("PUT", push.group.path, { push: { url: push.url } });
    expect(anew["secret"]).toMatch(/^whsec_/u);
    expect(anew["secret"]).not.toBe(push.secret);
    await elsewhere.close();
  },

  "after a rotation the new secret and the old one sign pushes side by side": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({}));
    const rotated = await mq.ok<{ secret: string }>("POST", `${push.group.path}/secret`, {});
    expect(rotated.secret).not.toBe(push.secret);
    await topic.send({ body: 1 });
    await drained(topic);
    const call = there(push.calls[0]);
    verify(call, rotated.secret);
    verify(call, push.secret);
    const shown = await mq.call("GET", push.group.path);
    expect(shown.json["secret"]).toBeUndefined();
    expect(shown.text).not.toContain(rotated.secret);
  },

  "a push names one target, and only one that may be called": async (mq) => {
    const topic = await mq.topic();
    const { path } = topic.group("pushed");
    const urls = ["http://example.com/", "https://10.0.0.1/", "https://[::ffff:169.254.169.254]/"];
    for (const url of [...urls, "https://metadata.google.internal/", "ftp://example.com/"]) {
      const answer = await mq.refused([400, "target_not_allowed"], "PUT", path, { push: { url } });
      expect(answer["field"]).toBe("push.url");
    }
    await mq.refused([404, "group_not_found"], "GET", path);
    const url = "https://example.com/";
    for (const push of [
      { url, binding: "B" },
      { url, maxMessages: 0 },
      { url, concurrency: 101 },
      { url, timeoutMs: 99 },
      { url, ratePerSecond: 0.01 },
      { url, unknown: 1 },
      { concurrency: 2 },
    ])
      await mq.refused([400, "invalid_request"], "PUT", path, { push });
    const made = await mq.ok("PUT", path, { push: { url } });
    expect(made["push"]).toEqual({ url, maxMessages: 16, concurrency: 4, timeoutMs: 15_000 });
    const paced = await mq.ok("PUT", path, { push: { ratePerSecond: 5 } });
    expect(paced["push"]).toMatchObject({ url, ratePerSecond: 5 });
    const unpaced = await mq.ok("PUT", path, { push: { ratePerSecond: 0 } });
    expect(unpaced["push"]).toEqual(made["push"]);
    await mq.ok("DELETE", path);
  },

  "messages of a deleted group or topic are pushed no more": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({}));
    await topic.send({ body: "first" });
    await drained(topic);
    await mq.ok("DELETE", `${topic.path}?force=true`);
    await mq.ok("PUT", topic.path, {});
    await topic.send({ body: "of the next incarnation" });
    await mq.ok("PUT", push.group.path, {});
    expect((await push.group.one()).body).toBe("of the next incarnation");
    expect(push.bodies()).toEqual(["first"]);
  },
};
