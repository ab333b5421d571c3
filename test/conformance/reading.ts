/** Looking without consuming: peek, a message by its id, stats, and the stream of changes. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, type Json, type Message, SHORT, there, unique, until } from "./kit.ts";

export const reading: Cases = {
  "a traced message tells its life in order, also over queues and topics": async (mq) => {
    const [home, target] = [await mq.topic({ trace: true }), await mq.topic({ trace: true })];
    const { transactionId, messages } = await home.prepare(
      { body: "there", topic: target.name },
      { check: SHORT },
    );
    const producers = `${home.name}-producers`;
    await until("a check", async () => (await mq.checks(producers)).length > 0);
    await mq.commit(transactionId, { by: "check" });
    const group = await target.group().make({ maxAttempts: 1 });
    await group.nack(await group.one(), { reason: "broken" });
    const { id } = there(messages[0]);
    await mq.ok("POST", `${group.path}/dead-letters/redrive`, { ids: [id] });
    await group.ack(await group.one());
    const view = await mq.ok<{ events: Json[] }>("GET", `/v1/messages/${id}`);
    const told = view.events.filter(({ type }) => type !== "checked");
    expect(told.map(({ type }) => type)).toEqual([
      "prepared",
      "committed",
      "forwarded",
      "stored",
      "delivered",
      "nacked",
      "deadLettered",
      "redriven",
      "delivered",
      "acked",
    ]);
    expect(view.events.find(({ type }) => type === "checked")).toMatchObject({ attempt: 1 });
    expect(told[1]).toMatchObject({ by: "check" });
    expect(told[5]).toMatchObject({ group: "g", deliveryAttempt: 1, reason: "broken" });
    const plain = await mq.topic();
    const sent = await plain.sendOne({ body: 1 });
    expect(await mq.ok("GET", `/v1/messages/${sent.id}`)).not.toHaveProperty("events");
  },

  "a peek starts at an offset, keeps to its limit, and takes nothing away": async (mq) => {
    const topic = await mq.topic();
    await topic.send(...Array.from({ length: 10 }, (_, body) => ({ body })));
    const page = await mq.ok<{ items: Message[]; nextCursor?: string }>(
      "GET",
      `${topic.path}/messages?queue=0&offset=4&limit=3`,
    );
    expect(bodies(page.items)).toEqual([4, 5, 6]);
    expect(page.items[0]).toMatchObject({ topic: topic.name, queue: 0, offset: 4 });
    for (const field of ["receipt", "deliveryAttempt", "invisibleUntil"])
      expect(Object.keys(there(page.items[0]))).not.toContain(field);
    expect(bodies(await topic.peek("?queue=0&offset=8"))).toEqual([8, 9]);
    expect(bodies(await topic.peek("?queue=0&offset=10"))).toEqual([]);
    expect(bodies(await mq.all(`${topic.path}/messages`, 3))).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    expect(await topic.group().take(10)).toHaveLength(10);
  },

  "a peek by key finds every message with that key, in every queue": async (mq) => {
    const topic = await mq.topic({ queues: 3 });
    for (let body = 0; body < 12; body += 1)
      await topic.sendOne({
        body,
        messageGroup: `g${body}`,
        keys: [`order-${body % 4}`, `all`],
      });
    const found = await topic.peek("?key=order-1");
    expect(found.map((each) => Number(each.body)).toSorted((a, b) => a - b)).toEqual([1, 5, 9]);
    expect(await topic.peek("?key=all")).toHaveLength(12);
    expect(await topic.peek("?key=order")).toEqual([]);
    expect(await topic.peek("?key=order-9")).toEqual([]);
  },

  "a peek by key still finds what every group has acked": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1, keys: ["k"] });
    await topic.group().take(1);
    expect(bodies(await topic.peek("?key=k"))).toEqual([1]);
  },

  "a peek by time takes what was stored between the two": async (mq) => {
    const topic = await mq.topic();
    for (let body = 0; body < 3; body += 1) {
      const [last] = (await topic.peek()).slice(-1);
      await until("the clock moved on", () => Date.now() > (last?.storedAt ?? 0) + 20);
      await topic.sendOne({ body });
    }
    const [a, b, c] = await topic.peek();
    const [first, second, third] = [a, b, c].map((each) => there(each).storedAt);
    expect(bodies(await topic.peek(`?from=${second}`))).toEqual([1, 2]);
    expect(bodies(await topic.peek(`?from=${there(first) + 1}&to=${there(third) - 1}`))).toEqual([
      1,
    ]);
    expect(bodies(await topic.peek(`?from=${there(third) + 1}`))).toEqual([]);
  },

  "row 10, peek: a half message is shown by no query, before and after its end": async (mq) => {
    const topic = await mq.topic();
    const one = await topic.prepare({ body: "half", keys: ["k"] });
    const queries = ["", "?key=k", "?queue=0&offset=0", "?from=1&to=9999999999999"];
    for (const query of queries) expect(await topic.peek(query)).toEqual([]);
    await mq.rollback(one.transactionId);
    for (const query of queries) expect(await topic.peek(query)).toEqual([]);
    const two = await topic.prepare({ body: "half", keys: ["k"] });
    await mq.commit(two.transactionId);
    for (const query of queries) expect(bodies(await topic.peek(query))).toEqual(["half"]);
  },

  "a message by its id says where it is for every group": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.group("other").make();
    const sent = await topic.sendOne({ body: 1 });
    const view = (): Promise<Json> => mq.ok("GET", `/v1/messages/${sent.id}`);
    const becomes = async (state: string): Promise<void> => {
      const seen = await view();
      expect(seen["groups"]).toContainEqual(expect.objectContaining({ group: "g", state }));
      expect(seen["groups"]).toContainEqual(
        expect.objectContaining({ group: "other", state: "waiting" }),
      );
    };
    expect(await view()).toMatchObject({
      id: sent.id,
      topic: topic.name,
      queue: 0,
      offset: 0,
      state: "ready",
    });
    await becomes("waiting");
    const first = await group.one();
    await becomes("leased");
    await group.nack(first, { delayMs: 1_200 });
    await becomes("retrying");
    await group.ack(await group.one());
    await becomes("acked");
  },

  "stats count what is stored, in flight, retrying and delayed": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 }, { body: 2 }, { body: 3 }, { body: 4, delayMs: 60_000 });
    const [a, b] = await group.receive({ maxMessages: 2 });
    await group.nack(there(a), { delayMs: 60_000 });
    const stats = await topic.stats();
    expect(stats.queues).toEqual([
      expect.objectContaining({ queue: 0, firstOffset: 0, nextOffset: 3, prepared: 0, delayed: 1 }),
    ]);
    expect(stats.queues[0]?.bytes).toBeGreaterThan(0);
    expect(stats.groups[0]).toMatchObject({
      group: "g",
      lag: 3,
      inFlight: 1,
      retrying: 1,
      deadLetters: 0,
      expired: 0,
    });
    expect(stats.groups[0]?.oldestUnackedAgeMs).toBeGreaterThanOrEqual(0);
    await group.ack(there(b));
    expect((await topic.stats()).groups[0]).toMatchObject({ lag: 2, inFlight: 0 });
  },

  "the changes of topics, groups and producer groups come as server-sent events": async (mq) => {
    const space = { "halfmq-namespace": unique("ns") };
    const other = mq.with(mq.key, space);
    const abort = new AbortController();
    const answer = await mq.target.fetch("/v1/changes", {
      method: "GET",
      headers: { authorization: `Bearer ${mq.key}`, accept: "text/event-stream", ...space },
      signal: abort.signal,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/u);
    const reader = there(answer.body ?? undefined).getReader();
    const topic = await other.topic();
    await topic.group("watched").make();
    await other.ok("PUT", `/v1/producer-groups/${topic.name}-p`, {});
    await other.ok("DELETE", `${topic.path}?force=true`);
    const decoder = new TextDecoder();
    let text = "";
    await until("all four are told", async () => {
      const { value, done } = await reader.read();
      if (value !== undefined) text += decoder.decode(value, { stream: true });
      if (done) throw new Error(`the stream ended: ${text}`);
      return ["topic.created", "group.created", "producerGroup.updated", "topic.deleted"].every(
        (word) => text.includes(word),
      );
    });
    expect(text).toContain(topic.name);
    expect(text.indexOf("topic.created")).toBeLessThan(text.indexOf("topic.deleted"));
    await reader.cancel().catch(() => {});
    abort.abort();
  },

  "a stream of changes says first where it is, and goes on only from a place that it gave": async (
    mq,
  ) => {
    const space = { "halfmq-namespace": unique("ns") };
    const other = mq.with(mq.key, space);
    const topic = await other.topic();
    const follow = async (place?: string) => {
      const abort = new AbortController();
      const answer = await mq.target.fetch("/v1/changes", {
        method: "GET",
        headers: {
          authorization: `Bearer ${mq.key}`,
          ...space,
          ...(place === undefined ? {} : { "last-event-id": place }),
        },
        signal: abort.signal,
      });
      const reader = there(answer.body ?? undefined).getReader();
      let text = "";
      await until("the stream begins", async () => {
        text += new TextDecoder().decode((await reader.read()).value);
        return text.includes("\nid: ") || !answer.ok;
      });
      await reader.cancel().catch(() => {});
      abort.abort();
      return { status: answer.status, text };
    };
    const place = /\nid: (\d+)\n\n/u.exec((await follow()).text)?.[1];
    await topic.group("late").make();
    // What came while nobody listened.
    expect((await follow(place)).text).toContain("group.created");
    expect(await follow("elsewhere")).toMatchObject({
      status: 400,
      text: expect.stringContaining('"field":"lastEventId"') as string,
    });
  },

  "health, the description of the interface and metrics are served": async (mq) => {
    const health = await mq.with("").call("GET", "/v1/health");
    expect(health.status).toBe(200);
    expect(health.json).toEqual({ status: "ok", version: expect.any(String) as string });
    expect((await mq.call("GET", "/openapi.json")).json["openapi"]).toMatch(/^3\./u);
    expect((await mq.call("GET", "/metrics")).status).toBe(200);
  },
};
