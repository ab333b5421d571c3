/** Checks by webhook: the envelope and its signature, what counts as an answer, and who may be called. */
import { expect } from "vitest";
import { Webhook } from "standardwebhooks";
import { asked, type Cases, type Mq, resolution } from "./client.ts";
import {
  bodies,
  type Call,
  type CallAnswer,
  gate,
  SHORT,
  there,
  type Transaction,
  unique,
  until,
} from "./kit.ts";

const WEBHOOK_HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];

function verify(call: Call, secret: string): unknown {
  const headers = WEBHOOK_HEADERS.map((name) => [name, call.headers.get(name) ?? ""]);
  return new Webhook(secret).verify(
    call.body,
    Object.fromEntries(headers) as Record<string, string>,
  );
}

/** The first answer is `bad`, the second commits: bad must have counted as unknown. */
async function countsAsUnknown(
  mq: Mq,
  bad: CallAnswer | ((id: string) => CallAnswer),
): Promise<Transaction["lastCheck"]> {
  const topic = await mq.topic();
  const producers = await mq.producers((call) => {
    const { attempt, transactionId } = asked(call);
    if (attempt > 1) return resolution("commit");
    return typeof bad === "function" ? bad(transactionId) : bad;
  });
  const { transactionId } = await topic.prepare(
    { body: 1 },
    { producerGroup: producers.group, check: SHORT },
  );
  const done = await mq.becomes(transactionId, "committed");
  expect(done).toMatchObject({ checks: 2, decidedBy: "check" });
  expect(producers.calls.map((call) => asked(call).attempt)).toEqual([1, 2]);
  return done.lastCheck;
}

const COMMIT = JSON.stringify({ resolution: "commit" });

