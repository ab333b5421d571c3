/** The client against a real server: what a fake broker cannot prove, that both sides mean the same by the contract. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../demo/free-port.ts";
import { type Server, startServer } from "../../src/cli/server.ts";
import { HalfMQ, type Message } from "../../src/client/index.ts";
import { unique, until } from "../conformance/kit.ts";

let folder: string;
let server: Server;
let mq: HalfMQ;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-client-"));
  server = await startServer({ dataFolder: folder, onOutput: () => {} });
  mq = new HalfMQ({ url: server.url, key: server.rootKey });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Fulfilled when the handler was called so often. */
function counting(count: number): { readonly all: Promise<void>; readonly tick: () => void } {
  const { promise: all, resolve } = Promise.withResolvers<void>();
  let left = count;
  const tick = (): void => {
    left--;
    if (left === 0) resolve();
  };
  return { all, tick };
}

const ids = (messages: readonly Message[]): string[] => messages.map(({ id }) => id);

describe("a body", () => {
  test("comes back as the text that was sent, digit for digit", async () => {
    const bodyText = '{"n" : 12345678901234567890.10, "s":"\\u00fc"}';
    await mq.send("bodies", { bodyText, keys: ["k"] });
    const [message] = await mq.consumer("bodies", "g").receive({ waitMs: 20_000 });
    expect(message?.bodyText).toBe(bodyText);
    expect(message?.keys).toEqual(["k"]);
  });

  test("of bytes comes back as bytes", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    await mq.send("binaries", { bytes, contentType: "application/x" });
    const [message] = await mq.consumer("binaries", "g").receive({ waitMs: 20_000 });
    expect(message?.bytes()).toEqual(bytes);
    expect(message?.data.contentType).toBe("application/x");
  });
});

describe("a key of one's own", () => {
  test("makes a send safe across a restart of the sender", async () => {
    const idempotencyKey = "order-17";
    const once = await mq.send("idempotent", { body: 1 }, { idempotencyKey });
    expect(await mq.send("idempotent", { body: 1 }, { idempotencyKey })).toEqual(once);
    const other = mq.send("idempotent", { body: 2 }, { idempotencyKey });
    await expect(other).rejects.toMatchObject({ code: "idempotency_key_reused", status: 422 });
  });
});

describe("a refusal", () => {
  test("names the culprit, with its limit", async () => {
    const sending = mq.send("refused", [{ body: 1 }, { body: 2, delayMs: -1 }]);
    await expect(sending).rejects.toMatchObject({
      code: "invalid_request",
      status: 400,
      facts: { field: "messages[1].delayMs" },
      requestId: expect.any(String),
    });
  });

  test("of a key that has no right to it says so", async () => {
    const { key = "" } = await mq.keys.put("sender", { scopes: ["send"] });
    const limited = new HalfMQ({ url: server.url, key });
    await limited.send("scoped", { body: 1 });
    await expect(limited.consumer("scoped", "g").receive()).rejects.toMatchObject({
      code: "forbidden",
    });
    const subscription = limited.consumer("scoped", "g").subscribe(() => {});
    await expect(subscription.done).rejects.toMatchObject({ code: "forbidden" });
  });
});

