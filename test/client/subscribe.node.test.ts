/** A subscription: what it acks and gives back, whose leases it keeps, and how it ends. */
import { beforeEach, describe, expect, test } from "vitest";
import type {
  HalfmqError,
  Message,
  MessageHandler,
  SubscribeOptions,
} from "../../src/client/index.ts";
import { FakeBroker, problem } from "./fake-broker.node.ts";
import { FakeGroup, GROUP, GROUP_PATH, TOPIC } from "./fake-group.node.ts";

const RECEIVE = `POST ${GROUP_PATH}/receive`;
const ACK = `POST ${GROUP_PATH}/ack`;
const EXTEND = `POST ${GROUP_PATH}/extend`;

let broker: FakeBroker;
let group: FakeGroup;
let errors: [unknown, string | undefined][];

beforeEach(() => {
  broker = new FakeBroker();
  group = new FakeGroup(broker);
  errors = [];
});

const onError = (error: unknown, message?: Message): void => {
  errors.push([error, message?.id]);
};

const subscribe = (handler: MessageHandler<{ n: number }>, options?: SubscribeOptions) =>
  broker.client().consumer<{ n: number }>(TOPIC, GROUP, { onError }).subscribe(handler, options);

/** A handler whose messages wait until the test lets each go, returning or throwing. */
class Gate {
  readonly begun: string[] = [];
  readonly aborted: string[] = [];
  readonly #waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();

  readonly handler: MessageHandler<unknown> = (message, { signal }) => {
    this.begun.push(message.id);
    signal.addEventListener("abort", () => {
      this.aborted.push(`${message.id} ${(signal.reason as HalfmqError).code}`);
    });
    return new Promise<void>((resolve, reject) => {
      this.#waiting.set(message.id, { resolve, reject });
    });
  };

  open(id: string): void {
    this.#waiting.get(id)?.resolve();
  }

  fail(id: string): void {
    this.#waiting.get(id)?.reject(new Error("boom"));
  }
}

describe("a handler", () => {
  test("that returns acks its message, that throws gives it back with the reason", async () => {
    group.put(2);
    const boom = new TypeError("no stock");
    const subscription = subscribe((message) => {
      if (message.body.n === 1) throw boom;
    });
    await broker.clock.advance(10);
    await subscription.stop();
    expect(group.acked).toEqual(["r0"]);
    expect(group.nacked).toEqual([{ receipt: "r1", reason: "TypeError: no stock" }]);
    expect(errors).toEqual([[boom, "m1"]]);
  });

  test("that settles its message itself is not settled again", async () => {
    group.put(3);
    const subscription = subscribe(async (message) => {
      if (message.body.n === 0) await message.nack({ delayMs: 9, reason: "later" });
      if (message.body.n === 1) void message.ack();
      if (message.body.n === 2) {
        void message.ack();
        void message.nack();
        throw new Error("after the ack");
      }
    });
    await broker.clock.advance(20);
    await subscription.stop();
    expect(group.nacked).toEqual([{ receipt: "r0", delayMs: 9, reason: "later" }]);
    expect(group.acked).toEqual(["r1", "r2"]);
  });

  test("gets as many messages at a time as it said, in the order in which they came", async () => {
    group.put(5);
    const gate = new Gate();
    const subscription = subscribe(gate.handler, { concurrency: 2 });
    await broker.clock.advance(0);
    expect(gate.begun).toEqual(["m0", "m1"]);
    gate.open("m1");
    await broker.clock.advance(0);
    expect(gate.begun).toEqual(["m0", "m1", "m2"]);
    for (const id of ["m0", "m2", "m3", "m4"]) {
      gate.open(id);
      await broker.clock.advance(0);
    }
    await subscription.stop();
    expect(group.acked.toSorted()).toEqual(["r0", "r1", "r2", "r3", "r4"]);
  });

  test("never has more messages in hand than it said", async () => {
    group.put(10);
    const gate = new Gate();
    const subscription = subscribe(gate.handler, { concurrency: 2, maxMessages: 4 });
    await broker.clock.advance(0);
    expect(broker.of(RECEIVE).map((each) => each.json.maxMessages)).toEqual([4]);
    gate.open("m0");
    await broker.clock.advance(0);
    expect(broker.of(RECEIVE)).toHaveLength(1);
    gate.open("m1");
    await broker.clock.advance(0);
    expect(broker.of(RECEIVE).map((each) => each.json.maxMessages)).toEqual([4, 2]);
    const stopped = subscription.stop({ deadlineMs: 0 });
    await broker.clock.advance(0);
    await stopped;
  });

  test("of an ordered group gets one message at a time, so that a failure costs no other an attempt", async () => {
    group = new FakeGroup(broker, { ordered: true });
    group.put(3);
    const gate = new Gate();
    const subscription = subscribe(gate.handler, { concurrency: 2 });
    await broker.clock.advance(0);
    expect(gate.begun).toEqual(["m0", "m1"]);
    expect(broker.of(RECEIVE).map((each) => each.json.maxMessages)).toEqual([1, 1]);
    const stopped = subscription.stop({ deadlineMs: 0 });
    await broker.clock.advance(0);
    await stopped;
  });
});

