/** RocketMQ's cases of clustering, broadcast and offsets (§7.6), as HalfMQ holds them; broadcast has its own in broadcast.ts. */
import { expect } from "vitest";
import { type Cases, type Group, type Mq } from "./client.ts";
import { bodies, type Json, type Message, sorted, there, until } from "./kit.ts";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, body) => body);

const from = (first: number, end: number): number[] => upTo(end).slice(first);

const seek = (group: Group, to: unknown): Promise<Json> =>
  group.topic.mq.ok("POST", `${group.path}/seek`, { to });

/** Ten messages, 0 to 9, in the one queue of a topic; of one message group for an ordered group. */
async function ten(mq: Mq, settings: Json = {}): Promise<Group> {
  const topic = await mq.topic();
  const group = await topic.group().make(settings);
  await topic.send(...upTo(10).map((body) => ({ body, messageGroup: "a" })));
  return group;
}

/** Receives and acks one by one. */
async function consume(group: Group, count: number): Promise<unknown[]> {
  const came: unknown[] = [];
  for (const _ of upTo(count)) {
    const message = await group.one();
    came.push(message.body);
    await group.ack(message);
  }
  return came;
}

export const clusterRows: Cases = {
  "row 163: each of three groups gets all of a hundred messages": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    await topic.send(...upTo(100).map((body) => ({ body, messageGroup: `m${body % 9}` })));
    for (const name of ["one", "two", "three"]) {
      const group = topic.group(name);
      expect(sorted(bodies(await group.take(100)))).toEqual(sorted(upTo(100)));
      await group.nothing(0);
    }
  },

  "row 164: three consumers of one group share a hundred messages, each once": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const group = await topic.group().make();
    const came: unknown[] = [];
    const consumer = async (): Promise<void> => {
      while (came.length < 100) {
        const batch = await group.receive({ maxMessages: 5, waitMs: 300 });
        came.push(...bodies(batch));
        if (batch.length > 0) await group.ack(...batch);
      }
    };
    const consumers = [consumer(), consumer(), consumer()];
    await topic.send(...upTo(100).map((body) => ({ body, messageGroup: `m${body % 9}` })));
    await Promise.all(consumers);
    expect(sorted(came)).toEqual(sorted(upTo(100)));
    await group.nothing(0);
  },

  "row 166: consumers come and go, and those that ask have equal shares of all queues at once":
    async (mq) => {
      const topic = await mq.topic({ queues: 4 });
      const group = await topic.group().make();
      const all: unknown[] = [];
      for (const [phase, asking] of [4, 2, 4].entries()) {
        const sent = upTo(24).map((index) => 24 * phase + index);
        await topic.send(...sent.map((body) => ({ body, messageGroup: `m${body % 16}` })));
        const shares = Array.from({ length: asking }, () => 0);
        while (shares.reduce((sum, share) => sum + share, 0) < 24)
          for (const consumer of shares.keys()) {
            const batch = await group.receive({ maxMessages: 1, waitMs: 500 });
            if (batch.length > 0) await group.ack(...batch);
            all.push(...bodies(batch));
            shares[consumer] = (shares[consumer] ?? 0) + batch.length;
          }
        expect(shares).toEqual(Array.from({ length: asking }, () => 24 / asking));
      }
      expect(sorted(all)).toEqual(sorted(upTo(72)));
    },

  "row 172: a new group from the earliest gets what was sent before": async (mq) => {
    const topic = await mq.topic();
    await topic.send(...upTo(10).map((body) => ({ body })));
    const group = await topic.group().make({ startFrom: "earliest" });
    expect(bodies(await group.take(10))).toEqual(upTo(10));
    await group.nothing(0);
  },

  "row 173: a group that is known goes on where it was, whatever startFrom says": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    await topic.send({ body: "before" });
    const group = await topic.group().make({ startFrom: "latest" });
    await topic.send(...upTo(100).map((body) => ({ body, messageGroup: `m${body % 5}` })));
    await group.make({ startFrom: "latest" });
    expect(sorted(bodies(await group.take(100)))).toEqual(sorted(upTo(100)));
    await group.nothing(0);
  },

  "row 174: what is read and not acked is there again": async (mq) => {
    const group = await ten(mq, { invisibleMs: 500 });
    const first = await group.receive({ maxMessages: 10 });
    const again: Message[] = [];
    while (again.length < 10)
      again.push(...(await group.receive({ maxMessages: 10, waitMs: 5_000, invisibleMs: 60_000 })));
    expect(again.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
    expect(bodies(await group.topic.peek())).toEqual(upTo(10));
    expect(bodies(await group.topic.peek())).toEqual(upTo(10));
  },

  "row 175: with ten in flight a seek to the fifth brings six": async (mq) => {
    const group = await ten(mq);
    expect(await group.receive({ maxMessages: 10 })).toHaveLength(10);
    expect(await seek(group, { "0": 4 })).toMatchObject({ offsets: { "0": 4 } });
    expect(bodies(await group.receive({ maxMessages: 10 }))).toEqual(from(4, 10));
  },

  "row 176: after a seek of an ordered group old receipts do nothing, the new ones free it": async (
    mq,
  ) => {
    const group = await ten(mq, { ordered: true });
    const old = await group.receive({ maxMessages: 10 });
    await seek(group, { "0": 2 });
    const eight = await group.receive({ maxMessages: 10 });
    expect(bodies(eight)).toEqual(from(2, 10));
    const results = await group.ack(...old.slice(2));
    expect(new Set(results.map(({ code }) => code))).toEqual(new Set(["receipt_expired"]));
    await group.topic.send({ body: "next", messageGroup: "a" });
    await group.nothing(0);
    await group.ack(...eight);
    expect(bodies(await group.receive())).toEqual(["next"]);
  },

  "row 177: a seek before anything was read counts from there, and holds nothing": async (mq) => {
    const group = await ten(mq, { ordered: true });
    await seek(group, { "0": 4 });
    const six = await group.receive({ maxMessages: 10 });
    expect(bodies(six)).toEqual(from(4, 10));
    await group.ack(...six);
    await group.nothing(0);
    expect((await group.topic.stats()).groups).toMatchObject([{ lag: 0, inFlight: 0 }]);
  },

  "row 178: a seek back while messages are consumed brings them again": async (mq) => {
    const group = await ten(mq);
    const came = await consume(group, 8);
    await seek(group, { "0": 5 });
    came.push(...(await consume(group, 5)));
    expect(came).toEqual([...upTo(8), ...from(5, 10)]);
    await group.nothing(0);
  },

  "row 179: a seek forward leaves out what is between": async (mq) => {
    const group = await ten(mq);
    const came = await consume(group, 2);
    await seek(group, { "0": 8 });
    came.push(...(await consume(group, 2)));
    expect(came).toEqual([0, 1, 8, 9]);
    await group.nothing(0);
  },

  "row 180: an ordered group that is moved forward after the first reads the rest in order": async (
    mq,
  ) => {
    const group = await ten(mq, { ordered: true });
    const came = await consume(group, 1);
    await seek(group, { "0": 5 });
    came.push(...(await consume(group, 5)));
    expect(came).toEqual([0, 5, 6, 7, 8, 9]);
    await group.nothing(0);
  },

  "row 181: an ordered group that is moved back, once or twice, reads from the last place": async (
    mq,
  ) => {
    for (const places of [[3], [3, 1]]) {
      const group = await ten(mq, { ordered: true });
      const came = await consume(group, 5);
      for (const place of places) await seek(group, { "0": place });
      const last = there(places.at(-1));
      came.push(...(await consume(group, 10 - last)));
      expect(came).toEqual([...upTo(5), ...from(last, 10)]);
      expect(came).toHaveLength(places.length === 1 ? 12 : 14);
      await group.nothing(0);
    }
  },

  "row 182: a seek of one queue, or of all, brings exactly what lies between": async (mq) => {
    const topic = await mq.topic({ queues: 2 });
    const group = await topic.group().make();
    const sent: number[] = [0, 0];
    for (let body = 0; Math.min(...sent) < 10; body += 1) {
      const { queue } = await topic.sendOne({ body, messageGroup: `m${body}` });
      sent[queue] = (sent[queue] ?? 0) + 1;
    }
    const all = there(sent[0]) + there(sent[1]);
    const total = 2 * all + 3;
    const came: Message[] = [];
    const running = (async (): Promise<void> => {
      while (came.length < total) {
        const batch = await group.receive({ maxMessages: 100, waitMs: 200 });
        if (batch.length > 0) await group.ack(...batch);
        came.push(...batch);
      }
    })();
    const comes = (count: number): Promise<unknown> =>
      until(`${count} messages`, async () => {
        const [stats] = (await topic.stats()).groups;
        return came.length >= count && stats?.lag === 0;
      });
    await comes(all);
    await seek(group, { "1": there(sent[1]) - 3 });
    await comes(all + 3);
    expect(came.slice(all).map(({ queue }) => queue)).toEqual([1, 1, 1]);
    await seek(group, "earliest");
    await comes(total);
    await running;
    expect(came).toHaveLength(total);
    await group.nothing();
  },

  "row 183: a seek to an instant brings what was stored then or later": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    for (const body of upTo(4)) {
      const [last] = (await topic.peek()).slice(-1);
      await until("another millisecond", () => Date.now() > (last?.storedAt ?? 0) + 20);
      await topic.send({ body });
    }
    await group.take(4);
    const shown = await topic.peek();
    await seek(group, there(shown[2]).storedAt);
    expect(bodies(await group.take(2))).toEqual([2, 3]);
    await seek(group, there(shown[1]).storedAt + 1);
    expect(bodies(await group.take(2))).toEqual([2, 3]);
    await seek(group, 0);
    expect(bodies(await group.take(4))).toEqual(upTo(4));
  },

  "row 184: what piled up is skipped: the lag is 0, and only what is new comes": async (mq) => {
    const group = await ten(mq);
    expect((await group.topic.stats()).groups).toMatchObject([{ lag: 10 }]);
    await seek(group, "latest");
    expect((await group.topic.stats()).groups).toMatchObject([{ lag: 0 }]);
    await group.nothing(0);
    await group.topic.send({ body: "new" });
    expect(bodies(await group.take(1))).toEqual(["new"]);
  },
};
