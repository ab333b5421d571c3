/** Commit, rollback and unknown: the first durable decision wins and nothing is seen before it. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, NEVER, SHORT, sorted, there, unique } from "./kit.ts";

export const decisions: Cases = {
  "row 2: messages rolled back at once never arrive, whatever the checker would say": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    for (let body = 0; body < 10; body += 1) {
      const { transactionId } = await topic.prepare({ body }, { check: SHORT });
      const done = await mq.rollback(transactionId);
      expect(done).toEqual({ transactionId, state: "rolledBack", repeated: false });
    }
    expect(await mq.checks(`${topic.name}-producers`, 300)).toEqual([]);
    await topic.send({ body: "after" });
    expect(bodies(await group.take(1))).toEqual(["after"]);
    expect((await topic.stats()).transactions).toMatchObject({ rolledBack: 10, prepared: 0 });
  },

  "row 9: a transactional message is received and acked like any other": async (mq) => {
    const topic = await mq.topic();
    const { transactionId, messages } = await topic.prepare({ body: { order: 1 } });
    await mq.commit(transactionId);
    const message = await topic.group().one();
    expect(message).toMatchObject({
      id: messages[0]?.id,
      body: { order: 1 },
      transactionId,
      deliveryAttempt: 1,
    });
    expect(await topic.group().ack(message)).toEqual([{ receipt: message.receipt, ok: true }]);
    await topic.group().nothing(0);
  },

  "row 10: before the commit no consumer sees anything, on any read path": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const prepared = await topic.prepare({ body: "half", keys: ["secret"], tag: "T" });
    await group.nothing();
    await group.make({ filter: { tags: ["T"] } });
    await group.nothing(0);
    expect(await topic.peek()).toEqual([]);
    expect(await topic.peek("?key=secret")).toEqual([]);
    expect(await topic.peek("?from=0&to=9999999999999")).toEqual([]);
    const stats = await topic.stats();
    expect(stats.queues[0]).toMatchObject({ nextOffset: 0, prepared: 1 });
    expect(stats.groups[0]).toMatchObject({ group: "g", lag: 0 });
    const id = there(prepared.messages[0]).id;
    await mq.refused([404, "message_not_found"], "GET", `/v1/messages/${id}`);
  },

  "row 11: a commit delivers its message once and says where it stands": async (mq) => {
    const topic = await mq.topic();
    const { transactionId, state, nextCheckAt, check, messages } = await topic.prepare({ body: 1 });
    expect({ state, check }).toEqual({ state: "prepared", check: NEVER });
    expect(nextCheckAt).toBeGreaterThan(Date.now() + 500_000);
    const done = await mq.commit(transactionId);
    expect(done).toEqual({
      transactionId,
      state: "committed",
      repeated: false,
      messages: [{ id: messages[0]?.id, queue: 0, offset: 0 }],
    });
    expect(bodies(await topic.group().take(1))).toEqual([1]);
    await topic.group().nothing();
    const after = await mq.transaction(transactionId);
    expect(after).toMatchObject({
      topic: topic.name,
      queue: 0,
      state: "committed",
      decidedBy: "producer",
      checks: 0,
      producerGroup: `${topic.name}-producers`,
    });
    expect(after.decidedAt).toBeGreaterThanOrEqual(after.preparedAt);
  },

  "row 13: unknown changes no state and puts the next check one interval later": async (mq) => {
    const topic = await mq.topic();
    const check = { timeoutMs: 60_000, intervalMs: 3_600_000, maxChecks: 3 };
    const { transactionId } = await topic.prepare({ body: 1 }, { check });
    const answer = await mq.decide(transactionId, "unknown");
    expect(answer.status).toBe(200);
    const seen = await mq.transaction(transactionId);
    expect(seen).toMatchObject({ state: "prepared", checks: 0 });
    expect(seen.nextCheckAt).toBeGreaterThan(Date.now() + 3_000_000);
    expect(await topic.peek()).toEqual([]);
    expect((await mq.commit(transactionId)).repeated).toBe(false);
  },

  "row 19: a decision is known by its transaction id alone; a producer group beside it is refused":
    async (mq) => {
      const topic = await mq.topic();
      const { transactionId } = await topic.prepare({ body: 1 });
      const answer = await mq.refused(
        [400, "invalid_request"],
        "POST",
        `/v1/transactions/${encodeURIComponent(transactionId)}/commit`,
        { producerGroup: "another" },
      );
      expect(answer["field"]).toBe("producerGroup");
      expect((await mq.transaction(transactionId)).state).toBe("prepared");
    },

  "row 20: a transaction id that was tampered with decides nothing": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    const last = transactionId.at(-1) === "0" ? "1" : "0";
    const forged = `${transactionId.slice(0, -1)}${last}`;
    const answer = await mq.decide(forged, "commit");
    expect(answer.status).toBe(404);
    expect(answer.json["code"]).toBe("transaction_not_found");
    expect((await mq.transaction(transactionId)).state).toBe("prepared");
  },

  "row 21: an unknown transaction is 404 transaction_not_found for every verb": async (mq) => {
    const path = `/v1/transactions/${unique("nothing")}`;
    await mq.refused([404, "transaction_not_found"], "GET", path);
    for (const verb of ["commit", "rollback", "unknown", "resume"])
      await mq.refused([404, "transaction_not_found"], "POST", `${path}/${verb}`, {});
  },

  "row 31: a commit twice makes one message and says repeated": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    const first = await mq.commit(transactionId);
    const second = await mq.commit(transactionId);
    expect(second).toEqual({ ...first, repeated: true });
    expect((await topic.stats()).queues[0]?.nextOffset).toBe(1);
    expect(bodies(await topic.group().take(1))).toEqual([1]);
    await topic.group().nothing();
  },

  "row 32: a commit after the rollback is refused and delivers nothing": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    await mq.rollback(transactionId);
    const answer = await mq.decide(transactionId, "commit");
    expect(answer.status).toBe(409);
    expect(answer.json).toMatchObject({ code: "transaction_rolled_back", state: "rolledBack" });
    expect(await topic.peek()).toEqual([]);
    const again = await mq.rollback(transactionId);
    expect(again).toEqual({ transactionId, state: "rolledBack", repeated: true });
  },

  "row 33: a rollback after the commit is refused and takes nothing back": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    await mq.commit(transactionId);
    for (const verb of ["rollback", "unknown"]) {
      const answer = await mq.decide(transactionId, verb);
      expect(answer.status).toBe(409);
      expect(answer.json).toMatchObject({ code: "transaction_committed", state: "committed" });
    }
    expect(bodies(await topic.group().take(1))).toEqual([1]);
  },

  "row 36: the answer of a commit is lost and the repeated one says the same": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    const once = unique("commit");
    const first = await mq.decide(transactionId, "commit", {}, { once });
    const second = await mq.decide(transactionId, "commit", {}, { once });
    expect(second.status).toBe(200);
    expect(second.text).toBe(first.text);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect((await topic.stats()).queues[0]?.nextOffset).toBe(1);
  },

  "row 41: a prepare whose answer was lost is found again by its key and rolled back": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const body = { producerGroup: "p", message: { body: 1 } };
    const path = `${topic.path}/transactions`;
    const once = unique("prepare");
    await mq.ok("POST", path, body, { once });
    const found = await mq.ok<{ transactionId: string }>("POST", path, body, { once });
    await mq.rollback(found.transactionId);
    expect((await topic.stats()).transactions).toMatchObject({ prepared: 0, rolledBack: 1 });
    expect(await topic.peek()).toEqual([]);
  },

  "row 46: several messages in one transaction come all together or not at all": async (mq) => {
    const topic = await mq.topic();
    const kept = await topic.prepare([{ body: 1 }, { body: 2 }, { body: 3 }]);
    const dropped = await topic.prepare([{ body: 4 }, { body: 5 }]);
    expect(kept.messages).toHaveLength(3);
    await mq.rollback(dropped.transactionId);
    const done = await mq.commit(kept.transactionId);
    expect(done.messages.map((message) => message.id)).toEqual(
      kept.messages.map((message) => message.id),
    );
    expect(bodies(await topic.group().take(3))).toEqual([1, 2, 3]);
    await topic.group().nothing(0);
  },

  "row 47: nothing can be decided that was not prepared; a transaction has at least one message":
    async (mq) => {
      const topic = await mq.topic();
      const path = `${topic.path}/transactions`;
      for (const body of [{ producerGroup: "p" }, { producerGroup: "p", messages: [] }])
        await mq.refused([400, "invalid_request"], "POST", path, body);
      const answer = await mq.refused([400, "invalid_request"], "POST", path, {
        message: { body: 1 },
      });
      expect(answer["field"]).toBe("producerGroup");
    },

  "row 48: a blank transaction id is 404": async (mq) => {
    for (const blank of ["", "%20"])
      expect((await mq.call("POST", `/v1/transactions/${blank}/commit`, {})).status).toBe(404);
  },

  "row 49: a second end, over any connection, is the same success": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => mq.commit(transactionId)));
    expect(answers.filter((answer) => !answer.repeated)).toHaveLength(1);
    expect(new Set(answers.map((answer) => JSON.stringify(answer.messages))).size).toBe(1);
    expect((await topic.stats()).queues[0]?.nextOffset).toBe(1);
  },

  "row 54: half messages stand in no topic of their own": async (mq) => {
    const space = mq.with(mq.key, { "halfmq-namespace": unique("ns") });
    const topic = await space.topic();
    await topic.prepare({ body: 1 });
    const topics = await space.all<{ topic: string }>("/v1/topics");
    expect(topics.map((each) => each.topic)).toEqual([topic.name]);
  },

  "row 60: a committed message keeps id, tag, keys, properties, type and message group": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const content = {
      body: { a: [1, null, "x"] },
      contentType: "application/vnd.order+json",
      tag: "created",
      keys: ["order-1", "customer-7"],
      properties: { region: "eu", "x-empty": "" },
      messageGroup: "customer-7",
    };
    const prepared = await topic.prepare(content);
    await mq.commit(prepared.transactionId);
    const message = await topic.group().one();
    expect(message).toMatchObject({ ...content, id: prepared.messages[0]?.id });
    expect(message.properties).toEqual(content.properties);
    expect(message.storedAt).toBeGreaterThanOrEqual(message.sentAt);
  },

  "row 65: messages stand in the order of their commits": async (mq) => {
    const topic = await mq.topic();
    const a = await topic.prepare({ body: "a" });
    const b = await topic.prepare({ body: "b" });
    await mq.commit(b.transactionId);
    await topic.send({ body: "plain" });
    await mq.commit(a.transactionId);
    expect(bodies(await topic.group().take(3))).toEqual(["b", "plain", "a"]);
    expect(bodies(await topic.peek())).toEqual(["b", "plain", "a"]);
  },

  "of a commit and a rollback at the same moment exactly one wins and all answers agree": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const rounds = await Promise.all(
      Array.from({ length: 10 }, async (_, round) => {
        const { transactionId } = await topic.prepare({ body: round });
        const answers = await Promise.all(
          ["commit", "rollback", "commit", "rollback"].map(async (verb) => ({
            verb,
            answer: await mq.decide(transactionId, verb),
          })),
        );
        const { state } = await mq.transaction(transactionId);
        for (const { verb, answer } of answers) {
          const won = (state === "committed") === (verb === "commit");
          expect(answer.status, `${verb}, ${state}: ${answer.text}`).toBe(won ? 200 : 409);
          expect(answer.json["state"]).toBe(state);
        }
        expect(answers.filter((each) => each.answer.json["repeated"] === false)).toHaveLength(1);
        return { round, state };
      }),
    );
    const committed = rounds.filter((each) => each.state === "committed");
    const shown = await topic.peek();
    expect(sorted(bodies(shown))).toEqual(sorted(committed.map((each) => each.round)));
  },

  "the decider is written down, producer when nobody is named": async (mq) => {
    const topic = await mq.topic();
    for (const by of ["check", "operator", "producer"]) {
      const { transactionId } = await topic.prepare({ body: by });
      await mq.commit(transactionId, { by });
      expect((await mq.transaction(transactionId)).decidedBy).toBe(by);
    }
    const { transactionId } = await topic.prepare({ body: 1 });
    await mq.refused(
      [400, "invalid_request"],
      "POST",
      `/v1/transactions/${encodeURIComponent(transactionId)}/commit`,
      { by: "somebody" },
    );
    const bare = await mq.call(
      "POST",
      `/v1/transactions/${encodeURIComponent(transactionId)}/commit`,
    );
    expect(bare.status, "a decision needs no body").toBe(200);
    expect((await mq.transaction(transactionId)).decidedBy).toBe("producer");
  },

  "only a discarded transaction can be resumed": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    for (const decide of [undefined, "commit"]) {
      if (decide !== undefined) await mq.decide(transactionId, decide);
      const answer = await mq.decide(transactionId, "resume");
      expect(answer.status).toBe(409);
      expect(answer.json["code"]).toBe("transaction_not_discarded");
    }
  },

  "transactions are listed by state, oldest first, over pages that show nothing twice": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const ids: string[] = [];
    for (let body = 0; body < 7; body += 1) ids.push((await topic.prepare({ body })).transactionId);
    await mq.commit(there(ids[1]));
    await mq.rollback(there(ids[2]));
    const listed = async (query: string): Promise<string[]> =>
      (await mq.all<{ transactionId: string }>(`${topic.path}/transactions${query}`, 2)).map(
        (each) => each.transactionId,
      );
    expect(await listed("")).toEqual(ids);
    expect(await listed("?state=prepared")).toEqual([0, 3, 4, 5, 6].map((index) => ids[index]));
    expect(await listed("?state=committed")).toEqual([ids[1]]);
    expect(await listed("?state=rolledBack")).toEqual([ids[2]]);
    expect(await listed("?state=discarded")).toEqual([]);
    await mq.refused([400, "invalid_request"], "GET", `${topic.path}/transactions?state=open`);
  },
};
