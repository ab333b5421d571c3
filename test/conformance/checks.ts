/** Check-back: when a producer group is asked, what its answers do, and where it ends without one. */
import { expect } from "vitest";
import { asked, type Cases, resolution } from "./client.ts";
import { bodies, type Check, NEVER, SHORT, sorted, there, unique, until } from "./kit.ts";

const bodyOf = (check: Check): unknown => check.messages[0]?.body;

export const checks: Cases = {
  "row 1: messages committed at once all arrive and nobody is asked": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("rollback"));
    const made = { producerGroup: producers.group, check: { ...SHORT, timeoutMs: 1_200 } };
    for (let body = 0; body < 10; body += 1) {
      const { transactionId } = await topic.prepare({ body }, made);
      await mq.commit(transactionId);
    }
    expect(bodies(await topic.group().take(10))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await topic.group().nothing(1_500);
    expect(producers.calls).toEqual([]);
  },

  "row 3: messages left unknown arrive when the checker commits": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("commit"));
    for (let body = 0; body < 10; body += 1)
      await topic.prepare({ body }, { producerGroup: producers.group, check: SHORT });
    const taken = await topic.group().take(10);
    expect(sorted(bodies(taken))).toEqual(sorted([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    await topic.group().nothing(0);
    expect(await mq.transaction(there(taken[0]?.transactionId))).toMatchObject({
      state: "committed",
      decidedBy: "check",
      checks: 1,
    });
  },

  "row 4: messages left unknown never arrive when the checker rolls back": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("rollback"));
    const group = await topic.group().make();
    for (let body = 0; body < 10; body += 1)
      await topic.prepare({ body }, { producerGroup: producers.group, check: SHORT });
    await until("all rolled back", async () => {
      const { transactions } = await topic.stats();
      return transactions["rolledBack"] === 10;
    });
    await group.nothing(0);
    expect(await topic.peek()).toEqual([]);
  },

  "row 5: a checker that commits some delivers exactly those": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers((call) =>
      resolution(Number(bodyOf(asked(call))) % 2 === 0 ? "commit" : "rollback"),
    );
    for (let body = 0; body < 10; body += 1)
      await topic.prepare({ body }, { producerGroup: producers.group, check: SHORT });
    await until("all decided", async () => (await topic.stats()).transactions["prepared"] === 0);
    const taken = await topic.group().take(5);
    expect(sorted(bodies(taken))).toEqual(sorted([0, 2, 4, 6, 8]));
    await topic.group().nothing(0);
  },

  "row 6: of 120 messages in five classes exactly the committed ones arrive": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers((call) =>
      resolution({ 2: "commit", 3: "rollback" }[Number(bodyOf(asked(call))) % 5] ?? "unknown"),
    );
    const made = {
      producerGroup: producers.group,
      check: { timeoutMs: 1_000, intervalMs: 200, maxChecks: 2 },
    };
    // Few at a time, so that each is decided soon after it is prepared.
    const left = Array.from({ length: 120 }, (_, body) => body);
    const produce = async (): Promise<void> => {
      for (let body = left.pop(); body !== undefined; body = left.pop()) {
        const { transactionId } = await topic.prepare({ body }, made);
        if (body % 5 === 0) await mq.commit(transactionId);
        if (body % 5 === 1) await mq.rollback(transactionId);
      }
    };
    await Promise.all(Array.from({ length: 8 }, produce));
    await until("all decided", async () => (await topic.stats()).transactions["prepared"] === 0);
    expect((await topic.stats()).transactions).toMatchObject({
      prepared: 0,
      committed: 48,
      rolledBack: 48,
      discarded: 24,
    });
    const expected = Array.from({ length: 120 }, (_, body) => body).filter((body) =>
      [0, 2].includes(body % 5),
    );
    const taken = await topic.group().take(48);
    expect(sorted(bodies(taken))).toEqual(sorted(expected));
    await topic.group().nothing(0);
  },

  "row 7: after silence the producer is asked with the same id, and its commit delivers it": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const prepared = await topic.prepare(
      { body: { order: 7 }, tag: "t", keys: ["k"], properties: { p: "v" } },
      { check: SHORT },
    );
    const [check] = await mq.checks(prepared.producerGroup, 20_000);
    expect(check).toMatchObject({
      transactionId: prepared.transactionId,
      topic: topic.name,
      queue: 0,
      producerGroup: prepared.producerGroup,
      attempt: 1,
      maxChecks: SHORT.maxChecks,
      messages: [
        {
          id: prepared.messages[0]?.id,
          body: { order: 7 },
          tag: "t",
          keys: ["k"],
          properties: { p: "v" },
        },
      ],
    });
    expect(check?.preparedAt).toBe((await mq.transaction(prepared.transactionId)).preparedAt);
    await mq.commit(there(check).transactionId, { by: "check" });
    expect((await topic.group().one()).id).toBe(prepared.messages[0]?.id);
  },

  "row 12: a commit out of a check is a commit": async (mq) => {
    const topic = await mq.topic();
    const { producerGroup } = await topic.prepare({ body: 1 }, { check: SHORT });
    const [check] = await mq.checks(producerGroup, 20_000);
    const done = await mq.commit(there(check).transactionId, { by: "check" });
    expect(done).toMatchObject({ state: "committed", repeated: false });
    expect(await mq.transaction(done.transactionId)).toMatchObject({ decidedBy: "check" });
    expect(bodies(await topic.group().take(1))).toEqual([1]);
  },

  "row 14: a rollback out of a check delivers nothing and ends the checks": async (mq) => {
    const topic = await mq.topic();
    const { producerGroup } = await topic.prepare({ body: 1 }, { check: SHORT });
    const [check] = await mq.checks(producerGroup, 20_000);
    const done = await mq.rollback(there(check).transactionId, { by: "check" });
    const { checks } = await mq.transaction(done.transactionId);
    expect(await mq.checks(producerGroup, 400)).toEqual([]);
    expect(await mq.transaction(done.transactionId)).toMatchObject({ checks, decidedBy: "check" });
    expect(await topic.peek()).toEqual([]);
  },

  "rows 15, 16, 17: a decision later than the first check is taken from producer and checker":
    async (mq) => {
      const topic = await mq.topic();
      const cases = [
        ["commit", "producer", "committed"],
        ["rollback", "producer", "rolledBack"],
        ["commit", "check", "committed"],
      ] as const;
      for (const [verb, by, state] of cases) {
        const { transactionId } = await topic.prepare({ body: by }, { check: SHORT });
        await until("checked", async () => (await mq.transaction(transactionId)).checks >= 1);
        const answer = await mq.decide(transactionId, verb, { by });
        expect(answer.status, answer.text).toBe(200);
        expect(await mq.transaction(transactionId)).toMatchObject({ state, decidedBy: by });
      }
    },

  "rows 18, 50: there is no window after which a direct commit comes too late": async (mq) => {
    const topic = await mq.topic({ transaction: SHORT });
    const { transactionId, check } = await topic.prepare({ body: 1 }, { check: undefined });
    expect(check, "the topic's numbers count where the transaction names none").toEqual(SHORT);
    await until("checked often", async () => (await mq.transaction(transactionId)).checks >= 4);
    expect((await mq.commit(transactionId)).repeated).toBe(false);
    expect(bodies(await topic.group().take(1))).toEqual([1]);
  },

  "row 22: after its last check a transaction is discarded once and asked no more": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("unknown"));
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check: { ...SHORT, maxChecks: 2 } },
    );
    const ended = await mq.becomes(transactionId, "discarded");
    expect(ended).toMatchObject({ checks: 2 });
    expect(ended.nextCheckAt).toBeUndefined();
    await topic.group().nothing(400);
    expect(producers.calls).toHaveLength(2);
    expect((await topic.stats()).transactions).toMatchObject({ discarded: 1, prepared: 0 });
    const listed = await mq.all<{ transactionId: string }>(
      `${topic.path}/transactions?state=discarded`,
    );
    expect(listed.map((each) => each.transactionId)).toEqual([transactionId]);
  },

  "row 23: an undecided transaction is asked for exactly once in each interval": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("unknown"));
    const check = { timeoutMs: 100, intervalMs: 300, maxChecks: 4 };
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check },
    );
    const { preparedAt } = await mq.becomes(transactionId, "discarded");
    expect(producers.calls.map((call) => asked(call).attempt)).toEqual([1, 2, 3, 4]);
    // A call is heard of at its time or later.
    for (const [index, { at }] of producers.calls.entries())
      expect(at - preparedAt).toBeGreaterThanOrEqual(check.timeoutMs + index * check.intervalMs);
  },

  "row 24: nobody is asked before the time-out": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("commit"));
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check: { ...SHORT, timeoutMs: 700 } },
    );
    const done = await mq.becomes(transactionId, "committed");
    const call = there(producers.calls[0]);
    const { timestamp } = JSON.parse(call.body) as { timestamp: number | string };
    expect(new Date(timestamp).getTime()).toBeGreaterThanOrEqual(done.preparedAt + 700);
    expect(there(done.decidedAt) - done.preparedAt).toBeGreaterThanOrEqual(700);
    expect(done.checks).toBe(1);
  },

  "row 26: always unknown: maxChecks questions, then discarded and never delivered": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("unknown"));
    const check = { timeoutMs: 100, intervalMs: 100, maxChecks: 15 };
    const { transactionId } = await topic.prepare(
      { body: 1 },
      { producerGroup: producers.group, check },
    );
    const ended = await mq.becomes(transactionId, "discarded");
    expect(ended.checks).toBe(15);
    expect(producers.calls.map((call) => asked(call).attempt)).toEqual(
      Array.from({ length: 15 }, (_, index) => index + 1),
    );
    expect(there(ended.decidedAt ?? Date.now()) - ended.preparedAt).toBeGreaterThanOrEqual(1_600);
    expect(await topic.peek()).toEqual([]);
  },

  "row 27: with no producer there the mailbox counts, and the end is a resumable discard": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const check = { ...SHORT, maxChecks: 3 };
    const { transactionId, producerGroup } = await topic.prepare({ body: 1 }, { check });
    const ended = await mq.becomes(transactionId, "discarded");
    expect(ended.checks).toBe(3);
    expect(await mq.checks(producerGroup), "a discarded one is not asked for").toEqual([]);
    expect(await topic.peek()).toEqual([]);
    const resumed = await mq.decide(transactionId, "resume");
    expect(resumed.status, resumed.text).toBe(200);
    expect((await mq.commit(transactionId)).state).toBe("committed");
    expect(bodies(await topic.group().take(1))).toEqual([1]);
  },

  "row 28: check times count as they are written, without a floor, and wrong ones are refused":
    async (mq) => {
      const topic = await mq.topic();
      for (const timeoutMs of [100, 1_000, 60_000]) {
        const prepared = await topic.prepare({ body: 1 }, { check: { ...NEVER, timeoutMs } });
        const { preparedAt } = await mq.transaction(prepared.transactionId);
        expect(prepared.check).toEqual({ ...NEVER, timeoutMs });
        expect(prepared.nextCheckAt).toBe(preparedAt + timeoutMs);
      }
      for (const timeoutMs of [99, 0, -1, 100.5, "5", null]) {
        const answer = await mq.refused(
          [400, "invalid_request"],
          "POST",
          `${topic.path}/transactions`,
          { producerGroup: "p", message: { body: 1 }, check: { timeoutMs } },
        );
        expect(answer["field"]).toBe("check.timeoutMs");
      }
    },

  "row 29: a time-out longer than all intervals together costs no check": async (mq) => {
    const topic = await mq.topic();
    const producers = await mq.producers(() => resolution("commit"));
    const { transactionId } = await topic.prepare(
      { body: 1 },
      {
        producerGroup: producers.group,
        check: { timeoutMs: 1_500, intervalMs: 100, maxChecks: 3 },
      },
    );
    const done = await mq.becomes(transactionId, "committed");
    expect(done.checks).toBe(1);
    expect(asked(there(producers.calls[0])).attempt).toBe(1);
    expect(there(done.decidedAt) - done.preparedAt).toBeGreaterThanOrEqual(1_500);
  },

  "row 30: a time-out of 24 hours is the longest": async (mq) => {
    const topic = await mq.topic();
    const dayMs = 86_400_000;
    await topic.prepare({ body: 1 }, { check: { timeoutMs: dayMs, intervalMs: dayMs } });
    for (const field of ["timeoutMs", "intervalMs"]) {
      const answer = await mq.refused(
        [400, "invalid_request"],
        "POST",
        `${topic.path}/transactions`,
        { producerGroup: "p", message: { body: 1 }, check: { [field]: dayMs + 1 } },
      );
      expect(answer).toMatchObject({ field: `check.${field}`, limit: dayMs, actual: dayMs + 1 });
    }
  },

  "row 37: another instance of the group is asked and may decide": async (mq) => {
    const topic = await mq.topic();
    const { transactionId, producerGroup } = await topic.prepare({ body: 1 }, { check: SHORT });
    const instance = mq.with(mq.key);
    const [check] = await instance.checks(producerGroup, 20_000);
    expect(check?.transactionId).toBe(transactionId);
    await instance.commit(transactionId, { by: "check" });
    expect(bodies(await topic.group().take(1))).toEqual([1]);
  },

  "row 38: producers of another group are not asked": async (mq) => {
    const topic = await mq.topic();
    const other = await mq.producers(() => resolution("commit"));
    const { transactionId } = await topic.prepare({ body: 1 }, { check: SHORT });
    await until("checked", async () => (await mq.transaction(transactionId)).checks >= 2);
    expect(other.calls).toEqual([]);
    expect(await mq.checks(unique("strangers"))).toEqual([]);
    expect(await mq.transaction(transactionId)).toMatchObject({ state: "prepared" });
  },

  "row 40: a local transaction that fails leaves the half for a later check": async (mq) => {
    const topic = await mq.topic();
    const { transactionId, producerGroup } = await topic.prepare({ body: 1 }, { check: SHORT });
    const [first] = await mq.checks(producerGroup, 20_000);
    expect((await mq.decide(transactionId, "unknown", { by: "check" })).status).toBe(200);
    const second = await until("asked again", async () => {
      const open = await mq.checks(producerGroup, 500);
      return open.find((check) => check.attempt > there(first).attempt);
    });
    expect(second.transactionId).toBe(transactionId);
    await mq.rollback(transactionId, { by: "check" });
    expect(await topic.peek()).toEqual([]);
  },
};
