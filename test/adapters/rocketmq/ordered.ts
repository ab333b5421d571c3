/** Ordered consumption, as Alibaba Cloud's SDK does it. */
import { expect } from "vitest";
import { bodiesOf, type Cases, properties, thrown } from "./kit.ts";

const WAIT_SECONDS = 10;

export const ordered: Cases = {
  "row 115: a shard with an un-acked message repeats, and others go on": async (door) => {
    await door.setGroup({ ordered: true, invisibleMs: 2_000 });
    const consumer = door.consumer();
    const publish = (body: string, shardingKey: string) =>
      door.producer.publishMessage(body, "", properties({ shardingKey }));
    for (const body of ["a1", "a2"]) await publish(body, "a");
    const held = await consumer.consumeMessageOrderly(16, WAIT_SECONDS);
    expect(bodiesOf(held)).toEqual(["a1", "a2"]);
    await publish("a3", "a");
    await publish("b1", "b");
    // The first is acked, the second holds its shard.
    await consumer.ackMessage([held.body[0]?.ReceiptHandle ?? ""]);
    const other = await consumer.consumeMessageOrderly(16, 1);
    expect(bodiesOf(other)).toEqual(["b1"]);
    await consumer.ackMessage(other.body.map(({ ReceiptHandle }) => ReceiptHandle));
    const again = await consumer.consumeMessageOrderly(16, WAIT_SECONDS);
    expect(again.body).toMatchObject([{ MessageBody: "a2", ConsumedTimes: "2" }]);
    const acked = await consumer.ackMessage(again.body.map(({ ReceiptHandle }) => ReceiptHandle));
    expect(acked.code).toBe(204);
    expect(bodiesOf(await consumer.consumeMessageOrderly(16, WAIT_SECONDS))).toEqual(["a3"]);
  },

  "a group that is first consumed in order is ordered, with leases of a minute": async (door) => {
    await door.producer.publishMessage("one", "", properties({ shardingKey: "s" }));
    const { body } = await door.consumer().consumeMessageOrderly(1, WAIT_SECONDS);
    const [message] = body;
    const leaseMs = Number(message?.NextConsumeTime) - Number(message?.FirstConsumeTime);
    expect(leaseMs).toBeGreaterThan(50_000);
    expect(leaseMs).toBeLessThanOrEqual(60_000);
    const path = `/v1/topics/${door.topic}/groups/${door.group}`;
    expect(await door.mq.ok("GET", path)).toMatchObject({ ordered: true, maxAttempts: 288 });
  },

  "a group without order is not consumed in order": async (door) => {
    expect(await thrown(door.consumer().consumeMessage(1))).toBe("MessageNotExist");
    expect(await thrown(door.consumer().consumeMessageOrderly(1))).toBe("InvalidArgument");
  },
};