describe("acks", () => {
  test("that come within the linger go as one request", async () => {
    group.put(10);
    const subscription = subscribe(() => {}, { concurrency: 10 });
    await broker.clock.advance(4);
    expect(broker.of(ACK)).toEqual([]);
    await broker.clock.advance(1);
    expect(broker.of(ACK)).toHaveLength(1);
    expect(group.acked).toHaveLength(10);
    await subscription.stop();
  });

  test("are sent by a stop without waiting for their linger", async () => {
    group.put(1);
    const consumer = broker.client().consumer(TOPIC, GROUP, { ackLingerMs: 60_000 });
    const subscription = consumer.subscribe(() => {});
    await broker.clock.advance(0);
    await subscription.stop();
    expect(group.acked).toEqual(["r0"]);
  });

  test("are repeated until the broker heard them", async () => {
    group.put(1);
    const answer = { json: { results: [{ receipt: "r0", ok: true }] } };
    broker.script(ACK, new Error("broken"), problem(503, "unavailable"), answer);
    const subscription = subscribe(() => {});
    await broker.clock.advance(1_000);
    expect(broker.of(ACK)).toHaveLength(3);
    await subscription.stop();
    expect(errors).toEqual([]);
  });

  test("that come too late are reported with their message, and awaited ones reject", async () => {
    group.put(2);
    group.lost.add("r0").add("r1");
    const caught: unknown[] = [];
    const subscription = subscribe(async (message) => {
      if (message.body.n === 1) await message.ack().catch((error: unknown) => caught.push(error));
    });
    await broker.clock.advance(20);
    await subscription.stop();
    const expired = expect.objectContaining({ code: "receipt_expired" });
    expect(errors).toEqual([
      [expired, "m0"],
      [expired, "m1"],
    ]);
    expect(caught).toEqual([expired]);
  });
});

describe("leases", () => {
  test("are prolonged at their half, all of them in one request, for as long as a handler runs", async () => {
    group.put(3);
    const gate = new Gate();
    const subscription = subscribe(gate.handler, { concurrency: 2 });
    await broker.clock.advance(14_999);
    expect(group.extended).toEqual([]);
    await broker.clock.advance(1);
    expect(broker.of(EXTEND).map((each) => each.json)).toEqual([
      { receipts: ["r0", "r1", "r2"], invisibleMs: 30_000 },
    ]);
    gate.open("m0");
    await broker.clock.advance(15_000);
    expect(broker.of(EXTEND).at(-1)?.json.receipts.toSorted()).toEqual(["r1", "r2"]);
    gate.open("m1");
    gate.open("m2");
    await broker.clock.advance(60_000);
    expect(broker.of(EXTEND)).toHaveLength(2);
    await subscription.stop();
  });

  test("are as long as the subscription says, else as the group says", async () => {
    group = new FakeGroup(broker, { invisibleMs: 2_000 });
    group.put(1);
    const long = subscribe(() => {}, { invisibleMs: 60_000 });
    await broker.clock.advance(0);
    const short = subscribe(() => {});
    await broker.clock.advance(0);
    expect(broker.of(RECEIVE)[0]?.json.invisibleMs).toBe(60_000);
    expect(broker.of(RECEIVE).at(-1)?.json.invisibleMs).toBe(2_000);
    await Promise.all([long.stop(), short.stop()]);
  });

  test("that are another's abort the handler, and its message is not settled", async () => {
    group.put(1);
    group.lost.add("r0");
    const gate = new Gate();
    const subscription = subscribe(gate.handler);
    await broker.clock.advance(15_000);
    expect(gate.aborted).toEqual(["m0 receipt_expired"]);
    gate.fail("m0");
    await broker.clock.advance(0);
    await subscription.stop();
    expect(group.nacked).toEqual([]);
  });

  test("that are another's before a handler began are dropped", async () => {
    group.put(2);
    group.lost.add("r1");
    const gate = new Gate();
    const subscription = subscribe(gate.handler);
    await broker.clock.advance(15_000);
    gate.open("m0");
    await broker.clock.advance(0);
    expect(gate.begun).toEqual(["m0"]);
    await subscription.stop();
    expect(group.acked).toEqual(["r0"]);
  });

  test("that could not be prolonged are tried again before they end", async () => {
    group.put(1);
    broker.script(EXTEND, problem(500, "internal_error", { retryable: false }));
    const gate = new Gate();
    const subscription = subscribe(gate.handler);
    await broker.clock.advance(29_000);
    expect(broker.of(EXTEND).length).toBeGreaterThan(2);
    gate.open("m0");
    await broker.clock.advance(10);
    await subscription.stop();
  });
});

