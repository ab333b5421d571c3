/** A pusher over a real queue: nothing is lost with it, failing endpoints are left alone, and the bounds hold. */
import { expect, test } from "vitest";
import type { PostAnswer } from "../../src/platform/webhook.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { attempts, STAMP, World } from "./kit.node.ts";

const OK: PostAnswer = { status: 200, bodyText: "" };
const DOWN: PostAnswer = { status: 500, bodyText: "" };
const UNREACHABLE: PostAnswer = { status: 0, failure: "network" };

test("a message is pushed when it comes, acked by a 2xx, and then nothing is left to do", async () => {
  const world = await World.open();
  await world.send(3);
  await world.pass(0);
  expect(world.posts).toHaveLength(1);
  expect(await world.figures()).toMatchObject({ lag: 0, inFlight: 0 });
  await world.pass(60_000);
  expect(world.alarmAt, "it sleeps").toBeUndefined();
});

test("a lone push writes the queue's row of a receive and of an ack, and one alarm of its own", async () => {
  const world = await World.open();
  await world.pass(60_000);
  await world.send();
  await world.pass(0);
  // Warm: what every queue does once is done.
  await world.pass(60_000);
  const before = {
    rows: world.bench.sql.rowsWritten,
    alarms: world.alarmsSet,
    kept: world.rowsKept,
  };
  await world.send();
  await world.pass(0);
  expect(world.posts).toHaveLength(2);
  expect(world.bench.sql.rowsWritten - before.rows, "send, receive, ack").toBe(3);
  expect(world.alarmsSet - before.alarms).toBe(1);
  expect(world.rowsKept - before.kept).toBe(0);
});

test("a pusher that is lost with calls open pushes again when the leases have run out", async () => {
  const world = await World.open({ concurrency: 1, maxMessages: 1 });
  world.answer = () => new Promise(() => undefined);
  await world.send(2);
  await world.pass(0);
  expect(world.posts).toHaveLength(1);
  world.answer = () => OK;
  world.wake();
  await world.pass(0);
  expect(world.posts, "the other one at once: it was awake, so it looks everywhere").toHaveLength(
    2,
  );
  await world.pass(31_000);
  expect(attempts(world)).toEqual(["1", "1", "2"]);
  expect(await world.figures()).toMatchObject({ lag: 0 });
});

test("a pusher that is lost between the ring and the lease finds the message by its alarm or the queue's", async () => {
  const world = await World.open();
  world.queueDown = true;
  await world.send();
  await world.pass(0);
  expect(world.posts).toEqual([]);
  world.queueDown = false;
  world.alarmAt = undefined;
  world.wake();
  await world.pass(20_000);
  expect(world.posts).toHaveLength(1);
});

test("a queue that cannot be reached is asked again once a second, not in a loop", async () => {
  const world = await World.open();
  world.queueDown = true;
  await world.send();
  await world.pass(5_000);
  world.queueDown = false;
  await world.pass(1_000);
  expect(world.posts).toHaveLength(1);
});

test("a poisoned message costs those behind it in its message group no attempt", async () => {
  const world = await World.open({ maxMessages: 4 }, { ordered: true, maxAttempts: 3 });
  const handled: number[] = [];
  const tries: number[] = [];
  world.answer = (post) => {
    const { data } = JSON.parse(post.body) as {
      data: { messages: { receipt: string; offset: number; deliveryAttempt: number }[] };
    };
    const results = data.messages.map(({ receipt, offset, deliveryAttempt }, index) => {
      if (index > 0) return { receipt, ok: false, handled: false };
      handled.push(offset);
      tries.push(deliveryAttempt);
      return { receipt, ok: offset !== 0 };
    });
    return { status: 200, bodyText: JSON.stringify({ results }) };
  };
  await world.send(3, { messageGroup: "a" });
  await world.pass(120_000);
  expect(handled).toEqual([0, 0, 0, 1, 2]);
  expect(tries).toEqual([1, 2, 3, 1, 1]);
  expect(await world.figures()).toMatchObject({ lag: 0, deadLetters: 1 });
});

