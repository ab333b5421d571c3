/** Dedup ids over their windows, with a clock of its own: 0 to 7 days, changed while in use, and across restarts. */
import { expect, test } from "vitest";
import { sentBy } from "../../src/core/message.ts";
import type { Content } from "../../src/core/record.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

class Topic {
  readonly bench = new Bench();
  #version = 0;

  get stamp() {
    return { incarnation: 7, version: this.#version };
  }

  get verbs() {
    return new QueueVerbs(this.bench.queue);
  }

  async set(dedupWindowMs: number): Promise<this> {
    this.#version++;
    const settings = { dedupWindowMs, retentionMs: 30 * DAY_MS };
    const topic = route([group("g", { maxAttempts: 1 })], settings, { version: this.#version });
    await this.bench.run(this.bench.queue.configure(topic, 0));
    return this;
  }

  async send(more: Partial<Content> = {}): Promise<string> {
    const { stamp } = this;
    const call = { stamp, records: records({ dedupId: "d", ...more }) };
    const stored = await this.bench.run(this.verbs.send(call));
    return sentBy(7, 0, stored).messages[0]?.state ?? "";
  }
}

test("a window of 7 days remembers to the last millisecond, across restarts, and then no more", async () => {
  const topic = await new Topic().set(LIMITS.dedupWindowMsMax);
  expect(await topic.send()).toBe("ready");
  await topic.bench.pass(LIMITS.dedupWindowMsMax - 1);
  topic.bench.wake();
  expect(await topic.send()).toBe("duplicate");
  await topic.bench.pass(1);
  expect(await topic.send()).toBe("ready");
});

test("a window of 0 remembers nothing", async () => {
  const topic = await new Topic().set(0);
  expect(await topic.send()).toBe("ready");
  expect(await topic.send()).toBe("ready");
});

test("a shorter window counts at once for what was seen before, and 0 for all of it", async () => {
  const topic = await new Topic().set(DAY_MS);
  await topic.send();
  await topic.bench.pass(10 * MINUTE_MS);
  await topic.set(20 * MINUTE_MS);
  expect(await topic.send()).toBe("duplicate");
  await topic.set(5 * MINUTE_MS);
  expect(await topic.send()).toBe("ready");
  expect(await topic.send()).toBe("duplicate");
  await topic.set(0);
  expect(await topic.send()).toBe("ready");
});

test("an id that a shorter window let in again is not hidden by the older one later", async () => {
  const topic = await new Topic().set(DAY_MS);
  await topic.send();
  await topic.bench.pass(10 * MINUTE_MS);
  await topic.set(5 * MINUTE_MS);
  expect(await topic.send()).toBe("ready");
  topic.bench.queue.store.awakeKeys().seal("{}", topic.bench.clock.nowMs());
  await topic.bench.pass(6 * MINUTE_MS);
  expect(await topic.send(), "by the second one's own window").toBe("ready");
});

test("a longer window counts for what is seen from then on", async () => {
  const topic = await new Topic().set(MINUTE_MS);
  await topic.send();
  await topic.set(DAY_MS);
  await topic.bench.pass(MINUTE_MS);
  expect(await topic.send()).toBe("ready");
  await topic.bench.pass(DAY_MS - 1);
  expect(await topic.send()).toBe("duplicate");
});

test("a rollback frees its own dedup id, and not one that another message took since", async () => {
  const topic = await new Topic().set(5 * MINUTE_MS);
  const prepare = async () => {
    const { stamp } = topic;
    await topic.bench.run(
      topic.verbs.prepare({
        stamp,
        producerGroup: "p",
        check: { timeoutMs: DAY_MS, intervalMs: DAY_MS, maxChecks: 1 },
        records: records({ dedupId: "d" }),
        targets: [{ topic: "orders", incarnation: 7, queue: 0 }],
      }),
    );
  };
  const rollback = (position: number) =>
    topic.bench.run(
      topic.verbs.decide({ stamp: topic.stamp, position, decision: "rollback", by: "producer" }),
    );
  await prepare();
  expect(await topic.send()).toBe("duplicate");
  await rollback(0);
  expect(await topic.send()).toBe("ready");
  await topic.bench.pass(5 * MINUTE_MS);
  await prepare();
  await topic.bench.pass(5 * MINUTE_MS);
  expect(await topic.send(), "the window of the prepare is over").toBe("ready");
  await rollback(1);
  expect(await topic.send(), "the other one's id stays taken").toBe("duplicate");
});

test("a redriven dead letter comes back although its dedup id is still taken", async () => {
  const topic = await new Topic().set(DAY_MS);
  await topic.send();
  const { bench, verbs, stamp } = topic;
  const receive = () =>
    bench.run(
      verbs.receive({
        stamp,
        group: "g",
        maxMessages: 1,
        invisibleMs: 1_000,
        waitMs: 0,
        bytesMax: 1e6,
      }),
    );
  const { receipts } = await receive();
  await bench.run(verbs.settle({ stamp, group: "g", verb: "nack", receipts }));
  expect(await bench.run(verbs.redrive(stamp, "g"))).toEqual({ redriven: 1 });
  expect((await receive()).offsets).toEqual([0]);
  expect(await topic.send()).toBe("duplicate");
});
