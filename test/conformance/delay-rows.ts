/** RocketMQ's cases of delay and recall (§7.2), as HalfMQ holds them. */
import { expect } from "vitest";
import { type Cases, type Mq, type Topic } from "./client.ts";
import { bodies, type Json, type Sent, sorted, there, unique } from "./kit.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Of a machine that is busy with other tests. */
const LATE_MS_MAX = 8_000;

const recall = (mq: Mq, { id }: { readonly id: string }) => mq.ok("DELETE", `/v1/messages/${id}`);

/** A message of each kind, by how it says when it is due. */
const kinds = (delayMs: number) => [
  { body: "plain" },
  { body: "none", delayMs: 0 },
  { body: "relative", delayMs },
  { body: "absolute", deliverAt: Date.now() + delayMs },
  { body: "grouped", delayMs, messageGroup: "g" },
];

/** Takes so many and proves that none came before its time, and none much later. */
async function onTime(topic: Topic, sent: readonly Sent[], lateMsMax: number): Promise<void> {
  const due = new Map(sent.map(({ id, deliverAt }) => [id, there(deliverAt)]));
  const taken = await topic.group().take(sent.length);
  expect(sorted(taken.map(({ id }) => id))).toEqual(sorted(due.keys()));
  for (const { id, storedAt } of taken) {
    expect(storedAt).toBeGreaterThanOrEqual(there(due.get(id)));
    expect(storedAt - there(due.get(id))).toBeLessThan(lateMsMax);
  }
}