test("after five failed calls one call is tried at a time, with one message, and longer apart each time", async () => {
  const world = await World.open({ concurrency: 1, maxMessages: 2 }, { maxAttempts: 100 });
  world.answer = () => DOWN;
  await world.send(40);
  await world.pass(0);
  expect(world.posts).toHaveLength(5);
  expect(await world.pusher.state()).toMatchObject({ state: "waiting", failures: 5 });
  await world.pass(120_000);
  const probes = world.posts.slice(5);
  expect(probes.length).toBeLessThanOrEqual(8);
  for (const { body } of probes) expect(JSON.parse(body)).toHaveProperty("data.messages.length", 1);
  world.answer = () => OK;
  await world.pass(240_000);
  expect(await world.figures()).toMatchObject({ lag: 0, deadLetters: 0 });
  expect(await world.pusher.state()).toMatchObject({ state: "active", failures: 0 });
});

test("tries of an endpoint that cannot be reached burn no attempt, and take one message after another", async () => {
  const world = await World.open({ concurrency: 1, maxMessages: 1 }, { maxAttempts: 2 });
  world.answer = () => UNREACHABLE;
  await world.send(12);
  await world.pass(600_000);
  expect(world.posts.length).toBeGreaterThan(12);
  const tried = world.posts.slice(5).map(({ body }) => {
    const { data } = JSON.parse(body) as { data: { messages: { id: string }[] } };
    return data.messages[0]?.id;
  });
  expect(new Set(tried).size, "no message is tried for ever before the others").toBeGreaterThan(2);
  world.answer = () => OK;
  await world.pass(240_000);
  const { deadLetters, lag } = (await world.figures()) ?? {};
  expect({ deadLetters, lag }).toEqual({ deadLetters: 0, lag: 0 });
});

test("an open breaker outlives its object", async () => {
  const world = await World.open({ concurrency: 1, maxMessages: 1 }, { maxAttempts: 100 });
  world.answer = () => DOWN;
  await world.send(20);
  await world.pass(0);
  expect(world.posts).toHaveLength(5);
  world.wake();
  await world.pass(100);
  expect(world.posts).toHaveLength(5);
  expect(await world.pusher.state()).toMatchObject({ state: "waiting" });
  await world.pass(1_000);
  expect(world.posts).toHaveLength(6);
});

test("calls that were under way when the endpoint began to fail do not count either", async () => {
  const world = await World.open({ concurrency: 20, maxMessages: 1 }, { maxAttempts: 1 });
  const answers: ((answer: PostAnswer) => void)[] = [];
  world.answer = () => new Promise((resolve) => answers.push(resolve));
  await world.send(20);
  await world.pass(0);
  expect(answers).toHaveLength(20);
  for (const answer of answers) answer(DOWN);
  await world.pass(0);
  expect(await world.figures()).toMatchObject({ deadLetters: 5, lag: 15 });
});

test("a lease that comes when the endpoint is already left alone is given back unsent", async () => {
  const world = await World.open({ concurrency: 2, maxMessages: 1 });
  const answers: ((answer: PostAnswer) => void)[] = [];
  world.answer = () => new Promise((resolve) => answers.push(resolve));
  await world.send(1);
  await world.pass(0);
  answers[0]?.({ status: 429 });
  await world.send(1);
  await world.pass(0);
  expect(world.posts).toHaveLength(1);
  expect(await world.figures()).toMatchObject({ lag: 2, inFlight: 0 });
});

test("a queue whose bucket is away rests by itself: the others' messages go out at once", async () => {
  const world = new World();
  world.queues = 2;
  const asked: number[] = [];
  world.otherQueue = () => {
    asked.push(world.bench.clock.nowMs());
    return refuse("body_unavailable", "away");
  };
  await world.begin();
  await world.pass(0);
  expect(asked).toHaveLength(1);
  for (let n = 1; n <= 5; n++) {
    await world.send();
    await world.pass(0);
    expect(world.posts).toHaveLength(n);
  }
  expect(asked, "no time has passed").toHaveLength(1);
  await world.pass(10_000);
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.length).toBeLessThan(13);
  expect(asked.every((at, n) => n === 0 || at - (asked[n - 1] ?? 0) >= 1_000)).toBe(true);
});