export const webhooks: Cases = {
  "a check is signed by Standard Webhooks and says what it asks": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("commit"));
    expect(producers.secret).toMatch(/^whsec_/u);
    const prepared = await topic.prepare(
      { body: { order: "ä" }, keys: ["k"] },
      { producerGroup: producers.group, check: SHORT },
    );
    await mq.becomes(prepared.transactionId, "committed");
    const call = there(producers.calls[0]);
    expect(call.method).toBe("POST");
    expect(call.headers.get("content-type")).toMatch(/^application\/json/u);
    expect(verify(call, producers.secret)).toMatchObject({
      type: "transaction.check",
      data: {
        transactionId: prepared.transactionId,
        topic: topic.name,
        queue: 0,
        producerGroup: producers.group,
        attempt: 1,
        maxChecks: SHORT.maxChecks,
        messages: [{ id: prepared.messages[0]?.id, body: { order: "ä" }, keys: ["k"] }],
      },
    });
    expect(() => verify({ ...call, body: `${call.body} ` }, producers.secret)).toThrow();
    expect(call.body).not.toContain(producers.secret);
  },

  "after a rotation the new secret and the old one sign side by side": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("commit"));
    const path = `/v1/producer-groups/${producers.group}`;
    const rotated = await mq.ok<{ secret: string }>("POST", `${path}/secret`, {});
    expect(rotated.secret).toMatch(/^whsec_/u);
    expect(rotated.secret).not.toBe(producers.secret);
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check: SHORT },
    );
    await mq.becomes(transactionId, "committed");
    const call = there(producers.calls[0]);
    verify(call, rotated.secret);
    verify(call, producers.secret);
    const shown = await mq.call("GET", path);
    expect(shown.json["secret"], "the secret is shown only when made or rotated").toBeUndefined();
    expect(shown.text).not.toContain(rotated.secret);
  },

  "row 39: a checker that throws or answers nothing counts as unknown and is asked again": async (
    mq,
  ) => {
    expect(await countsAsUnknown(mq, { status: 500, body: COMMIT })).toMatchObject({
      outcome: "status",
      status: 500,
    });
    expect(await countsAsUnknown(mq, { status: 200, body: "null" })).toMatchObject({
      outcome: "no_resolution",
    });
    expect(await countsAsUnknown(mq, { status: 200, body: "" })).toMatchObject({
      outcome: "not_json",
    });
  },

  "another status than 200 counts as unknown, whatever its body says": async (mq) => {
    for (const status of [201, 404, 410]) await countsAsUnknown(mq, { status, body: COMMIT });
  },

  "a redirect is not followed and counts as unknown": async (mq) => {
    const elsewhere = await mq.producers(() => resolution("commit"));
    await countsAsUnknown(mq, { status: 307, headers: { location: elsewhere.url } });
    expect(elsewhere.calls).toEqual([]);
  },

  "wrong JSON counts as unknown": async (mq) => {
    for (const body of ["commit", '{"resolution":"COMMIT"}', '{"resolution":["commit"]}', "[]"])
      await countsAsUnknown(mq, { status: 200, body });
  },

  "an answer of more than 64 KiB counts as unknown": async (mq) => {
    const pad = "x".repeat(65 * 1024);
    await countsAsUnknown(mq, { status: 200, body: JSON.stringify({ pad, resolution: "commit" }) });
  },

  "an answer that names another transaction counts as unknown": async (mq) => {
    await countsAsUnknown(mq, {
      status: 200,
      body: JSON.stringify({ resolution: "commit", transactionId: "another" }),
    });
  },

  "row 52: an endpoint that cannot be reached is asked again": async (mq) => {
    const topic = await mq.topic();
    const group = unique("producers");
    const gone = await mq.target.listen(() => resolution("commit"));
    await gone.close();
    const path = `/v1/producer-groups/${group}`;
    await mq.ok("PUT", path, { check: { url: gone.url } });
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: group, check: SHORT },
    );
    await until("tried", async () => (await mq.transaction(transactionId)).checks >= 2);
    const back = await mq.target.listen(() => resolution("commit"));
    await mq.ok("PUT", path, { check: { url: back.url } });
    await mq.becomes(transactionId, "committed");
    await back.close();
    expect(bodies(await topic.group().take(1))).toEqual([1]);
    await mq.ok("DELETE", path);
  },

  "row 53: commit, rollback and unknown mean what they say": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers((call) =>
      resolution(String(asked(call).messages[0]?.body)),
    );
    const made = { producerGroup: producers.group, check: { ...SHORT, maxChecks: 2 } };
    const ends = { commit: "committed", rollback: "rolledBack", unknown: "discarded" };
    for (const [body, state] of Object.entries(ends)) {
      const { transactionId } = await topic.prepare({ body }, made);
      await mq.becomes(transactionId, state);
    }
    expect(bodies(await topic.peek())).toEqual(["commit"]);
  },

  "a check that is not answered in time counts as unknown": async (mq) => {
    const topic = await mq.topic();
    const never = gate();
    const producers = await mq.producers(
      async (call) => {
        if (asked(call).attempt === 1) await never.opened;
        return resolution("commit");
      },
      { timeoutMs: 1_000 },
    );
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check: SHORT },
    );
    expect(await mq.becomes(transactionId, "committed")).toMatchObject({ checks: 2 });
    never.open();
    expect(bodies(await topic.group().take(1))).toEqual([1]);
    await topic.group().nothing(0);
  },

  "a slow endpoint of one group delays neither another group nor sends and receives": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const stuck = gate();
    const slow = await mq.producers(async () => {
      await stuck.opened;
      return resolution("rollback");
    });
    const quick = await mq.producers(() => resolution("commit"));
    for (let body = 0; body < 20; body += 1)
      await topic.prepare({ body: `slow ${body}` }, { producerGroup: slow.group, check: SHORT });
    await until("the slow one is asked", () => slow.calls.length > 0);
    const { transactionId } = await topic.prepare(
      { body: "quick" },
      { producerGroup: quick.group, check: SHORT },
    );
    const done = await mq.becomes(transactionId, "committed");
    // Less than the slow one is given.
    expect(there(done.decidedAt) - done.preparedAt).toBeLessThan(9_000);
    await topic.send({ body: "sent" });
    expect(bodies(await topic.group().take(2))).toEqual(["quick", "sent"]);
    stuck.open();
    await until("all rolled back", async () => {
      const { transactions } = await topic.stats();
      return transactions["rolledBack"] === 20;
    });
  },

  "targets that are not public https are refused when registered": async (mq) => {
    const path = `/v1/producer-groups/${unique("producers")}`;
    const urls = [
      "http://example.com/checks",
      "https://10.0.0.1/",
      "https://192.168.1.1/",
      "https://169.254.169.254/latest",
      "https://[fd00::1]/",
      "https://0.0.0.0/",
      "ftp://example.com/",
    ];
    for (const url of urls) {
      const answer = await mq.refused([400, "target_not_allowed"], "PUT", path, { check: { url } });
      expect(answer["field"] ?? "check.url").toBe("check.url");
    }
    await mq.refused([404, "producer_group_not_found"], "GET", path);
  },

  "a producer group is made, read, listed, changed and deleted": async (mq) => {
    const space = mq.with(mq.key, { "halfmq-namespace": unique("ns") });
    const group = unique("producers");
    const path = `/v1/producer-groups/${group}`;
    await space.refused([404, "producer_group_not_found"], "GET", path);
    const url = "https://example.com/checks";
    const made = await space.ok("PUT", path, { check: { url } });
    expect(made).toMatchObject({ group, check: { url, timeoutMs: 10_000 } });
    const changed = await space.ok("PUT", path, { check: { url, timeoutMs: 2_000 } });
    expect(changed["secret"], "no new secret for a change").toBeUndefined();
    expect(await space.ok("GET", path)).toMatchObject({
      group,
      check: { url, timeoutMs: 2_000 },
    });
    const listed = await space.all<{ group: string }>("/v1/producer-groups");
    expect(listed.map((each) => each.group)).toEqual([group]);
    await space.ok("DELETE", path);
    await space.refused([404, "producer_group_not_found"], "GET", path);
    expect(await space.all("/v1/producer-groups")).toEqual([]);
  },
};
