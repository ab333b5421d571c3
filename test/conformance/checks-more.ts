/** Check-back at its edges: discards and resumes, late answers, what the counters and a consumer see afterwards. */
import { expect } from "vitest";
import { asked, type Cases, resolution } from "./client.ts";
import { bodies, gate, SHORT, sorted, there, until } from "./kit.ts";

/** Of row 66; who is decided by its producer may be asked for before, on a slow machine. */
const ANSWERS: Readonly<Record<string, string>> = {
  "check commits": "commit",
  "check rolls back": "rollback",
};

export const checksMore: Cases = {
  "row 34: a commit after the discard is refused; resumed it can be committed": async (mq) => {
    const topic = await mq.topic();
    const check = { ...SHORT, maxChecks: 1 };
    const { transactionId } = await topic.prepare({ body: 1 }, { check });
    await mq.becomes(transactionId, "discarded");
    for (const verb of ["commit", "rollback", "unknown"]) {
      const answer = await mq.decide(transactionId, verb);
      expect(answer.status).toBe(409);
      expect(answer.json).toMatchObject({ code: "transaction_discarded", state: "discarded" });
    }
    expect(await topic.peek()).toEqual([]);
    expect((await mq.decide(transactionId, "resume")).status).toBe(200);
    await mq.commit(transactionId);
    expect(bodies(await topic.group().take(1))).toEqual([1]);
    await topic.group().nothing(0);
  },

  "row 35: a commit that crosses a check whose answer commits too makes one message": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const inFlight = gate();
    const decided = gate();
    const producers = await mq.producers(async () => {
      inFlight.open();
      await decided.opened;
      return resolution("commit");
    });
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check: SHORT },
    );
    await inFlight.opened;
    expect((await mq.commit(transactionId)).repeated).toBe(false);
    decided.open();
    expect(bodies(await topic.group().take(1))).toEqual([1]);
    await topic.group().nothing(500);
    expect((await topic.stats()).queues[0]?.nextOffset).toBe(1);
    expect(await mq.transaction(transactionId)).toMatchObject({ decidedBy: "producer", checks: 1 });
  },

  "a rollback that crosses a check whose answer commits stands": async (mq) => {
    const topic = await mq.topic();
    const inFlight = gate();
    const decided = gate();
    const producers = await mq.producers(async () => {
      inFlight.open();
      await decided.opened;
      return resolution("commit");
    });
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check: SHORT },
    );
    await inFlight.opened;
    await mq.rollback(transactionId);
    decided.open();
    await topic.group().nothing(500);
    expect((await mq.transaction(transactionId)).state).toBe("rolledBack");
    expect(producers.calls).toHaveLength(1);
  },

  "no check is started after the decision": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("unknown"));
    const made = { producerGroup: producers.group, check: SHORT };
    const { transactionId } = await topic.prepare({ body: 1 }, made);
    await until("checked", () => producers.calls.length >= 2);
    await mq.commit(transactionId);
    const before = producers.calls.length;
    // A second transaction of the group marks the time in which the first would have been asked thrice.
    const marker = await topic.prepare({ body: "marker" }, made);
    await until(
      "the marker was asked for",
      () =>
        producers.calls.filter((call) => asked(call).transactionId === marker.transactionId)
          .length >= 4,
    );
    const ours = producers.calls.filter((call) => asked(call).transactionId === transactionId);
    expect(ours.length - before, "one that was on its way may cross").toBeLessThanOrEqual(1);
    await mq.rollback(marker.transactionId);
  },

  "while a check is open the next one waits for its end": async (mq) => {
    const topic = await mq.topic();
    const slow = gate();
    const producers = await mq.producers(async (call) => {
      if (asked(call).attempt === 1) await slow.opened;
      return resolution("commit");
    });
    const made = { producerGroup: producers.group, check: SHORT };
    const { transactionId } = await topic.prepare({ body: 1 }, made);
    await until("asked", () => producers.calls.length === 1);
    // Others of the group are asked meanwhile: five rounds of the interval pass.
    for (let body = 0; body < 5; body += 1) {
      const other = await topic.prepare({ body }, { check: SHORT });
      await until("a round", async () => (await mq.transaction(other.transactionId)).checks >= 1);
    }
    expect(producers.calls).toHaveLength(1);
    expect((await mq.transaction(transactionId)).checks).toBe(1);
    slow.open();
    expect(await mq.becomes(transactionId, "committed")).toMatchObject({ checks: 1 });
  },

  "row 62: three prepared, one committed and one rolled back are counted so": async (mq) => {
    const topic = await mq.topic();
    const ids: string[] = [];
    for (let body = 0; body < 3; body += 1) ids.push((await topic.prepare({ body })).transactionId);
    await mq.commit(there(ids[0]));
    await mq.rollback(there(ids[1]));
    await mq.commit(there(ids[0]));
    const stats = await topic.stats();
    expect(stats.transactions).toEqual({ prepared: 1, committed: 1, rolledBack: 1, discarded: 0 });
    expect(stats.queues[0]).toMatchObject({ prepared: 1, nextOffset: 1 });
  },

  "row 63: a resumed transaction has its checks at 0 and is asked for again": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("unknown"));
    const { transactionId } = await topic.prepare(
      { body: 1, keys: ["k"] },
      { producerGroup: producers.group, check: { ...SHORT, maxChecks: 2 } },
    );
    await mq.becomes(transactionId, "discarded");
    const answer = await mq.decide(transactionId, "resume");
    expect(answer.status, answer.text).toBe(200);
    expect(answer.json["state"]).toBe("prepared");
    await mq.becomes(transactionId, "discarded");
    expect(producers.calls.map((call) => asked(call).attempt)).toEqual([1, 2, 1, 2]);
    expect(asked(there(producers.calls[3])).messages[0]).toMatchObject({ body: 1, keys: ["k"] });
  },

  "row 64: a consumer's retries of a committed message count from one": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ backoff: { delaysMs: [100] } });
    const { transactionId } = await topic.prepare({ body: 1 });
    await mq.commit(transactionId);
    const first = await group.one();
    expect(first.deliveryAttempt).toBe(1);
    await group.nack(first);
    const second = await group.one();
    expect(second).toMatchObject({ id: first.id, offset: first.offset, deliveryAttempt: 2 });
    await group.ack(second);
  },

  "row 66: commit, rollback, unknown then commit, unknown then rollback: two of four arrive":
    async (mq) => {
      const topic = await mq.topic();
      const producers = await mq.producers((call) =>
        resolution(ANSWERS[String(asked(call).messages[0]?.body)] ?? "unknown"),
      );
      const made = { producerGroup: producers.group, check: { ...SHORT, timeoutMs: 500 } };
      const one = await topic.prepare({ body: "commit" }, made);
      const two = await topic.prepare({ body: "rollback" }, made);
      const three = await topic.prepare({ body: "check commits" }, made);
      const four = await topic.prepare({ body: "check rolls back" }, made);
      const ids = [one, two, three, four].map((each) => each.transactionId);
      expect(new Set(ids).size).toBe(4);
      await mq.commit(one.transactionId);
      await mq.rollback(two.transactionId);
      for (const { transactionId } of [three, four]) await mq.decide(transactionId, "unknown");
      await mq.becomes(three.transactionId, "committed");
      await mq.becomes(four.transactionId, "rolledBack");
      const taken = await topic.group().take(2);
      expect(sorted(bodies(taken))).toEqual(sorted(["commit", "check commits"]));
      await topic.group().nothing(0);
    },

  "an unknown out of an older check does not put off a newer one": async (mq) => {
    const topic = await mq.topic();
    const check = { timeoutMs: 100, intervalMs: 1_000, maxChecks: 50 };
    const { transactionId, producerGroup } = await topic.prepare({ body: 1 }, { check });
    const [first] = await mq.checks(producerGroup, 20_000);
    expect(first?.attempt).toBe(1);
    const due = there((await mq.transaction(transactionId)).nextCheckAt);
    expect((await mq.decide(transactionId, "unknown", { by: "check" })).status).toBe(200);
    expect(there((await mq.transaction(transactionId)).nextCheckAt)).toBeGreaterThanOrEqual(due);
    await mq.commit(transactionId, { by: "check" });
  },

  "a poll answers at most maxMessages checks and waits for the first": async (mq) => {
    const topic = await mq.topic();
    const check = { timeoutMs: 300, intervalMs: 60_000, maxChecks: 3 };
    const ids: string[] = [];
    for (let body = 0; body < 5; body += 1)
      ids.push((await topic.prepare({ body }, { check })).transactionId);
    const seen: string[] = [];
    while (seen.length < 5) {
      const open = await mq.checks(`${topic.name}-producers`, 10_000, 2);
      expect(open.length).toBeGreaterThanOrEqual(1);
      expect(open.length).toBeLessThanOrEqual(2);
      for (const { transactionId } of open) await mq.commit(transactionId, { by: "check" });
      seen.push(...open.map((each) => each.transactionId));
    }
    expect(sorted(seen)).toEqual(sorted(ids));
    expect(await mq.checks(`${topic.name}-producers`)).toEqual([]);
  },

  "a check shows its half messages as they were written": async (mq) => {
    const topic = await mq.topic();
    const first = {
      body: { n: 1 },
      contentType: "application/json",
      tag: "t",
      keys: ["k"],
      properties: { p: "v" },
      messageGroup: "m",
      delayMs: 1_000,
      ttlMs: 60_000,
      dedupId: "d",
    };
    const second = {
      bodyBase64: "AAEC",
      deliverAt: Date.now() + 60_000,
      expiresAt: Date.now() + 120_000,
    };
    const check = { timeoutMs: 100, intervalMs: 60_000, maxChecks: 3 };
    const { transactionId, producerGroup } = await topic.prepare([first, second], { check });
    const [asked] = await mq.checks(producerGroup, 20_000);
    expect(asked?.messages).toMatchObject([first, second]);
    await mq.rollback(transactionId, { by: "check" });
  },
};