test("410 is told to the registry until it knows, also after a crash, and nothing is sent meanwhile", async () => {
  const world = await World.open();
  world.disable = () => refuse("unavailable", "down");
  world.answer = () => ({ status: 410 });
  await world.send();
  await world.pass(0);
  expect(world.disables).toEqual(["http_410"]);
  world.wake();
  await world.pass(31_000);
  expect(world.disables.length).toBeGreaterThan(1);
  expect(world.posts).toHaveLength(1);
  expect(await world.pusher.state()).toMatchObject({ state: "disabled" });
  expect(await world.figures()).toMatchObject({ lag: 1, deadLetters: 0, inFlight: 0 });
  world.version++;
  world.answer = () => OK;
  await world.configure();
  await world.pass(0);
  expect(attempts(world)).toEqual(["1", "1"]);
});

test("a deleted push leaves nothing, and older news do not bring it back", async () => {
  const world = await World.open();
  world.version = 5;
  await world.configure();
  const upTo = { incarnation: STAMP.incarnation, version: 4 };
  await world.pusher.configure(undefined, upTo);
  expect(world.erased, "of an older one").toBe(0);
  await world.pusher.configure(undefined, { ...upTo, version: 6 });
  expect(world.erased).toBe(1);
  expect(world.kept.size).toBe(0);
  expect(await world.pusher.state()).toBeUndefined();
  await world.send();
  await world.pass(60_000);
  expect(world.posts).toEqual([]);
});

test("leases last longer than the call may", async () => {
  const world = await World.open({ timeoutMs: 120_000 }, { invisibleMs: 100 });
  world.answer = () => new Promise(() => undefined);
  await world.send();
  await world.pass(129_000);
  expect(await world.figures()).toMatchObject({ inFlight: 1 });
});

const worker = (
  queue: (batch: { readonly messages: readonly Methods[] } & Methods) => unknown,
) => ({
  queue: (batch: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const said = (async () => queue(batch as unknown as Parameters<typeof queue>[0]))();
    // As the runtime does: the methods are disposed of when the invocation is over.
    const dispose = (): void => {
      for (const each of [batch, ...(batch["messages"] as Record<string, unknown>[])])
        for (const method of Object.values(each))
          if (typeof method === "function") (method as unknown as Disposable)[Symbol.dispose]();
    };
    return said.finally(() => void setImmediate(dispose));
  },
});

interface Methods {
  ack(): void;
  retry(options?: { delaySeconds: number }): void;
  ackAll(): void;
  retryAll(options?: { delaySeconds: number }): void;
}

test.each([
  ["returning acks all", () => undefined, { lag: 0, retrying: 0 }],
  [
    "throwing retries what was not acked",
    ({ messages }: { messages: readonly Methods[] }) => {
      messages[0]?.ack();
      throw new Error("no");
    },
    { lag: 2, retrying: 2 },
  ],
  [
    "a message's own word beats the batch's, and the first counts",
    ({ messages, ...batch }: { messages: readonly Methods[] } & Methods) => {
      batch.retryAll({ delaySeconds: 60 });
      messages[0]?.ack();
      messages[0]?.retry();
      messages[1]?.retry({ delaySeconds: 60 });
      messages[1]?.ack();
    },
    { lag: 2, retrying: 2 },
  ],
  [
    "ackAll before a throw holds",
    (batch: Methods) => {
      batch.ackAll();
      throw new Error("no");
    },
    { lag: 0, retrying: 0 },
  ],
])("a Worker's queue(batch): %s", async (_name, queue, expected) => {
  const world = await World.open({ binding: "CONSUMER" });
  world.workers.set("CONSUMER", worker(queue));
  await world.send(3);
  await world.pass(0);
  await new Promise((resolve) => void setImmediate(resolve));
  await world.pass(0);
  expect(await world.figures()).toMatchObject(expected);
});

test("a binding that is not there costs no attempt", async () => {
  const world = await World.open({ binding: "MISSING" }, { maxAttempts: 1 });
  await world.send();
  await world.pass(10_000);
  expect(await world.pusher.state()).toMatchObject({
    state: "waiting",
    lastFailure: { reason: "no_such_binding" },
  });
  expect(await world.figures()).toMatchObject({ lag: 1, deadLetters: 0 });
});

test("a Worker that does not end in time fails, and what it acked stays acked", async () => {
  const world = await World.open({ binding: "CONSUMER", timeoutMs: 1_000 });
  world.workers.set(
    "CONSUMER",
    worker(({ messages }) => {
      messages[0]?.ack();
      return new Promise(() => undefined);
    }),
  );
  await world.send(2);
  await world.pass(1_500);
  expect(await world.figures()).toMatchObject({ lag: 1, retrying: 1 });
});
