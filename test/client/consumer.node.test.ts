/** The consumer's other forms: raw receives, and messages one by one in a loop. */
import { beforeEach, describe, expect, test } from "vitest";
import { GROUP_DEFAULTS } from "../../src/protocol/topic.ts";
import type { Consumer, ConsumerOptions } from "../../src/client/index.ts";
import { FakeBroker, problem } from "./fake-broker.node.ts";
import { turns } from "./fake-clock.node.ts";
import { FakeGroup, GROUP, GROUP_PATH, TOPIC } from "./fake-group.node.ts";

const RECEIVE = `POST ${GROUP_PATH}/receive`;
const PUT = `PUT ${GROUP_PATH}`;

let broker: FakeBroker;
let group: FakeGroup;

beforeEach(() => {
  broker = new FakeBroker();
  group = new FakeGroup(broker);
});

const consumerWith = (options?: ConsumerOptions): Consumer =>
  broker.client().consumer(TOPIC, GROUP, options);

describe("a raw receive", () => {
  test("asks as it was told, and with an attempt id of its own", async () => {
    group.put(1);
    const consumer = consumerWith({ consumerId: "c1" });
    await consumer.receive({ maxMessages: 5, invisibleMs: 1_000 });
    await consumer.receive({ attemptId: "mine" });
    const [first, second] = broker.of(RECEIVE).map((each) => each.json);
    expect(first).toMatchObject({
      maxMessages: 5,
      waitMs: 0,
      invisibleMs: 1_000,
      consumerId: "c1",
    });
    expect(first.attemptId).toMatch(/^[0-9a-f]{32}$/u);
    expect(second).toMatchObject({ attemptId: "mine" });
    expect([first.repeat, second.repeat], "whether it is new is its caller's to know").toEqual([
      false,
      undefined,
    ]);
  });

  test("is repeated with the same attempt id, so that no lease is lost", async () => {
    group.put(2);
    group.loseNextAnswer = true;
    const receiving = consumerWith().receive();
    await broker.clock.advance(1_000);
    expect((await receiving).map(({ id }) => id)).toEqual(["m0", "m1"]);
    const [first, second] = broker.of(RECEIVE).map((each) => each.json);
    expect(second.attemptId).toBe(first.attemptId);
    expect([first.repeat, second.repeat]).toEqual([false, true]);
  });

  test("leaves the leases to its caller: extend takes over the new receipt", async () => {
    group.put(1);
    const [message] = await consumerWith().receive();
    const answer = { results: [{ ok: true, receipt: "r0-new", invisibleUntil: 99 }] };
    broker.script(`POST ${GROUP_PATH}/extend`, { json: answer });
    await message?.extend(5_000);
    expect([message?.receipt, message?.invisibleUntil]).toEqual(["r0-new", 99]);
    await broker.clock.advance(60_000);
    expect(broker.of(`POST ${GROUP_PATH}/extend`)).toHaveLength(1);
  });

  test("gives receipts that can be settled without their messages, a thousand a request", async () => {
    const receipts = Array.from({ length: 1_500 }, (_, index) => `r${index}`);
    const results = await consumerWith().receipts.ack(receipts);
    expect(results).toHaveLength(1_500);
    expect(broker.of(`POST ${GROUP_PATH}/ack`).map((each) => each.json.receipts.length)).toEqual([
      1_000, 500,
    ]);
  });
});

describe("the settings of a group", () => {
  const settings = { startFrom: "latest", ordered: true } as const;

  test("are written once, before the first receive", async () => {
    const consumer = consumerWith({ settings });
    await Promise.all([consumer.receive(), consumer.receive()]);
    expect(broker.of(PUT).map((each) => each.json)).toEqual([settings]);
    expect(broker.requests[0]?.method).toBe("PUT");
  });

  test("that could not be written are written by the next receive", async () => {
    broker.script(PUT, problem(403, "forbidden"), { json: {} });
    const consumer = consumerWith({ settings });
    await expect(consumer.receive()).rejects.toMatchObject({ code: "forbidden" });
    await consumer.receive();
    expect(broker.of(PUT)).toHaveLength(2);
  });

  test("are not written when none are given", async () => {
    await consumerWith().receive();
    expect(broker.of(PUT)).toEqual([]);
  });

  test("that cannot be read are taken for the defaults", async () => {
    broker.script(`GET ${GROUP_PATH}`, problem(404, "group_not_found"));
    group.put(1);
    for await (const message of consumerWith()) {
      void message.ack();
      break;
    }
    expect(broker.of(RECEIVE)[0]?.json.invisibleMs).toBe(GROUP_DEFAULTS.invisibleMs);
  });
});

describe("a loop over messages", () => {
  test("shows them one by one and keeps the lease of what it shows and of what waits", async () => {
    group.put(3);
    const messages = consumerWith().messages();
    const first = messages.next();
    await broker.clock.advance(15_000);
    expect((await first).value?.id).toBe("m0");
    expect(group.extended).toEqual(["r0", "r1", "r2"]);
    const second = await messages.next();
    expect(second.value?.id).toBe("m1");
    await broker.clock.advance(15_000);
    expect(group.extended.slice(3)).toEqual(["r1", "r2"]);
    await messages.return();
    expect(broker.clock.timers).toBe(0);
  });

  test("that is left gives back what was not shown, and sends its acks", async () => {
    group.put(3);
    for await (const message of consumerWith({ ackLingerMs: 60_000 })) {
      void message.ack();
      break;
    }
    expect(group.acked).toEqual(["r0"]);
    expect(group.nacked.map(({ receipt, delayMs }) => [receipt, delayMs])).toEqual([
      ["r1", 0],
      ["r2", 0],
    ]);
    expect(broker.clock.timers).toBe(0);
  });

  test("ends by the consumer's stop", async () => {
    const consumer = consumerWith();
    const seen: string[] = [];
    const loop = (async () => {
      for await (const message of consumer) {
        seen.push(message.id);
        void message.ack();
      }
    })();
    await broker.clock.advance(0);
    group.put(2);
    await broker.clock.advance(10);
    await consumer.stop();
    await loop;
    expect(seen).toEqual(["m0", "m1"]);
    expect(group.acked).toEqual(["r0", "r1"]);
    expect(broker.clock.timers).toBe(0);
  });

  test("throws what is not passing, and rides out what is", async () => {
    broker.script(
      RECEIVE,
      ...Array.from({ length: 10 }, () => problem(503, "overloaded")),
      problem(403, "forbidden"),
    );
    const errors: unknown[] = [];
    const next = consumerWith({ onError: (error) => errors.push(error) })
      .messages()
      .next();
    const caught = next.catch((error: unknown) => error);
    await broker.clock.advance(120_000);
    expect(await caught).toMatchObject({ code: "forbidden" });
    expect(errors).toEqual([expect.objectContaining({ code: "overloaded" })]);
  });

  test("does not ask in a circle when it is answered at once with nothing", async () => {
    broker.script(RECEIVE, { json: { messages: [], paused: true } });
    const consumer = consumerWith();
    const next = consumer.messages().next();
    await broker.clock.advance(1_000);
    expect(broker.of(RECEIVE).length).toBeLessThanOrEqual(12);
    await consumer.stop();
    expect((await next).done).toBe(true);
  });
});

test("a listener that throws does not end what told it", async () => {
  group.put(2);
  const consumer = consumerWith({
    onError: () => {
      throw new Error("the listener's own");
    },
  });
  const subscription = consumer.subscribe(() => Promise.reject(new Error("boom")));
  await turns();
  await subscription.stop();
  expect(group.nacked).toHaveLength(2);
});
