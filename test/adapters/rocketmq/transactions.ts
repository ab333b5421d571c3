/** Transactional messages, as Alibaba Cloud's SDK sends, checks and decides them. */
import { expect } from "vitest";
import { there, until } from "../../conformance/kit.ts";
import { bodiesOf, type Cases, type Door, first, properties, thrown } from "./kit.ts";

/** Beyond the ten seconds after which an undecided half comes again. */
const WAIT_SECONDS = 25;

async function publish(door: Door, body: string, checkSeconds: number): Promise<string> {
  const sent = await door.transactions.publishMessage(body, "tag", properties({ checkSeconds }));
  expect(sent.code).toBe(201);
  return there(sent.body.ReceiptHandle);
}

const delivered = async (door: Door): Promise<string[]> =>
  bodiesOf(await door.consumer().consumeMessage(16, 10));

const nothingComes = async (door: Door): Promise<void> => {
  expect(await thrown(door.consumer().consumeMessage(1, 1))).toBe("MessageNotExist");
};

/** Until the server's clock, which is this machine's, has passed it. */
const passed = (instant: number): Promise<true> =>
  until("the instant has passed", () => Date.now() > instant, 20_000);

export const transactions: Cases = {
  "row 67: a half message over HTTP is committed by the handle of its publish": async (door) => {
    const handle = await publish(door, "half", 10);
    await nothingComes(door);
    const { code, body } = await door.transactions.commit(handle);
    expect({ code, body }).toEqual({ code: 204, body: undefined });
    const message = first(await door.consumer().consumeMessage(1, 10));
    expect(message).toMatchObject({ MessageBody: "half", MessageTag: "tag", ConsumedTimes: "1" });
    // The answer may have been lost: the same again is a success, the other one is not.
    expect((await door.transactions.commit(handle)).code).toBe(204);
    const { code: late, body: errors } = await door.transactions.rollback(handle);
    expect({ late, code: errors?.[0]?.ErrorCode }).toEqual({ late: 404, code: "MessageNotExist" });
  },

  "row 68: a publish without a check time has no handle": async (door) => {
    const { code, body } = await door.transactions.publishMessage("plain");
    expect({ code, handle: body.ReceiptHandle }).toEqual({ code: 201, handle: undefined });
    expect(await delivered(door)).toEqual(["plain"]);
  },

  "row 69: a commit with the handle of the publish comes too late after the check time": async (
    door,
  ) => {
    const handle = await publish(door, "half", 1);
    await passed(Date.now() + 1_000);
    const { code, body } = await door.transactions.commit(handle);
    expect(code).toBe(404);
    expect(body).toMatchObject([{ ErrorCode: "MessageNotExist", ReceiptHandle: handle }]);
    await nothingComes(door);
  },

  "row 70: before its check time a half message is not fetched": async (door) => {
    await publish(door, "half", 10);
    expect(await thrown(door.transactions.consumeHalfMessage(1, 2))).toBe("MessageNotExist");
  },

  "rows 71, 72: an undecided half comes again after ten seconds, and its old handle is dead":
    async (door) => {
      await publish(door, "half", 1);
      const one = first(await door.transactions.consumeHalfMessage(1, WAIT_SECONDS));
      expect(one).toMatchObject({ MessageBody: "half", ConsumedTimes: "1", MessageTag: "tag" });
      expect(Number(one.NextConsumeTime) - Number(one.FirstConsumeTime)).toBe(10_000);
      const two = first(await door.transactions.consumeHalfMessage(1, WAIT_SECONDS));
      expect(two).toMatchObject({ MessageId: one.MessageId, ConsumedTimes: "2" });
      expect(two.ReceiptHandle).not.toBe(one.ReceiptHandle);
      await passed(Number(one.NextConsumeTime));
      const late = await door.transactions.commit(one.ReceiptHandle);
      expect(late.code).toBe(404);
      expect(late.body).toMatchObject([{ ErrorCode: "MessageNotExist" }]);
      expect((await door.transactions.commit(two.ReceiptHandle)).code).toBe(204);
      expect(await delivered(door)).toEqual(["half"]);
    },

  "row 73: a half rolled back by the handle of its check is never delivered and never fetched":
    async (door) => {
      await publish(door, "half", 1);
      const half = first(await door.transactions.consumeHalfMessage(16, WAIT_SECONDS));
      expect((await door.transactions.rollback(half.ReceiptHandle)).code).toBe(204);
      await passed(Number(half.NextConsumeTime));
      expect(await thrown(door.transactions.consumeHalfMessage(16, 1))).toBe("MessageNotExist");
      await nothingComes(door);
      const path = `/v1/topics/${door.topic}/transactions`;
      expect(await door.mq.all(path)).toMatchObject([{ state: "rolledBack", decidedBy: "check" }]);
    },

  "row 75: another group is handed no half message of the topic, until the label is changed":
    async (door) => {
      expect(await thrown(door.transactions.consumeHalfMessage(1))).toBe("MessageNotExist");
      await door.producer.publishMessage("the topic is there");
      expect(await thrown(door.transactions.consumeHalfMessage(1))).toBe("MessageNotExist");
      await publish(door, "half", 1);
      const other = door.client().getTransProducer("", door.topic, "GID-other");
      const askedAt = Date.now();
      expect(await thrown(other.consumeHalfMessage(1, 3))).toBe("MessageNotExist");
      expect(Date.now() - askedAt).toBeGreaterThanOrEqual(2_990);
      const topic = `/v1/topics/${door.topic}`;
      expect(await door.mq.ok("GET", topic)).toMatchObject({
        labels: { "rocketmq:producer": door.group },
      });
      await door.mq.ok("PUT", topic, { labels: { "rocketmq:producer": "GID-other" } });
      expect(await thrown(door.transactions.consumeHalfMessage(1))).toBe("MessageNotExist");
      const half = first(await other.consumeHalfMessage(1, WAIT_SECONDS));
      expect((await other.commit(half.ReceiptHandle)).code).toBe(204);
    },

  "row 76: of four halves, committed at once, at the first and at the second check, and rolled back, three arrive":
    async (door) => {
      const handle = await publish(door, "0", 60);
      for (const body of ["1", "2", "3"]) await publish(door, body, 1);
      await door.transactions.commit(handle);
      let decided = 0;
      await until(
        "the other three are decided",
        async () => {
          const { body } = await door.transactions.consumeHalfMessage(3, WAIT_SECONDS);
          for (const { MessageBody, ConsumedTimes, ReceiptHandle } of body) {
            if (MessageBody === "2" && ConsumedTimes === "1") continue;
            const verb = MessageBody === "3" ? "rollback" : "commit";
            expect((await door.transactions[verb](ReceiptHandle)).code).toBe(204);
            decided++;
          }
          return decided === 3;
        },
        90_000,
      );
      const seen: string[] = [];
      await until("three arrive", async () => {
        const { body } = await door.consumer().consumeMessage(16, 10);
        seen.push(...body.map(({ MessageBody }) => MessageBody));
        return seen.length >= 3;
      });
      expect(seen).toEqual(["0", "1", "2"]);
      await nothingComes(door);
    },

  "a handle that is none, or of another topic, decides nothing": async (door) => {
    for (const garbage of ["garbage", "", "h-zz-tx_1_0", "r_1_0_1_1_1_0"]) {
      const { code, body } = await door.transactions.commit(garbage);
      expect(code).toBe(404);
      expect(body?.map(({ ErrorCode }) => ErrorCode)).toEqual(["ReceiptHandleError"]);
    }
    const handle = await publish(door, "half", 10);
    await door.producer.publishMessage("another topic's");
    const elsewhere = door.client().getTransProducer("", `${door.topic}-2`, door.group);
    const { body } = await elsewhere.commit(handle);
    expect(body).toMatchObject([{ ErrorCode: "MessageNotExist" }]);
    expect(await delivered(door)).toEqual(["another topic's"]);
    expect((await door.transactions.commit(handle)).code).toBe(204);
  },

  "check times out of bounds are InvalidArgument": async (door) => {
    for (const checkSeconds of [0, -1, 1.5, 86_401])
      expect(
        await thrown(door.transactions.publishMessage("half", "", properties({ checkSeconds }))),
      ).toBe("InvalidArgument");
  },

  "a half message with a sharding key and a start time keeps both": async (door) => {
    const deliverAt = Date.now() + 2_000;
    const sent = await door.transactions.publishMessage(
      "half",
      "",
      properties({ checkSeconds: 10, shardingKey: "s", key: "k", deliverAt }),
    );
    await door.transactions.commit(there(sent.body.ReceiptHandle));
    const message = first(await door.consumer().consumeMessageOrderly(1, 20));
    expect(message).toMatchObject({ MessageBody: "half", ShardingKey: "s", MessageKey: "k" });
    expect(Date.now()).toBeGreaterThanOrEqual(deliverAt);
  },
};
