/** Push to endpoints that fail: what counts as a delivery, when the endpoint is left alone, and hostile answers. */
import { expect } from "vitest";
import type { Cases, Mq, Topic } from "./client.ts";
import { type CallAnswer, gate, type Json, there, until } from "./kit.ts";
import { drained, messagesIn, pushing, QUICK } from "./push-kit.ts";

/** The first answer is `bad`, the second is good: bad must have counted as a failed delivery. */
async function countsAsFailed(topic: Topic, bad: CallAnswer): Promise<void> {
  let calls = 0;
  const push = await pushing(topic, () => (++calls === 1 ? bad : {}));
  await topic.send({ body: bad.status ?? 0 });
  await drained(topic);
  expect(push.calls.map((call) => call.headers.get("halfmq-attempt"))).toEqual(["1", "2"]);
}

/** The last events of `GET /v1/changes` of a namespace, up to one of that type. */
async function changeOf(mq: Mq, type: string, act: () => Promise<void>): Promise<Json> {
  const abort = new AbortController();
  const headers = { authorization: `Bearer ${mq.key}`, ...mq.headers };
  const answer = await mq.target.fetch("/v1/changes", { headers, signal: abort.signal });
  const reader = there(answer.body ?? undefined).getReader();
  const decoder = new TextDecoder();
  let text = "";
  await reader.read();
  await act();
  return until(type, async () => {
    const { value } = await reader.read();
    text += decoder.decode(value, { stream: true });
    const block = text.split("\n\n").find((each) => each.includes(`event: ${type}\n`));
    if (block === undefined) return false;
    abort.abort();
    return JSON.parse(there(/^data: (.*)$/mu.exec(block)?.[1])) as Json;
  });
}