describe("a consumer", () => {
  test("acks, gives back, and finds what failed too often among the dead letters", async () => {
    await mq.send("dying", [{ body: "good" }, { body: "bad" }]);
    const consumer = mq.consumer<string>("dying", "g", {
      settings: { maxAttempts: 2, backoff: { delaysMs: [0] } },
    });
    const { all, tick } = counting(3);
    const subscription = consumer.subscribe((message) => {
      tick();
      if (message.body === "bad") throw new Error("never");
    });
    await all;
    await subscription.stop();
    const [dead] = await mq.groups.deadLetters<string>("dying", "g").all();
    expect(dead).toMatchObject({ body: "bad", reason: "Error: never" });
    const { groups } = await mq.topics.stats("dying");
    expect(groups).toMatchObject([{ group: "g", lag: 0, deadLetters: 1 }]);
  });

  test("keeps the lease of a handler that runs longer than it", async () => {
    await mq.send("slow", { body: 1 });
    const other = mq.consumer("slow", "g");
    const seen: number[] = [];
    const { all, tick } = counting(1);
    const subscription = mq
      .consumer("slow", "g", { settings: { invisibleMs: 2_000 } })
      .subscribe(async (message) => {
        seen.push(message.deliveryAttempt);
        // Longer than two leases: had one ended, this receive would get the message.
        seen.push((await other.receive({ waitMs: 4_500 })).length);
        tick();
      });
    await all;
    await subscription.stop();
    expect(seen).toEqual([1, 0]);
    expect((await mq.topics.stats("slow")).groups).toMatchObject([{ lag: 0 }]);
  });

  test("of an ordered group sees each message group in order, a failure included", async () => {
    const bodies = Array.from({ length: 12 }, (_, n) => ({ body: n, messageGroup: `g${n % 3}` }));
    await mq.send("ordered", bodies);
    const settings = { ordered: true, backoff: { delaysMs: [50] } };
    const consumer = mq.consumer<number>("ordered", "g", { settings });
    const done = new Map<string, number[]>();
    const { all, tick } = counting(12);
    const subscription = consumer.subscribe(
      (message) => {
        if (message.body === 4 && message.deliveryAttempt < 3) throw new Error("not yet");
        const list = done.get(message.messageGroup ?? "") ?? [];
        done.set(message.messageGroup ?? "", [...list, message.body]);
        tick();
      },
      { concurrency: 3 },
    );
    await all;
    await subscription.stop();
    expect(Object.fromEntries(done)).toEqual({
      g0: [0, 3, 6, 9],
      g1: [1, 4, 7, 10],
      g2: [2, 5, 8, 11],
    });
  });

  test("gets the same batch for the same attempt id, and a newer receipt by extend", async () => {
    await mq.send("attempts", [{ body: 1 }, { body: 2 }]);
    const consumer = mq.consumer("attempts", "g");
    const first = await consumer.receive({ attemptId: "a", waitMs: 20_000 });
    expect(ids(await consumer.receive({ attemptId: "a" }))).toEqual(ids(first));
    expect(await consumer.receive({ attemptId: "b" })).toEqual([]);
    const [message] = first;
    const before = message?.invisibleUntil ?? Infinity;
    await message?.extend(120_000);
    expect(message?.invisibleUntil).toBeGreaterThan(before);
    await Promise.all(first.map((each) => each.ack()));
  });

  test("reads a thousand messages once each, many at a time", async () => {
    const bodies = Array.from({ length: 1_000 }, (_, n) => ({ body: n }));
    await mq.topics.put("many", { queues: 2 });
    await mq.send("many", bodies);
    const seen: number[] = [];
    const { all, tick } = counting(1_000);
    const subscription = mq.consumer<number>("many", "g").subscribe(
      (message) => {
        seen.push(message.body);
        tick();
      },
      { concurrency: 50, maxMessages: 200 },
    );
    await all;
    await subscription.stop();
    expect(seen.toSorted((a, b) => a - b)).toEqual(bodies.map(({ body }) => body));
    expect((await mq.topics.stats("many")).groups).toMatchObject([{ lag: 0, inFlight: 0 }]);
  });
});

describe("a transaction", () => {
  test("reaches several topics at its commit, and tells where it stands", async () => {
    const tx = await mq.transaction("home", {
      producerGroup: "shop",
      messages: [{ body: 1 }, { body: 2, topic: "away" }],
    });
    expect((await mq.transactions.get(tx.id)).state).toBe("prepared");
    expect(await mq.consumer("home", "g").receive()).toEqual([]);
    expect(await tx.commit()).toMatchObject({ state: "committed", repeated: false });
    expect(await tx.commit()).toMatchObject({ state: "committed", repeated: true });
    await expect(tx.rollback()).rejects.toMatchObject({
      code: "transaction_committed",
      facts: { state: "committed" },
    });
    const [away] = await mq.consumer<number>("away", "g").receive({ waitMs: 20_000 });
    expect(away?.body).toBe(2);
    const [listed] = await mq.topics.transactions("home", { state: "committed" }).all();
    expect(listed).toMatchObject({ transactionId: tx.id, decidedBy: "producer" });
  });
});