export const delayRows: Cases = {
  "row 77: ten delayed messages come when they are due, and none earlier": async (mq) => {
    const topic = await mq.topic();
    const many = Array.from({ length: 10 }, (_, body) => ({ body, delayMs: 1_500 }));
    const sent = await topic.send(...many);
    await topic.group().nothing(300);
    await onTime(topic, sent, LATE_MS_MAX);
  },

  "row 78: a delivery time in the past means now": async (mq) => {
    const topic = await mq.topic();
    const sent = await topic.sendOne({ body: 1, deliverAt: Date.now() - 20_000 });
    expect(sent).toMatchObject({ state: "ready", offset: 0 });
    expect(bodies(await topic.group().receive())).toEqual([1]);
  },

  "row 79: a delivery time reaches 366 days, and later ones are refused": async (mq) => {
    const topic = await mq.topic();
    expect((await topic.sendOne({ body: 1, deliverAt: Date.now() + 365 * DAY_MS })).state).toBe(
      "delayed",
    );
    for (const [late, field] of [
      [{ deliverAt: Date.now() + 367 * DAY_MS }, "deliverAt"],
      [{ delayMs: 366 * DAY_MS + 1 }, "delayMs"],
    ] as const) {
      const message = { body: 1, ...late };
      const path = `${topic.path}/messages`;
      const answer = await mq.refused([400, "invalid_request"], "POST", path, message);
      expect(answer["field"]).toBe(field);
    }
  },

  "rows 80, 82, 83: there are no levels: each delay is kept to the millisecond": async (mq) => {
    const topic = await mq.topic();
    const delays = [1_000, 50, 999, 400];
    const sent = await topic.send(...delays.map((delayMs) => ({ body: delayMs, delayMs })));
    await onTime(topic, sent, LATE_MS_MAX);
    expect(bodies(await topic.peek())).toEqual([50, 400, 999, 1_000]);
  },

  "row 81: a level, and a delay below nothing, are refused by name": async (mq) => {
    const topic = await mq.topic();
    for (const [bad, field] of [
      [{ delayMs: -1 }, "delayMs"],
      [{ delayLevel: 19 }, "delayLevel"],
      [{ deliverAt: -1 }, "deliverAt"],
    ] as const) {
      const message = { body: 1, ...bad };
      const path = `${topic.path}/messages`;
      const answer = await mq.refused([400, "invalid_request"], "POST", path, message);
      expect(answer["field"]).toBe(field);
    }
    expect((await topic.sendOne({ body: 1, delayMs: 0 })).state).toBe("ready");
  },

  "rows 84, 85: delayed ones are recalled and never come; those that are there say so": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const all = await topic.send(...kinds(600));
    expect(bodies(await topic.group("first").take(5)).length).toBe(5);
    for (const each of all)
      await mq.refused([409, "already_delivered"], "DELETE", `/v1/messages/${each.id}`);
    const again = await topic.send(...kinds(3_000));
    for (const each of again.slice(0, 2))
      await mq.refused([409, "already_delivered"], "DELETE", `/v1/messages/${each.id}`);
    for (const each of again.slice(2)) expect((await recall(mq, each))["id"]).toBe(each.id);
    const marker = await topic.sendOne({ body: "marker", delayMs: 3_500 });
    const taken = await topic.group("second").take(8);
    expect(taken.at(-1)?.id).toBe(marker.id);
    expect(bodies(taken.slice(5))).toEqual(["plain", "none", "marker"]);
  },

  "row 86: an id made up for another topic recalls nothing": async (mq) => {
    const [one, other] = [await mq.topic(), await mq.topic()];
    const [first, second] = await one.send({ body: 1, delayMs: 400 }, { body: 2, delayMs: 400 });
    const strange = await other.sendOne({ body: 3, delayMs: HOUR_MS });
    const parts = there(second).id.split("_");
    parts[1] = there(strange.id.split("_")[1]);
    await mq.refused([404, "message_not_found"], "DELETE", `/v1/messages/${parts.join("_")}`);
    expect(sorted((await one.group().take(2)).map(({ id }) => id))).toEqual(
      sorted([there(first).id, there(second).id]),
    );
    expect(await mq.ok("GET", `/v1/messages/${strange.id}`)).toMatchObject({ state: "delayed" });
  },

  "row 87: a recall answers the id, and nothing is received": async (mq) => {
    const topic = await mq.topic();
    const sent = await topic.sendOne({ body: 1, delayMs: 1_200 });
    expect(await recall(mq, sent)).toMatchObject({ id: sent.id, state: "recalled" });
    await topic.group().nothing(1_400);
    await mq.refused([409, "already_recalled"], "DELETE", `/v1/messages/${sent.id}`);
  },

  "row 88: a message without a delay cannot be recalled": async (mq) => {
    const topic = await mq.topic();
    const sent = await topic.sendOne({ body: 1 });
    await mq.refused([409, "already_delivered"], "DELETE", `/v1/messages/${sent.id}`);
    expect(bodies(await topic.group().receive())).toEqual([1]);
  },

  "rows 89, 90: a recall that may not be, or finds nothing, is never a success": async (mq) => {
    const topic = await mq.topic();
    const sent = await topic.sendOne({ body: 1, delayMs: HOUR_MS });
    const path = `/v1/messages/${sent.id}`;
    const key = async (more: Json): Promise<Mq> => {
      const made = await mq.ok<{ key: string }>("PUT", `/v1/keys/${unique("key")}`, more);
      return mq.with(made.key);
    };
    const reader = await key({ scopes: ["consume"] });
    await reader.refused([403, "forbidden"], "DELETE", path);
    const elsewhere = await key({ scopes: ["send"], topics: [unique("other")] });
    await elsewhere.refused([403, "forbidden"], "DELETE", path);
    for (const id of ["nothing", `${sent.id}0`, sent.id.toUpperCase(), "%00"])
      await mq.refused([404, "message_not_found"], "DELETE", `/v1/messages/${id}`);
    await mq.ok("DELETE", `${topic.path}?force=true`);
    await mq.refused([404, "message_not_found"], "DELETE", path);
  },

  "row 91: two delays at once are refused": async (mq) => {
    const topic = await mq.topic();
    const message = { body: 1, delayMs: 1_000, deliverAt: Date.now() + 1_000 };
    const path = `${topic.path}/messages`;
    const answer = await mq.refused([400, "invalid_request"], "POST", path, message);
    expect(answer["field"]).toBe("deliverAt");
  },
};
