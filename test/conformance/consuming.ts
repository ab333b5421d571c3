/** Receiving: long poll, leases, redelivery, attempt ids, and settling with receipts. */
import { expect } from "vitest";
import { type Answer, type Cases } from "./client.ts";
import { bodies, type Message, there, unique, until } from "./kit.ts";

const leasesOf = (got: readonly Message[]): string[] =>
  got.map(({ id, receipt }) => `${id} ${receipt}`).toSorted();

export const consuming: Cases = {
  "a receive makes its group, answers at once when there are messages and empty when not": async (
    mq,
  ) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 });
    expect(bodies(await topic.group().receive({ waitMs: 20_000 }))).toEqual([1]);
    expect(await topic.group().receive()).toEqual([]);
    const groups = await mq.all<{ group: string }>(`${topic.path}/groups`);
    expect(groups.map((each) => each.group)).toEqual(["g"]);
  },

  "a receive gives 16 messages where no maximum is named, and never more than its maximum": async (
    mq,
  ) => {
    const topic = await mq.topic();
    await topic.send(...Array.from({ length: 40 }, (_, body) => ({ body })));
    expect(await topic.group().receive()).toHaveLength(16);
    expect(await topic.group().receive({ maxMessages: 5 })).toHaveLength(5);
    expect(await topic.group().receive({ maxMessages: 1_000 })).toHaveLength(19);
  },

  "a long poll is woken by a send": async (mq) => {
    const topic = await mq.topic();
    await topic.group().make();
    const began = Date.now();
    const waiting = topic.group().receive({ waitMs: 15_000 });
    await topic.send({ body: "woken" });
    expect(bodies(await waiting)).toEqual(["woken"]);
    expect(Date.now() - began).toBeLessThan(12_000);
  },

  "a long poll over four queues is woken by a send to any of them": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const group = await topic.group().make();
    const queues = new Set<number>();
    for (let round = 0; queues.size < 4 && round < 60; round += 1) {
      const began = Date.now();
      const waiting = group.receive({ waitMs: 15_000 });
      const sent = await topic.sendOne({ body: round, messageGroup: `g${round}` });
      const got = await waiting;
      expect(bodies(got)).toEqual([round]);
      expect(Date.now() - began).toBeLessThan(12_000);
      await group.ack(...got);
      queues.add(sent.queue);
    }
    expect(queues.size).toBe(4);
  },

  "a long poll is woken by a commit, by a delay's end and by a lease's end": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ invisibleMs: 400 });
    const { transactionId } = await topic.prepare({ body: "commit" });
    const first = group.receive({ waitMs: 15_000 });
    await mq.commit(transactionId);
    expect(bodies(await first)).toEqual(["commit"]);
    const second = await group.one();
    expect(second).toMatchObject({ body: "commit", deliveryAttempt: 2 });
    await group.ack(second);
    const third = group.receive({ waitMs: 15_000 });
    await topic.send({ body: "delay", delayMs: 200 });
    const got = await third;
    expect(bodies(got)).toEqual(["delay"]);
    await group.ack(...got);
  },

  "a long poll that saw its topic grow is woken by a send to a new queue": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const waiting = group.receive({ waitMs: 15_000 });
    await topic.group("other").receive({ waitMs: 300 });
    await mq.ok("PUT", topic.path, { queues: 64 });
    const began = Date.now();
    const sent = await topic.sendOne({ body: "new queue", messageGroup: "zzz7" });
    expect(sent.queue, "the message group does not hash to queue 0").toBeGreaterThan(0);
    expect(bodies(await waiting)).toEqual(["new queue"]);
    expect(Date.now() - began).toBeLessThan(12_000);
  },

  "a long poll ends at once when its group is deleted, and does not make it anew": async (mq) => {
    for (const queues of [1, 4]) {
      const topic = await mq.topic({ queues });
      const group = await topic.group().make();
      const began = Date.now();
      const ended: Answer[] = [];
      const waiting = mq.call("POST", `${group.path}/receive`, { waitMs: 15_000 });
      void waiting.then((answer) => ended.push(answer));
      // A delete that overtook the receive is repeated: the receive made the group, and waits for it.
      await until("the end of the wait", async () => {
        await mq.call("DELETE", group.path);
        return ended[0];
      });
      expect((await waiting).json).toMatchObject({ status: 404, code: "group_not_found" });
      expect(Date.now() - began).toBeLessThan(12_000);
      expect(await mq.all(`${topic.path}/groups`)).toEqual([]);
    }
  },

  "a long poll ends at once when its topic is deleted": async (mq) => {
    for (const queues of [1, 4]) {
      const topic = await mq.topic({ queues });
      const group = await topic.group().make();
      const began = Date.now();
      const waiting = mq.call("POST", `${group.path}/receive`, { waitMs: 15_000 });
      await until("the poll to be there", async () => {
        const [stats] = (await topic.stats()).groups;
        return stats?.lastSeenAt;
      });
      await mq.ok("DELETE", topic.path);
      expect((await waiting).json).toMatchObject({ status: 404, code: "topic_not_found" });
      expect(Date.now() - began).toBeLessThan(12_000);
    }
  },

  "an empty long poll ends after its wait, not before": async (mq) => {
    const topic = await mq.topic();
    await topic.group().make();
    const began = Date.now();
    expect(await topic.group().receive({ waitMs: 500 })).toEqual([]);
    expect(Date.now() - began).toBeGreaterThanOrEqual(450);
    expect(Date.now() - began).toBeLessThan(8_000);
  },

  "many waiting consumers share what comes, each message once": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const group = await topic.group().make();
    const seen: unknown[] = [];
    const consumers = Array.from({ length: 8 }, async () => {
      while (seen.length < 40) {
        const got = await group.receive({ waitMs: 300, maxMessages: 3 });
        seen.push(...bodies(got));
        if (got.length > 0) await group.ack(...got);
      }
    });
    for (let body = 0; body < 40; body += 1)
      await topic.sendOne({ body, messageGroup: `g${body}` });
    await Promise.all(consumers);
    expect(seen).toHaveLength(40);
    expect(new Set(seen).size).toBe(40);
  },

  "groups read independently of one another": async (mq) => {
    const topic = await mq.topic();
    await topic.send({ body: 1 }, { body: 2 });
    expect(bodies(await topic.group("a").take(2))).toEqual([1, 2]);
    expect(bodies(await topic.group("b").take(2))).toEqual([1, 2]);
    await topic.group("a").nothing(0);
  },

  "a lease hides the message until it ends; then it comes again with one attempt more": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const first = await group.one({ invisibleMs: 1_200 });
    expect(first.deliveryAttempt).toBe(1);
    await group.nothing(0);
    const second = await group.one();
    expect(second).toMatchObject({ id: first.id, offset: 0, deliveryAttempt: 2 });
    expect(second.storedAt).toBe(first.storedAt);
    expect(Date.now()).toBeGreaterThanOrEqual(first.invisibleUntil);
    expect(second.receipt).not.toBe(first.receipt);
    expect(await group.ack(first)).toEqual([
      { receipt: first.receipt, ok: false, code: "receipt_expired" },
    ]);
    expect(await group.ack(second)).toEqual([{ receipt: second.receipt, ok: true }]);
  },

  "a late ack that comes before the next delivery is ok": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const message = await group.one({ invisibleMs: 100 });
    await until("the lease has run out", () => Date.now() > message.invisibleUntil + 100);
    expect(await group.ack(message)).toEqual([{ receipt: message.receipt, ok: true }]);
    await group.nothing();
  },

  "a receipt of a topic that was deleted and made again is expired, one of another topic is no receipt here":
    async (mq) => {
      const topic = await mq.topic();
      const group = topic.group();
      await topic.send({ body: 1 });
      const { receipt } = await group.one();
      await mq.ok("DELETE", `${topic.path}?force=true`);
      await mq.call("PUT", topic.path, {});
      await group.make();
      const answer = await mq.ok("POST", `${group.path}/ack`, { receipts: [receipt] });
      expect(answer).toEqual({ results: [{ receipt, ok: false, code: "receipt_expired" }] });
      const other = await mq.topic();
      await other.send({ body: 1 });
      const strange = await other.group().one();
      expect(
        await mq.ok("POST", `${group.path}/ack`, { receipts: [strange.receipt] }),
      ).toMatchObject({ results: [{ ok: false, code: "receipt_invalid" }] });
    },

  "acked twice is ok, in one request and in two; what is no receipt is receipt_invalid": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const { receipt } = await group.one();
    expect(await group.ack(receipt, "rubbish", receipt)).toEqual([
      { receipt, ok: true },
      { receipt: "rubbish", ok: false, code: "receipt_invalid" },
      { receipt, ok: true },
    ]);
    expect(await group.ack(receipt)).toEqual([{ receipt, ok: true }]);
    for (const verb of ["nack", "extend"] as const) {
      const result = verb === "nack" ? group.nack(receipt) : group.extend(receipt, 1_000);
      expect(await result).toEqual({ receipt, ok: false, code: "receipt_expired" });
    }
    await group.nothing();
  },

  "every receipt of an acked message is ok for an ack": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const first = await group.one({ invisibleMs: 100 });
    const second = await group.one({ invisibleMs: 60_000 });
    await group.ack(second);
    expect(await group.ack(first)).toEqual([{ receipt: first.receipt, ok: true }]);
  },

  "a receipt counts for its own group and topic only": async (mq) => {
    const topic = await mq.topic();
    const other = await mq.topic();
    await topic.send({ body: 1 });
    await topic.group("b").make();
    await other.group().make();
    const { receipt } = await topic.group("a").one();
    for (const group of [topic.group("b"), other.group()]) {
      const [result] = await group.ack(receipt);
      expect(result).toMatchObject({ ok: false });
    }
    expect(await topic.group("a").ack(receipt)).toEqual([{ receipt, ok: true }]);
    expect(bodies(await topic.group("b").take(1))).toEqual([1]);
  },

  "the same attempt id gives the same batch while its lease lasts": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 }, { body: 2 }, { body: 3 });
    const attemptId = unique("attempt");
    const first = await group.receive({ attemptId, maxMessages: 2, invisibleMs: 1_500 });
    const second = await group.receive({ attemptId, maxMessages: 2, invisibleMs: 1_500 });
    expect(bodies(first)).toEqual([1, 2]);
    expect(
      second.map(({ id, receipt, deliveryAttempt }) => ({ id, receipt, deliveryAttempt })),
    ).toEqual(first.map(({ id, receipt, deliveryAttempt }) => ({ id, receipt, deliveryAttempt })));
    const other = await group.receive({ attemptId: unique("attempt"), maxMessages: 2 });
    expect(bodies(other)).toEqual([3]);
    const after = await until("the lease ended", async () => {
      const got = await group.receive({ attemptId, maxMessages: 2 });
      return got[0]?.deliveryAttempt === 2 && got;
    });
    expect(bodies(after)).toEqual([1, 2]);
  },

  "a repeat gets what its first try was given, from whatever queues, and a first try may be told as one":
    async (mq) => {
      const topic = await mq.topic({ queues: 4 });
      const group = await topic.group().make();
      const messages = Array.from({ length: 12 }, (_, n) => ({ body: n, messageGroup: `g${n}` }));
      await topic.send(...messages);
      const attemptId = unique("attempt");
      const first = await group.receive({ attemptId, maxMessages: 6, repeat: false });
      expect(first.length).toBeGreaterThan(0);
      const again = await group.receive({ attemptId, maxMessages: 6, repeat: true });
      expect(leasesOf(again)).toEqual(leasesOf(first));
      // Nothing was given to this one: it is a receive like any other.
      const other = await group.receive({ attemptId: unique("attempt"), repeat: true });
      expect(other.length).toBeGreaterThan(0);
      const known = new Set(first.map(({ id }) => id));
      expect(other.filter(({ id }) => known.has(id))).toEqual([]);
      const alone = [{ repeat: true }, { repeat: false }, { repeat: false, invisibleMs: 1_000 }];
      for (const wrong of [{ attemptId, repeat: "yes" }, ...alone]) {
        const answer = await mq.call("POST", `${group.path}/receive`, wrong);
        expect(answer).toMatchObject({
          status: 400,
          json: { code: "invalid_request", field: "repeat" },
        });
      }
    },

  "a nack brings the message back after its delay": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const first = await group.one();
    const began = Date.now();
    expect(await group.nack(first, { delayMs: 1_200, reason: "busy" })).toEqual({
      receipt: first.receipt,
      ok: true,
    });
    await group.nothing(0);
    const second = await group.one();
    expect(Date.now() - began).toBeGreaterThanOrEqual(1_190);
    expect(second).toMatchObject({ id: first.id, deliveryAttempt: 2 });
    await group.nack(second, { delayMs: 0 });
    expect(await group.one()).toMatchObject({ deliveryAttempt: 3 });
  },

  "a nack without a delay follows the group's backoff": async (mq) => {
    const topic = await mq.topic();
    const grows = await topic.group("grows").make({
      backoff: { initialMs: 200, factor: 3, maxMs: 700 },
    });
    const listed = await topic.group("listed").make({ backoff: { delaysMs: [100, 400] } });
    await topic.send({ body: 1 });
    for (const [group, delaysMs] of [
      [grows, [200, 600, 700]],
      [listed, [100, 400, 400]],
    ] as const) {
      let message = await group.one();
      for (const delayMs of delaysMs) {
        const began = Date.now();
        await group.nack(message);
        message = await group.one();
        const tookMs = Date.now() - began;
        expect(tookMs, `${group.name}, ${delayMs}`).toBeGreaterThanOrEqual(delayMs * 0.75);
        expect(tookMs, `${group.name}, ${delayMs}`).toBeLessThan(delayMs * 1.3 + 5_000);
      }
    }
  },

  "an extend makes the lease longer; the old receipt works as long as the new one": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 }, { body: 2 });
    const [a, b] = await group.receive({ invisibleMs: 1_200 });
    const old = there(a);
    const extended = await group.extend(old, 60_000);
    expect(extended.ok).toBe(true);
    expect(extended.invisibleUntil).toBeGreaterThan(Date.now() + 50_000);
    const again = await group.one();
    expect(again, "the one not extended came back").toMatchObject({
      id: b?.id,
      deliveryAttempt: 2,
    });
    await group.nothing(0);
    expect((await group.ack(old))[0]?.ok).toBe(true);
    expect((await group.ack(extended.receipt))[0]?.ok).toBe(true);
    await group.ack(again);
  },

  "an extend can end a lease earlier": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    await topic.send({ body: 1 });
    const message = await group.one({ invisibleMs: 3_600_000 });
    await group.extend(message, 100);
    expect(await group.one()).toMatchObject({ id: message.id, deliveryAttempt: 2 });
  },
};
