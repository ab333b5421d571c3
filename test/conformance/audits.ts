/** The audit: what was stored, what became of it, and that the two agree whatever happened in between. */
import { expect } from "vitest";
import { type Cases, type Topic } from "./client.ts";
import { type Json, type Message, there, unique } from "./kit.ts";

interface GroupAudit {
  readonly group: string;
  readonly [count: string]: number | string;
}

interface Audit {
  readonly faults: number;
  readonly queues: readonly { readonly queue: number; readonly nextOffset: number }[];
  readonly groups: readonly GroupAudit[];
  readonly producers: readonly Json[];
  readonly nextCursor?: string;
}

const auditOf = (topic: Topic, query = ""): Promise<Audit> =>
  topic.mq.ok<Audit>("GET", `${topic.path}/audit${query}`);

const groupIn = ({ groups }: Audit, name = "g"): GroupAudit =>
  there(groups.find(({ group }) => group === name));

const zero = {
  stored: 0,
  delivered: 0,
  acked: 0,
  deadLettered: 0,
  expired: 0,
  filtered: 0,
  open: 0,
  unaccounted: 0,
};

export const audits: Cases = {
  "an audit accounts for what is acked, dead, in flight and waiting": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const group = await topic.group().make({ maxAttempts: 1 });
    expect(groupIn(await auditOf(topic))).toEqual({ group: "g", ...zero });
    await topic.send(
      ...Array.from({ length: 9 }, (_, body) => ({ body, messageGroup: `${body}` })),
    );
    const some: Message[] = [];
    while (some.length < 5) some.push(...(await group.receive({ maxMessages: 5 - some.length })));
    await group.ack(...some.slice(0, 3));
    await group.nack(there(some[3]));
    const audit = await auditOf(topic);
    expect(audit.faults).toBe(0);
    expect(audit.queues.reduce((sum, { nextOffset }) => sum + nextOffset, 0)).toBe(9);
    expect(groupIn(audit)).toEqual({
      ...zero,
      group: "g",
      stored: 9,
      delivered: 5,
      acked: 3,
      deadLettered: 1,
      open: 5,
    });
    await topic.mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
    await group.take(5);
    expect(groupIn(await auditOf(topic))).toMatchObject({ acked: 7, deadLettered: 1, open: 1 });
    expect((await auditOf(topic)).faults).toBe(0);
  },

  "what a filter passes over, and what expires, is accounted for": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ filter: { tags: ["a"] } });
    await topic.send({ body: 1, tag: "a" }, { body: 2, tag: "b" }, { body: 3 });
    await topic.send({ body: 4, tag: "a", ttlMs: 1 }, { body: 5, tag: "b" });
    await group.take(1);
    await group.nothing();
    const filtered = groupIn(await auditOf(topic));
    expect(filtered).toMatchObject({ stored: 5, acked: 1, expired: 1, filtered: 3, open: 0 });
    // What it passed over stays so when the filter changes.
    await group.make({ filter: { sql: "TRUE" } });
    await topic.send({ body: 6 });
    await group.take(1);
    const audit = await auditOf(topic);
    expect(groupIn(audit)).toMatchObject({ stored: 6, acked: 2, filtered: 3, open: 0 });
    expect(audit.faults).toBe(0);
  },

  "a group's account begins where it begins, and anew with a seek": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 }, { body: 2 });
    const late = await topic.group("late").make({ startFrom: "latest" });
    const group = await topic.group().make();
    await topic.send({ body: 3 });
    await group.take(3);
    expect(groupIn(await auditOf(topic), "late")).toMatchObject({ stored: 1, open: 1 });
    expect(groupIn(await auditOf(topic))).toMatchObject({ stored: 3, acked: 3 });
    await topic.mq.ok("POST", `${group.path}/seek`, { to: { 0: 1 } });
    expect(groupIn(await auditOf(topic))).toMatchObject({ stored: 2, acked: 0, open: 2 });
    await group.take(2);
    await late.take(1);
    expect(groupIn(await auditOf(topic))).toMatchObject({ stored: 2, acked: 2, open: 0 });
    expect((await auditOf(topic)).faults).toBe(0);
  },

  "consumers of a broadcast group are accounted for together": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ mode: "broadcast" });
    for (const consumerId of ["a", "b"]) await group.receive({ consumerId });
    await topic.send({ body: 1 }, { body: 2 });
    const mine = await group.receive({ consumerId: "a" });
    await group.settle("ack", { receipts: mine.map(({ receipt }) => receipt) });
    expect(groupIn(await auditOf(topic))).toMatchObject({
      stored: 4,
      delivered: 2,
      acked: 2,
      open: 2,
      unaccounted: 0,
    });
  },

  "counting producers are listed with what was taken of them, a page at a time": async (mq) => {
    const topic = await mq.topic({ queues: 3 });
    const ids = Array.from({ length: 7 }, (_, index) => `meter-${index}`);
    for (const id of ids)
      for (const sequence of [1, 2])
        await topic.sendOne({ body: 1, producer: { id, epoch: 3, sequence } });
    await topic.sendOne({
      body: 1,
      messageGroup: "m",
      producer: { id: "meter-0", epoch: 1, sequence: 1 },
    });
    const repeat = { body: 1, producer: { id: "meter-1", epoch: 3, sequence: 2 } };
    expect((await topic.sendOne(repeat)).state).toBe("duplicate");
    const found: Json[] = [];
    for (let query = "?limit=2"; query !== "";) {
      const { producers, nextCursor, faults } = await auditOf(topic, query);
      expect(producers.length).toBeLessThanOrEqual(2);
      expect(faults).toBe(0);
      found.push(...producers);
      query = nextCursor === undefined ? "" : `?limit=2&cursor=${nextCursor}`;
    }
    const byId = found.toSorted((one, other) =>
      JSON.stringify(one["id"]) < JSON.stringify(other["id"]) ? -1 : 1,
    );
    expect(byId).toHaveLength(8);
    expect(byId.filter(({ messageGroup }) => messageGroup === "m")).toMatchObject([
      { id: "meter-0", epoch: 1, firstSequence: 1, lastSequence: 1, taken: 1, missing: 0 },
    ]);
    expect(byId.filter((each) => !("messageGroup" in each))).toMatchObject(
      ids.map((id) => ({ id, epoch: 3, lastSequence: 2, taken: 2, missing: 0 })),
    );
  },

  "an audit needs a topic and takes none but its own cursors": async (mq) => {
    await mq.refused([404, "topic_not_found"], "GET", `/v1/topics/${unique("no")}/audit`);
    const topic = await mq.topic();
    for (const cursor of ["x", "eyJpIjoxfQ"])
      await mq.refused([400, "invalid_request"], "GET", `${topic.path}/audit?cursor=${cursor}`);
  },
};
