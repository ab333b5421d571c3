/** Delayed messages: never early, recalled, re-timed; and messages that live only for a time. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, there, unique, until } from "./kit.ts";

const HOUR_MS = 3_600_000;

export const delays: Cases = {
  "a delayed message is never early and gets its offset when it is due": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const sent = await topic.sendOne({ body: "later", delayMs: 1_500 });
    expect(sent.state).toBe("delayed");
    expect(sent.offset).toBeUndefined();
    const deliverAt = there(sent.deliverAt);
    await topic.send({ body: "now" });
    expect(bodies(await topic.peek())).toEqual(["now"]);
    expect(await mq.ok("GET", `/v1/messages/${sent.id}`)).toMatchObject({ state: "delayed" });
    expect(bodies(await group.take(1))).toEqual(["now"]);
    const message = await group.one();
    expect(message).toMatchObject({ id: sent.id, body: "later", offset: 1 });
    expect(message.storedAt).toBeGreaterThanOrEqual(deliverAt);
    expect(message.storedAt - message.sentAt).toBeGreaterThanOrEqual(1_500);
  },

  "deliverAt counts as given, and one in the past means now": async (mq) => {
    const topic = await mq.topic();
    const deliverAt = Date.now() + 1_200;
    const [later, past] = await topic.send(
      { body: "at", deliverAt },
      { body: "past", deliverAt: 1 },
    );
    expect(later).toMatchObject({ state: "delayed", deliverAt });
    expect(past).toMatchObject({ state: "ready", offset: 0 });
    const taken = await topic.group().take(2);
    expect(bodies(taken)).toEqual(["past", "at"]);
    expect(there(taken[1]).storedAt).toBeGreaterThanOrEqual(deliverAt);
  },

  "delayed messages come in the order of their times": async (mq) => {
    const topic = await mq.topic();
    await topic.send(
      { body: 3, delayMs: 600 },
      { body: 1, delayMs: 200 },
      { body: 2, delayMs: 400 },
      { body: 0 },
    );
    expect(bodies(await topic.group().take(4))).toEqual([0, 1, 2, 3]);
  },

  "what was recalled stays so when it is sent again with its dedup id": async (mq) => {
    const topic = await mq.topic();
    const message = { body: 1, dedupId: "reminder", delayMs: HOUR_MS };
    const { id } = await topic.sendOne(message);
    await mq.ok("DELETE", `/v1/messages/${id}`);
    expect(await topic.sendOne(message)).toMatchObject({ id, state: "duplicate" });
    expect(await mq.ok("GET", `/v1/messages/${id}`)).toMatchObject({ state: "recalled" });
  },

  "a delay is one of two fields and reaches 366 days": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    const sent = await topic.sendOne({ body: 1, delayMs: 366 * 24 * HOUR_MS });
    expect(sent.state).toBe("delayed");
    const answer = await mq.refused([400, "invalid_request"], "POST", path, {
      body: 1,
      delayMs: 366 * 24 * HOUR_MS + 1,
    });
    expect(answer).toMatchObject({
      field: "delayMs",
      limit: 366 * 24 * HOUR_MS,
      actual: 366 * 24 * HOUR_MS + 1,
    });
    const both = { body: 1, delayMs: 1, deliverAt: 1 };
    await mq.refused([400, "invalid_request"], "POST", path, both);
  },

  "a recalled message never comes, and a delivered one cannot be recalled": async (mq) => {
    const topic = await mq.topic();
    const sent = await topic.sendOne({ body: "recalled", delayMs: 1_200 });
    const path = `/v1/messages/${sent.id}`;
    await mq.ok("DELETE", path);
    await mq.refused([409, "already_recalled"], "PATCH", path, { deliverAt: Date.now() + 100 });
    const marker = await topic.sendOne({ body: "marker", delayMs: 1_300 });
    expect(bodies(await topic.group().take(1))).toEqual(["marker"]);
    expect(await mq.ok("GET", path)).toMatchObject({ state: "recalled" });
    await mq.refused([409, "already_delivered"], "DELETE", `/v1/messages/${marker.id}`);
    await mq.refused([409, "already_delivered"], "PATCH", `/v1/messages/${marker.id}`, {
      deliverAt: Date.now(),
    });
  },

  "a re-timed message comes at its new time, earlier or later": async (mq) => {
    const topic = await mq.topic();
    const [sooner, later] = await topic.send(
      { body: "sooner", delayMs: HOUR_MS },
      { body: "later", delayMs: 1_200 },
    );
    const deliverAt = Date.now() + 1_700;
    await mq.ok("PATCH", `/v1/messages/${there(later).id}`, { deliverAt });
    await mq.ok("PATCH", `/v1/messages/${there(sooner).id}`, { deliverAt: Date.now() + 100 });
    const taken = await topic.group().take(2);
    expect(bodies(taken)).toEqual(["sooner", "later"]);
    expect(there(taken[1]).storedAt).toBeGreaterThanOrEqual(deliverAt);
  },

  "a committed message with a delay can be recalled and is shown as delayed": async (mq) => {
    const topic = await mq.topic();
    const { transactionId, messages } = await topic.prepare({ body: 1, delayMs: HOUR_MS });
    await mq.commit(transactionId);
    const path = `/v1/messages/${there(messages[0]).id}`;
    expect(await mq.ok("GET", path)).toMatchObject({ state: "delayed" });
    expect((await topic.stats()).queues[0]).toMatchObject({ delayed: 1, prepared: 0 });
    await mq.ok("DELETE", path);
    expect((await topic.stats()).queues[0]).toMatchObject({ delayed: 0 });
  },

  "a message that nobody knows is neither read nor recalled nor re-timed": async (mq) => {
    const path = `/v1/messages/${unique("nothing")}`;
    await mq.refused([404, "message_not_found"], "GET", path);
    await mq.refused([404, "message_not_found"], "DELETE", path);
    await mq.refused([404, "message_not_found"], "PATCH", path, { deliverAt: 1 });
  },

  "a message past its ttl is not delivered and says expired": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const sent = await topic.sendOne({ body: "short", ttlMs: 200 });
    await until("the ttl has run out", async () => {
      const seen = await mq.ok("GET", `/v1/messages/${sent.id}`);
      return seen["state"] === "expired";
    });
    await topic.send({ body: "marker" });
    expect(bodies(await group.take(1))).toEqual(["marker"]);
    await mq.refused([400, "invalid_request"], "POST", `${topic.path}/messages`, {
      body: 1,
      delayMs: 1_000,
      expiresAt: Date.now() + 500,
    });
  },
};