describe("a receive", () => {
  test("whose answer was lost is repeated with its attempt id, and the batch comes again", async () => {
    group.put(3);
    group.loseNextAnswer = true;
    const subscription = subscribe(() => {});
    await broker.clock.advance(1_000);
    await subscription.stop();
    const polls = broker.of(RECEIVE).map((each) => each.json);
    const ids = polls.map(({ attemptId }) => attemptId);
    expect(ids[0]).toBe(ids[1]);
    expect(ids[2]).not.toBe(ids[1]);
    expect(polls.slice(0, 3).map(({ repeat }) => repeat)).toEqual([false, true, false]);
    expect(group.acked).toEqual(["r0", "r1", "r2"]);
  });

  test("keeps its attempt id through trouble that is longer than one call's retries", async () => {
    const trouble = Array.from({ length: 20 }, () => new Error("broken"));
    broker.script(RECEIVE, ...trouble, { json: { messages: [] } });
    const subscription = subscribe(() => {});
    await broker.clock.advance(100_000);
    const ids = broker
      .of(RECEIVE)
      .slice(0, 21)
      .map((each) => each.json.attemptId);
    expect(ids).toHaveLength(21);
    expect(new Set(ids).size).toBe(1);
    expect(errors[0]).toEqual([expect.objectContaining({ code: "network_error" }), undefined]);
    await subscription.stop();
  });

  test("waits for as long as the broker may, and asks at once again", async () => {
    const subscription = subscribe(() => {});
    await broker.clock.advance(45_000);
    expect(broker.of(RECEIVE).map((each) => each.json.waitMs)).toEqual([20_000, 20_000, 20_000]);
    await subscription.stop();
  });

  test("that is refused for good ends the subscription, and nobody needs to look", async () => {
    broker.script(RECEIVE, problem(404, "topic_not_found"));
    const subscription = subscribe(() => {});
    await broker.clock.advance(0);
    await expect(subscription.done).rejects.toMatchObject({ code: "topic_not_found" });
    expect(errors).toEqual([[expect.objectContaining({ code: "topic_not_found" }), undefined]]);
    await subscription.stop();
    expect(broker.clock.timers).toBe(0);
  });
});

describe("a stop", () => {
  test("finishes what is in hand, and fulfils done", async () => {
    group.put(2);
    const gate = new Gate();
    const subscription = subscribe(gate.handler);
    await broker.clock.advance(0);
    const stopped = subscription.stop();
    group.put(1);
    gate.open("m0");
    await broker.clock.advance(0);
    gate.open("m1");
    await broker.clock.advance(0);
    gate.open("m2");
    await broker.clock.advance(0);
    expect(await stopped).toEqual({ unfinished: 0 });
    await subscription.done;
    expect(group.acked.slice(0, 2)).toEqual(["r0", "r1"]);
    expect(broker.clock.timers).toBe(0);
  });

  test("asks once more for what an interrupted poll may have leased", async () => {
    const subscription = subscribe(() => {});
    await broker.clock.advance(0);
    group.loseNextAnswer = true;
    group.put(1);
    await broker.clock.advance(0);
    const stopped = subscription.stop();
    await broker.clock.advance(0);
    await stopped;
    const receives = broker.of(RECEIVE);
    expect(receives.at(-1)?.json).toMatchObject({
      attemptId: receives[0]?.json.attemptId,
      repeat: true,
      waitMs: 0,
    });
    expect(group.acked).toEqual(["r0"]);
  });

  test("at its deadline aborts what runs and gives back what was not begun", async () => {
    group.put(3);
    const gate = new Gate();
    const subscription = subscribe(gate.handler);
    await broker.clock.advance(0);
    const stopped = subscription.stop({ deadlineMs: 5_000 });
    await broker.clock.advance(5_000);
    expect(await stopped).toEqual({ unfinished: 1 });
    expect(gate.aborted).toEqual(["m0 stopped"]);
    expect(group.nacked.map(({ receipt, delayMs }) => [receipt, delayMs])).toEqual([
      ["r1", 0],
      ["r2", 0],
    ]);
    gate.open("m0");
    await broker.clock.advance(10);
    expect(group.acked).toEqual(["r0"]);
    await broker.clock.advance(60_000);
    expect(group.extended).toEqual([]);
  });

  test("of the consumer stops all of its subscriptions; a second one joins the first", async () => {
    const consumer = broker.client().consumer(TOPIC, GROUP);
    const one = consumer.subscribe(() => {});
    const two = consumer.subscribe(() => {});
    await broker.clock.advance(0);
    await consumer.stop();
    await Promise.all([one.done, two.done]);
    expect(one.stop()).toBe(one.stop());
    expect(broker.clock.timers).toBe(0);
  });

  test("while the broker is away does not wait for it, and is no error", async () => {
    broker.script(`GET ${GROUP_PATH}`, new Error("broken"));
    const subscription = subscribe(() => {});
    await broker.clock.advance(50);
    await subscription.stop();
    await subscription.done;
    expect(errors).toEqual([]);
  });
});
