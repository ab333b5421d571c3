/** The Idempotency-Key: a request that came twice answers what it answered first. */
import { expect } from "vitest";
import { type Answer, type Cases } from "./client.ts";
import { bodies, type Json, type Prepared, there, unique, until } from "./kit.ts";

/** The second is the first in every field, and says that it is a replay. */
function expectReplay(first: Answer, second: Answer): void {
  expect(second.status).toBe(first.status);
  expect(second.json).toEqual(first.json);
  expect(first.headers.get("idempotent-replayed")).toBeNull();
  expect(second.headers.get("idempotent-replayed")).toBe("true");
}

const plainBody = (messageGroup: string) => ({ messages: [{ body: 1, messageGroup }] });
const halfBody = (messageGroup: string) => ({
  producerGroup: "p",
  message: { body: 1, messageGroup },
});

export const idempotency: Cases = {
  "a send with its key twice stores its messages once and answers the same": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const path = `${topic.path}/messages`;
    const body = {
      messages: [
        { body: 1, messageGroup: "a" },
        { body: 2, messageGroup: "b" },
        { body: 3 },
        { body: 4, delayMs: 60_000 },
        { body: 5, dedupId: "d" },
        { body: 6, dedupId: "d" },
      ],
    };
    const once = unique("send");
    const first = await mq.call("POST", path, body, { once });
    expect(first.status).toBe(200);
    for (let round = 0; round < 3; round += 1)
      expectReplay(first, await mq.call("POST", path, body, { once }));
    expect(await topic.peek()).toHaveLength(4);
    expect((await topic.stats()).queues.reduce((sum, each) => sum + each.delayed, 0)).toBe(1);
  },

  "a prepare with its key twice is one transaction": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const path = `${topic.path}/transactions`;
    const body = { producerGroup: "p", messages: [{ body: 1 }, { body: 2, messageGroup: "g" }] };
    const once = unique("prepare");
    const first = await mq.call("POST", path, body, { once });
    expect(first.status).toBe(201);
    expectReplay(first, await mq.call("POST", path, body, { once }));
    expect((await topic.stats()).transactions["prepared"]).toBe(1);
    const { transactionId } = first.json as unknown as Prepared;
    await mq.commit(transactionId);
    expectReplay(first, await mq.call("POST", path, body, { once }));
    expect((await topic.stats()).transactions).toMatchObject({ prepared: 0, committed: 1 });
  },

  "a commit and a rollback with their keys twice answer the same": async (mq) => {
    const topic = await mq.topic();
    for (const verb of ["commit", "rollback"]) {
      const { transactionId } = await topic.prepare({ body: verb });
      const once = unique(verb);
      const first = await mq.decide(transactionId, verb, {}, { once });
      expect(first.json["repeated"]).toBe(false);
      expectReplay(first, await mq.decide(transactionId, verb, {}, { once }));
      const without = await mq.decide(transactionId, verb);
      expect(without.json, "without the key it is a repetition").toEqual({
        ...first.json,
        repeated: true,
      });
    }
  },

  "the same key with another body is refused, also when its messages go to another queue": async (
    mq,
  ) => {
    const topic = await mq.topic({ queues: 16 });
    for (const [path, bodyOf] of [
      [`${topic.path}/messages`, plainBody],
      [`${topic.path}/transactions`, halfBody],
    ] as const) {
      const once = unique("spread");
      const first = await mq.ok("POST", path, bodyOf("g0"), { once });
      for (let group = 1; group <= 8; group += 1) {
        const refusal = [422, "idempotency_key_reused"] as const;
        await mq.refused(refusal, "POST", path, bodyOf(`g${group}`), { once });
      }
      expect(await mq.ok("POST", path, bodyOf("g0"), { once })).toEqual(first);
    }
    const { queues, transactions } = await topic.stats();
    expect(queues.reduce((sum, each) => sum + each.nextOffset, 0)).toBe(1);
    expect(transactions["prepared"]).toBe(1);
  },

  "the same key with another body is refused": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const once = unique("key");
    const path = `${topic.path}/messages`;
    await mq.ok("POST", path, { body: 1 }, { once });
    await mq.refused([422, "idempotency_key_reused"], "POST", path, { body: 2 }, { once });
    const prepare = `${topic.path}/transactions`;
    const half = { producerGroup: "p", message: { body: 1 } };
    const { transactionId } = await mq.ok<Prepared>("POST", prepare, half, { once });
    await mq.refused(
      [422, "idempotency_key_reused"],
      "POST",
      prepare,
      { ...half, message: { body: 2 } },
      { once },
    );
    await mq.commit(transactionId, {}, { once });
    const other = await mq.decide(transactionId, "commit", { by: "operator" }, { once });
    expect(other.status).toBe(422);
    expect(bodies(await topic.peek())).toEqual([1, 1]);
  },

  "the key's scope is the namespace, the method and the path": async (mq) => {
    const once = unique("key");
    const [a, b] = [await mq.topic(), await mq.topic()];
    const space = mq.with(mq.key, { "halfmq-namespace": unique("ns") });
    for (const [client, topic] of [
      [mq, a],
      [mq, b],
      [space, a],
    ] as const) {
      const answer = await client.call("POST", `${topic.path}/messages`, { body: 1 }, { once });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("idempotent-replayed")).toBeNull();
    }
  },

  "concurrent doubles wait for the first and store once": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const once = unique("key");
    const body = {
      messages: Array.from({ length: 20 }, (_, index) => ({
        body: index,
        messageGroup: `g${index}`,
      })),
    };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => mq.call("POST", `${topic.path}/messages`, body, { once })),
    );
    for (const answer of answers) expect(answer.status, answer.text).toBe(200);
    expect(new Set(answers.map((answer) => JSON.stringify(answer.json))).size).toBe(1);
    expect(await topic.peek()).toHaveLength(20);

    const half = { producerGroup: "p", message: { body: "half" } };
    const prepared = await Promise.all(
      Array.from({ length: 8 }, () =>
        mq.ok<Prepared>("POST", `${topic.path}/transactions`, half, { once }),
      ),
    );
    expect(new Set(prepared.map((each) => each.transactionId)).size).toBe(1);
    expect((await topic.stats()).transactions["prepared"]).toBe(1);
  },

  "only a success is remembered": async (mq) => {
    const topic = await mq.topic();
    const once = unique("key");
    const path = `${topic.path}/messages`;
    const bad = { body: 1, delayMs: -1 };
    await mq.refused([400, "invalid_request"], "POST", path, bad, { once });
    const good = await mq.call("POST", path, { body: 1 }, { once });
    expect(good.status).toBe(200);
    expect(good.headers.get("idempotent-replayed")).toBeNull();
    const { transactionId } = await topic.prepare({ body: 2 });
    await mq.rollback(transactionId);
    for (let round = 0; round < 2; round += 1)
      expect((await mq.decide(transactionId, "commit", {}, { once })).status).toBe(409);
  },

  "a repeat answers as it did at first though its messages are over by now; what is new is refused":
    async (mq) => {
      const topic = await mq.topic({ queues: 4 });
      const requestsFor = (expiresAt: number) => {
        const messages = ["a", "b", "c"].map((messageGroup) => ({
          body: 1,
          messageGroup,
          expiresAt,
        }));
        return [
          { path: `${topic.path}/messages`, body: { messages }, once: unique("send") },
          {
            path: `${topic.path}/transactions`,
            body: { producerGroup: "p", messages },
            once: unique("prepare"),
          },
        ];
      };
      // On a slow machine they may be over before they come.
      for (let spanMs = 500; ; spanMs *= 2) {
        const end = Date.now() + spanMs;
        const requests = requestsFor(end);
        const firsts: Answer[] = [];
        for (const { path, body, once } of requests)
          firsts.push(await mq.call("POST", path, body, { once }));
        if (firsts.some(({ status }) => status === 400)) continue;
        await until("they are over", () => Date.now() > end, 2 * spanMs + 10_000);
        for (const [index, { path, body, once }] of requests.entries()) {
          expectReplay(there(firsts[index]), await mq.call("POST", path, body, { once }));
          for (const other of [{ once: unique("late") }, {}]) {
            const problem = await mq.refused([400, "invalid_request"], "POST", path, body, other);
            expect(problem["field"]).toBe("messages[0].expiresAt");
          }
        }
        break;
      }
    },

  "a key has 1 to 128 characters": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    const stem = unique("k");
    await mq.ok("POST", path, { body: 1 }, { once: stem + "x".repeat(128 - stem.length) });
    await mq.refused(
      [400, "invalid_request"],
      "POST",
      path,
      { body: 1 },
      { once: "x".repeat(129) },
    );
  },

  "a key finds its answer also after the topic has grown": async (mq) => {
    const topic = await mq.topic({ queues: 1 });
    const path = `${topic.path}/messages`;
    const keys = Array.from({ length: 8 }, () => unique("key"));
    const answers: Json[] = [];
    for (const once of keys) answers.push(await mq.ok("POST", path, { body: 1 }, { once }));
    await mq.ok("PUT", topic.path, { queues: 4 });
    for (const [index, once] of keys.entries()) {
      const again = await mq.call("POST", path, { body: 1 }, { once });
      expect(again.json).toEqual(there(answers[index]));
      expect(again.headers.get("idempotent-replayed")).toBe("true");
    }
    expect(await topic.peek()).toHaveLength(8);
  },
};