export const pushFailures: Cases = {
  "another answer than 2xx fails the delivery, and the group's backoff counts": async (mq) => {
    for (const status of [400, 404, 500, 503]) await countsAsFailed(await mq.topic(), { status });
  },

  "a redirect is not followed and fails the delivery": async (mq) => {
    const elsewhere = await mq.target.listen(() => {
      throw new Error("followed");
    });
    const headers = { location: elsewhere.url };
    await countsAsFailed(await mq.topic(), { status: 307, headers });
    await elsewhere.close();
  },

  "an answer of more than 256 KiB fails the delivery": async (mq) => {
    await countsAsFailed(await mq.topic(), { status: 200, body: "x".repeat(257 * 1024) });
  },

  "a call that is not answered in time fails the delivery": async (mq) => {
    const topic = await mq.topic();
    const never = gate();
    let calls = 0;
    const push = await pushing(
      topic,
      async () => {
        if (++calls === 1) await never.opened;
        return {};
      },
      { push: { timeoutMs: 1_000 } },
    );
    await topic.send({ body: 1 });
    await drained(topic);
    never.open();
    expect(push.calls.map((call) => call.headers.get("halfmq-attempt"))).toEqual(["1", "2"]);
    expect(await push.state()).toMatchObject({ lastFailure: { reason: "timeout" } });
  },

  "after maxAttempts failed deliveries a message is a dead letter, with the reason": async (mq) => {
    const topic = await mq.topic();
    const push = await pushing(topic, () => ({ status: 500 }), { maxAttempts: 2 });
    await topic.send({ body: 1 });
    const [dead] = await until("dead", async () => {
      const letters = await push.group.deadLetters();
      return letters.length > 0 && letters;
    });
    expect(dead).toMatchObject({ body: 1, deliveryAttempt: 2, reason: "http_500" });
    expect(push.calls).toHaveLength(2);
  },

  "Retry-After of a failed delivery is honoured, in seconds and as a date": async (mq) => {
    for (const after of ["1", "date"]) {
      const topic = await mq.topic();
      let calls = 0;
      const push = await pushing(topic, () => {
        const at = after === "date" ? new Date(Date.now() + 2_000).toUTCString() : after;
        return ++calls === 1 ? { status: 500, headers: { "retry-after": at } } : {};
      });
      await topic.send({ body: 1 });
      await drained(topic);
      const [first, second] = push.calls;
      expect(there(second).at - there(first).at).toBeGreaterThanOrEqual(990);
    }
  },

  "429 leaves the endpoint alone and costs no attempt": async (mq) => {
    const topic = await mq.topic();
    let calls = 0;
    const push = await pushing(
      topic,
      () => (++calls <= 2 ? { status: 429, headers: { "retry-after": "1" } } : {}),
      { maxAttempts: 1, push: { maxMessages: 1, concurrency: 1 } },
    );
    await topic.send({ body: 1 }, { body: 2 }, { body: 3 });
    await until("waits", async () => (await push.state())["state"] === "waiting");
    expect(await push.state()).toMatchObject({ lastFailure: { reason: "http_429", status: 429 } });
    await drained(topic);
    const attempts = push.calls.map((call) => call.headers.get("halfmq-attempt"));
    expect(attempts).toEqual(["1", "1", "1", "1", "1"]);
    expect(there(push.calls[1]).at - there(push.calls[0]).at).toBeGreaterThanOrEqual(990);
    expect(await push.group.deadLetters()).toEqual([]);
    expect(await push.state()).toMatchObject({ state: "active", failures: 0 });
  },

  "a failing endpoint is left alone after five calls, and burns no attempts of those that wait":
    async (mq) => {
      const topic = await mq.topic();
      let isDown = true;
      const push = await pushing(topic, () => (isDown ? { status: 500 } : {}), {
        maxAttempts: 2,
        backoff: { delaysMs: [100] },
        push: { maxMessages: 1, concurrency: 1 },
      });
      await topic.send(...Array.from({ length: 20 }, (_, body) => ({ body })));
      const state = await until("waits", async () => {
        const seen = await push.state();
        return seen["state"] === "waiting" && seen;
      });
      expect(Number(state["failures"])).toBeGreaterThanOrEqual(5);
      expect(Number(state["nextTryAt"])).toBeGreaterThan(Date.now() - 5_000);
      await until("the stats say so", async () => {
        const { groups } = await topic.stats();
        const shown: Json | undefined = groups.find(({ group }) => group === "pushed");
        return (shown?.["push"] as Json | undefined)?.["state"] === "waiting";
      });
      isDown = false;
      await drained(topic);
      // The first pause is half a second at least; chance may add as much.
      expect(there(push.calls[5]).at - there(push.calls[4]).at).toBeGreaterThanOrEqual(490);
      const dead = await push.group.deadLetters();
      expect(push.calls.length).toBeLessThanOrEqual(25);
      expect(dead.length).toBeLessThanOrEqual(2);
      const fresh = push.calls
        .filter((call) => call.headers.get("halfmq-attempt") === "1")
        .map((call) => messagesIn(call)[0]?.body);
      expect(new Set(fresh).size).toBe(20);
    },

  "an endpoint that cannot be reached is tried again until it is back": async (mq) => {
    const topic = await mq.topic();
    const gone = await mq.target.listen(() => ({}));
    await gone.close();
    const group = topic.group("pushed");
    await group.make({ backoff: QUICK, push: { url: gone.url } });
    await topic.send({ body: 1 });
    const state = async (): Promise<Json> =>
      (await mq.ok<{ pushState: Json }>("GET", group.path)).pushState;
    await until("tried", async () => Number((await state())["failures"]) >= 3);
    const back = await mq.target.listen(() => ({}));
    await mq.ok("PUT", group.path, { push: { url: back.url } });
    await drained(topic);
    await mq.ok("DELETE", `${group.path}/push`);
    await back.close();
  },

  "410 disables the push, says so, and burns nothing; setting it again enables it": async (mq) => {
    const space = mq.with(mq.key, { "halfmq-namespace": `ns-${Date.now().toString(36)}` });
    const topic = await space.topic();
    let isGone = true;
    const push = await pushing(topic, () => (isGone ? { status: 410 } : {}));
    const event = await changeOf(space, "push.disabled", async () => {
      await topic.send({ body: 1 });
    });
    expect(event).toMatchObject({ topic: topic.name, group: "pushed", reason: "http_410" });
    const shown = await until("shown", async () => {
      const group = await space.ok<{ push: Json; pushState: Json }>("GET", push.group.path);
      return group.push["disabled"] !== undefined && group;
    });
    expect(shown).toMatchObject({
      push: { disabled: { reason: "http_410" } },
      pushState: { state: "disabled" },
    });
    await topic.send({ body: 2 });
    const [message] = await push.group.receive({ waitMs: 20_000, maxMessages: 1 });
    expect(message).toMatchObject({ body: 1, deliveryAttempt: 1 });
    await push.group.ack(there(message));
    expect(push.calls).toHaveLength(1);
    isGone = false;
    const again = await space.ok<{ push: Json }>("PUT", push.group.path, {
      push: { url: push.url },
    });
    expect(again.push["disabled"]).toBeUndefined();
    await drained(topic);
    expect(push.bodies()).toEqual([1, 2]);
  },

  "one group's slow endpoint delays neither another group nor receives": async (mq) => {
    const topic = await mq.topic();
    const stuck = gate();
    await pushing(topic, async () => {
      await stuck.opened;
      return {};
    });
    await topic.send({ body: 1 });
    const other = topic.group("other");
    expect((await other.one()).body).toBe(1);
    stuck.open();
    await drained(topic);
  },
};
