/** Producer sequences: each message once and in order, over repeats, restarts of the producer and growth of the topic. */
import { expect } from "vitest";
import { type Cases } from "./client.ts";
import { bodies, type Json, there } from "./kit.ts";

const counted = (sequence: number, more: Json = {}): Json => {
  const { id = "p", epoch = 1, ...rest } = more;
  return { body: sequence, producer: { id, epoch, sequence }, ...rest };
};

export const producers: Cases = {
  "a producer's repeat is answered duplicate with the first id and offset": async (mq) => {
    const topic = await mq.topic();
    const first = await topic.send(counted(1), counted(2));
    const again = await topic.send(counted(1), counted(2), counted(3));
    expect(again.map((each) => each.state)).toEqual(["duplicate", "duplicate", "ready"]);
    expect(again.slice(0, 2).map(({ id, offset }) => ({ id, offset }))).toEqual(
      first.map(({ id, offset }) => ({ id, offset })),
    );
    expect(bodies(await topic.peek())).toEqual([1, 2, 3]);
  },

  "a hole in a producer's sequence refuses the whole request and says what is expected": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    await topic.send(counted(1));
    const messages = [{ body: "other" }, counted(2), counted(4)];
    const gap = await mq.refused([409, "sequence_gap"], "POST", path, { messages });
    expect(gap).toMatchObject({
      expected: 3,
      actual: 4,
      producer: "p",
      index: 2,
      retryable: false,
    });
    const start = await mq.refused([409, "sequence_gap"], "POST", path, counted(2, { id: "q" }));
    expect(start).toMatchObject({ expected: 1 });
    expect(bodies(await topic.peek())).toEqual([1]);
  },

  "a hole refuses the whole request also over several queues": async (mq) => {
    const topic = await mq.topic({ queues: 8 });
    const groups = Array.from({ length: 16 }, (_, index) => `g${index}`);
    await topic.send(...groups.map((messageGroup) => counted(1, { messageGroup })));
    const messages = groups.map((messageGroup, index) =>
      counted(index === 9 ? 3 : 2, { messageGroup }),
    );
    const path = `${topic.path}/messages`;
    const gap = await mq.refused([409, "sequence_gap"], "POST", path, { messages });
    expect(gap).toMatchObject({ expected: 2, actual: 3, index: 9, messageGroup: "g9" });
    expect(await topic.peek()).toHaveLength(16);
    const sent = await topic.send(...groups.map((messageGroup) => counted(2, { messageGroup })));
    expect(new Set(sent.map((each) => each.state))).toEqual(new Set(["ready"]));
  },

  "a newer epoch begins at 1 and fences the older one": async (mq) => {
    const topic = await mq.topic();
    const path = `${topic.path}/messages`;
    await topic.send(counted(1), counted(2));
    await mq.refused([409, "sequence_gap"], "POST", path, counted(3, { epoch: 2 }));
    await topic.send(counted(1, { epoch: 2 }));
    const fenced = await mq.refused([409, "producer_fenced"], "POST", path, counted(3));
    expect(fenced).toMatchObject({ producer: "p", epoch: 2, actual: 1 });
  },

  "each message group and each producer counts for itself": async (mq) => {
    const topic = await mq.topic();
    const all = [
      counted(1),
      counted(1, { messageGroup: "a" }),
      counted(1, { messageGroup: "b" }),
      counted(1, { id: "q" }),
      counted(2, { messageGroup: "a" }),
    ];
    const sent = await topic.send(...all);
    expect(sent.map((each) => each.state)).toEqual(all.map(() => "ready"));
    const again = await topic.send(...all);
    expect(again.map((each) => each.state)).toEqual(all.map(() => "duplicate"));
  },

  "a producer is still known after the topic has grown": async (mq) => {
    const topic = await mq.topic();
    const ids = Array.from({ length: 12 }, (_, index) => `p${index}`);
    for (const id of ids) await topic.send(counted(1, { id }), counted(2, { id }));
    await mq.ok("PUT", topic.path, { queues: 4 });
    await mq.ok("PUT", topic.path, { queues: 16 });
    for (const id of ids) {
      const [old, next] = await topic.send(counted(2, { id }), counted(3, { id }));
      expect(there(old).state).toBe("duplicate");
      expect(there(next).state).toBe("ready");
      await mq.refused([409, "sequence_gap"], "POST", `${topic.path}/messages`, counted(5, { id }));
    }
    expect(await topic.peek()).toHaveLength(36);
  },

  "a transaction takes no producer": async (mq) => {
    const topic = await mq.topic();
    const answer = await mq.refused(
      [400, "invalid_request"],
      "POST",
      `${topic.path}/transactions`,
      { producerGroup: "g", message: counted(1) },
    );
    expect(answer["field"]).toBe("message.producer");
  },
};