describe("the admin verbs", () => {
  test("make, read, list and delete what there is", async () => {
    expect(await mq.topics.put("admin", { queues: 2 })).toMatchObject({
      topic: "admin",
      queues: 2,
    });
    expect(await mq.topics.get("admin")).toMatchObject({ topic: "admin", queues: 2 });
    const listed = (await mq.topics.list({ limit: 3 }).all()).map(({ topic }) => topic);
    expect(listed).toContain("admin");
    expect(new Set(listed).size).toBe(listed.length);
    await mq.groups.put("admin", "g", { startFrom: "latest" });
    expect(await mq.groups.get("admin", "g")).toMatchObject({ group: "g", startFrom: "latest" });
    expect((await mq.groups.list("admin").all()).map(({ group }) => group)).toEqual(["g"]);
    await mq.send("admin", [{ body: 1, keys: ["x"] }, { body: 2 }]);
    const offsets = await mq.groups.seek("admin", "g", "earliest");
    expect(offsets).toEqual({ 0: 0, 1: 0 });
    await mq.groups.pause("admin", "g");
    expect(await mq.consumer("admin", "g").receive()).toEqual([]);
    await mq.groups.resume("admin", "g");
    expect(await mq.consumer("admin", "g").receive({ waitMs: 20_000 })).not.toEqual([]);
    expect((await mq.topics.peek("admin", { key: "x" }).all()).map(({ body }) => body)).toEqual([
      1,
    ]);
    await mq.groups.delete("admin", "g");
    await mq.topics.delete("admin", { force: true });
    await expect(mq.topics.get("admin")).rejects.toMatchObject({ code: "topic_not_found" });
  });

  test("redrive dead letters, at once or at a rate that is read and stopped", async () => {
    const settings = { maxAttempts: 1 };
    const consumer = mq.consumer<number>("redriven", "g", { settings });
    await mq.send("redriven", [{ body: 1 }, { body: 2 }, { body: 3 }]);
    for (const message of await consumer.receive({ waitMs: 20_000 })) await message.nack();
    expect(await mq.groups.redriveProgress("redriven", "g")).toMatchObject({ state: "none" });
    const [first] = await mq.groups.deadLetters("redriven", "g").all();
    const ids = first === undefined ? [] : [first.id];
    expect(await mq.groups.redrive("redriven", "g", { ids })).toEqual({ redriven: 1 });
    // The second of them would follow in ten seconds.
    expect(await mq.groups.redrive("redriven", "g", { ratePerSecond: 0.1 })).toMatchObject({
      state: "running",
      redriven: 1,
      remaining: 1,
    });
    expect(await mq.groups.stopRedrive("redriven", "g")).toMatchObject({ state: "stopped" });
    const again = await consumer.receive({ waitMs: 20_000 });
    expect(again.map(({ body, deliveryAttempt }) => [body, deliveryAttempt])).toEqual([
      [1, 1],
      [2, 1],
    ]);
    const { groups } = await mq.topics.stats("redriven");
    expect(groups).toMatchObject([{ group: "g", deadLetters: 1, inFlight: 2, consumers: [] }]);
  });

  test("rotate the secret of a producer group", async () => {
    const check = { url: "http://127.0.0.1:9/checks" };
    const made = await mq.producerGroups.put("rotating", { check });
    expect(made.secret).toMatch(/^whsec_/u);
    const { secret } = await mq.producerGroups.rotateSecret("rotating");
    expect(secret).not.toBe(made.secret);
    expect(await mq.producerGroups.get("rotating")).toMatchObject({ group: "rotating", check });
    await mq.producerGroups.delete("rotating");
    await expect(mq.producerGroups.get("rotating")).rejects.toMatchObject({
      code: "producer_group_not_found",
    });
  });

  test("keep namespaces apart", async () => {
    const eu = new HalfMQ({ url: server.url, key: server.rootKey, namespace: "eu" });
    await eu.send("apart", { body: 1 });
    await expect(mq.topics.get("apart")).rejects.toMatchObject({ code: "topic_not_found" });
    expect((await eu.topics.list().all()).map(({ topic }) => topic)).toEqual(["apart"]);
  });
});

test("changes tell of a new topic", async () => {
  const changes = mq.changes<{ topic?: string }>();
  let heard: string | undefined;
  const listening = (async () => {
    for await (const { event, data } of changes)
      if (data.topic?.startsWith("brand-new") === true) return void (heard = event);
  })();
  // What is made before the line stands is not told.
  await until("a new topic is told of", async () => {
    await mq.topics.put(unique("brand-new"));
    return heard;
  });
  await listening;
  expect(heard).toBe("topic.created");
});

test("a subscription outlives a crash of the broker, and loses and doubles nothing that was acked", async () => {
  const data = await mkdtemp(join(tmpdir(), "halfmq-crash-"));
  const port = await freePort();
  let crashing = await startServer({ dataFolder: data, port, onOutput: () => {} });
  const { url, rootKey: key } = crashing;
  const client = new HalfMQ({ url, key, retry: { maxMs: 200 } });
  const seen = new Set<number>();
  const { all, tick } = counting(200);
  const subscription = client
    .consumer<number>("crash", "g", { settings: { invisibleMs: 1_000 } })
    .subscribe(
      ({ body }) => {
        if (seen.has(body)) return;
        seen.add(body);
        tick();
      },
      { concurrency: 4 },
    );
  for (let n = 0; n < 200; n++) {
    await client.send("crash", { body: n });
    if (n !== 100) continue;
    await crashing.kill();
    crashing = await startServer({ dataFolder: data, port, onOutput: () => {} });
  }
  await all;
  await subscription.stop();
  expect(seen.size).toBe(200);
  const [queue] = (await client.topics.stats("crash")).queues;
  expect(queue?.nextOffset).toBe(200);
  await crashing.stop();
  await rm(data, { recursive: true, force: true });
});
