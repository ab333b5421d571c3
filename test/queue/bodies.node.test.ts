/** Large bodies at their queue: an object of the bucket lives as long as a message refers to it, and no longer, whatever crashes. */
import { describe, expect, it } from "vitest";
import type { BodyRef, Content } from "../../src/core/record.ts";
import type { Outcome } from "../../src/protocol/errors.ts";
import type { Decision, Prepared, QueueRpc, TopicRoute } from "../../src/protocol/rpc.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { named } from "../kit/bucket.node.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const RETENTION_MS = 2 * HOUR_MS;

const verbs = (bench: Bench): QueueRpc => new QueueVerbs(bench.queue);

async function started(more: Partial<TopicRoute> = {}): Promise<Bench> {
  const bench = new Bench();
  const topic = route([group("g")], { retentionMs: RETENTION_MS }, more);
  await bench.run(bench.queue.configure(topic, 0));
  return bench;
}

const lodged = (bench: Bench): Promise<BodyRef> => bench.lodge(stampOf(bench));

const stampOf = (bench: Bench) => {
  const { incarnation, version } = bench.queue.store.route;
  return { incarnation, version };
};

const withBody = (ref: BodyRef, more: Partial<Content> = {}): Partial<Content> => ({
  body: { isJson: false, ref },
  ...more,
});

const send = (bench: Bench, ...contents: Partial<Content>[]) =>
  bench.run(verbs(bench).send({ stamp: stampOf(bench), records: records(...contents) }));

const prepare = (
  bench: Bench,
  target: string,
  ...contents: Partial<Content>[]
): Promise<Prepared> =>
  bench.run(
    verbs(bench).prepare({
      stamp,
      producerGroup: "p",
      check: { timeoutMs: DAY_MS, intervalMs: DAY_MS, maxChecks: 100 },
      records: records(...contents),
      targets: contents.map(() =>
        target === "orders"
          ? { topic: target, incarnation: 7, queue: 0 }
          : { topic: target, incarnation: 9, queue: 0 },
      ),
    }),
  );

const decide = (bench: Bench, decision: Decision, position = 0) =>
  bench.run(verbs(bench).decide({ stamp, position, decision, by: "producer" }));

const receive = (bench: Bench, bytesMax = 1e6) =>
  bench.run(
    verbs(bench).receive({
      stamp: stampOf(bench),
      group: "g",
      maxMessages: 16,
      invisibleMs: 30_000,
      waitMs: 0,
      bytesMax,
    }),
  );

const settle = (bench: Bench, verb: "ack" | "nack", receipts: readonly string[], retry = true) =>
  bench.run(
    verbs(bench).settle({
      stamp: stampOf(bench),
      group: "g",
      verb,
      receipts,
      ...(retry ? {} : { retry }),
    }),
  );

const ackAll = async (bench: Bench): Promise<number> => {
  const { receipts } = await receive(bench);
  await settle(bench, "ack", receipts);
  return receipts.length;
};

/** The watchdog's call comes every five minutes. */
async function pass(bench: Bench, byMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < byMs; passedMs += 5 * MINUTE_MS) {
    await bench.pass(Math.min(5 * MINUTE_MS, byMs - passedMs));
    const poked = verbs(bench).poke();
    await bench.pass(0);
    await poked;
  }
}

const isThere = (bench: Bench, ref: BodyRef): boolean => bench.bucket.objects.has(named(ref.key));

const code = async (bench: Bench, call: Promise<Outcome<unknown>>): Promise<unknown> =>
  bench.run(call).then(
    () => "ok",
    (error: unknown) => (error as { code?: unknown }).code,
  );

describe.each([false, true])("a large body (the queue woken in between: %s)", (wakes) => {
  const rest = (bench: Bench): void => {
    if (wakes) bench.wake();
  };

  it("stays as long as its message, and goes with it", async () => {
    const bench = await started();
    const ref = await lodged(bench);
    rest(bench);
    await send(bench, withBody(ref));
    rest(bench);
    await pass(bench, RETENTION_MS - 10 * MINUTE_MS);
    expect(isThere(bench, ref)).toBe(true);
    await ackAll(bench);
    await pass(bench, 30 * MINUTE_MS);
    expect(isThere(bench, ref)).toBe(false);
    expect(bench.queue.store.bodies.isEmpty).toBe(true);
  });

  it("that was put and never sent is found and deleted, without a request", async () => {
    const bench = await started();
    const ref = await lodged(bench);
    rest(bench);
    await bench.pass(HOUR_MS - MINUTE_MS);
    expect(isThere(bench, ref)).toBe(true);
    rest(bench);
    await bench.pass(5 * MINUTE_MS);
    expect(isThere(bench, ref)).toBe(false);
    expect(await code(bench, verbs(bench).send({ stamp, records: records(withBody(ref)) }))).toBe(
      "unavailable",
    );
  });

  it("outlives its message's retention as a dead letter, redriven or not, and goes when that is done", async () => {
    const bench = await started();
    const ref = await lodged(bench);
    await send(bench, withBody(ref));
    const first = await receive(bench);
    await settle(bench, "nack", first.receipts, false);
    rest(bench);
    await pass(bench, RETENTION_MS + HOUR_MS);
    expect(bench.queue.store.messages.first).toBe(1);
    expect(isThere(bench, ref)).toBe(true);
    await bench.run(verbs(bench).redrive(stamp, "g"));
    rest(bench);
    await pass(bench, HOUR_MS);
    expect(isThere(bench, ref)).toBe(true);
    expect(await ackAll(bench)).toBe(1);
    await pass(bench, 10 * MINUTE_MS);
    expect(isThere(bench, ref)).toBe(false);
  });

  it("goes with a purge, and with the group whose dead letter refers to it", async () => {
    for (const end of ["purge", "group"] as const) {
      const bench = await started();
      const ref = await lodged(bench);
      await send(bench, withBody(ref));
      await settle(bench, "nack", (await receive(bench)).receipts, false);
      await pass(bench, RETENTION_MS + HOUR_MS);
      rest(bench);
      if (end === "purge") await bench.run(verbs(bench).purgeDeadLetters(stamp, "g", {}));
      else
        await bench.run(
          bench.queue.configure(route([], { retentionMs: RETENTION_MS }, { version: 2 }), 0),
        );
      await pass(bench, 10 * MINUTE_MS);
      expect(isThere(bench, ref)).toBe(false);
    }
  });

  it("of a half message goes at once with a rollback, and stays for what may be resumed", async () => {
    const bench = await started();
    const [back, lost] = [await lodged(bench), await lodged(bench)];
    await prepare(bench, "orders", withBody(back));
    await prepare(bench, "orders", withBody(lost));
    rest(bench);
    await decide(bench, "rollback");
    await pass(bench, 10 * MINUTE_MS);
    expect([isThere(bench, back), isThere(bench, lost)]).toEqual([false, true]);
  });

  it("of a half message goes on with the commit, delayed or not", async () => {
    const bench = await started();
    const [now, later] = [await lodged(bench), await lodged(bench)];
    await prepare(bench, "orders", withBody(now), withBody(later, { delayMs: HOUR_MS }));
    rest(bench);
    await decide(bench, "commit");
    expect((await receive(bench)).offsets).toEqual([0]);
    await pass(bench, HOUR_MS + 10 * MINUTE_MS);
    rest(bench);
    expect((await receive(bench)).offsets).toEqual([0, 1]);
    expect([isThere(bench, now), isThere(bench, later)]).toEqual([true, true]);
    await pass(bench, MINUTE_MS);
    await ackAll(bench);
    await pass(bench, 2 * RETENTION_MS);
    expect(bench.bucket.objects.size).toBe(0);
  });

  it("of a delayed message that is recalled goes", async () => {
    const bench = await started();
    const ref = await lodged(bench);
    const { stored } = await send(bench, withBody(ref, { delayMs: DAY_MS }));
    rest(bench);
    await pass(bench, 2 * HOUR_MS);
    expect(isThere(bench, ref)).toBe(true);
    const id = "first" in stored ? "" : (stored[0]?.id ?? "");
    await bench.run(verbs(bench).recall({ stamp, id }));
    await pass(bench, 10 * MINUTE_MS);
    expect(isThere(bench, ref)).toBe(false);
  });

  it("of a duplicate goes; the first one's stays", async () => {
    const bench = await started();
    const [first, second] = [await lodged(bench), await lodged(bench)];
    await send(bench, withBody(first, { dedupId: "d" }));
    rest(bench);
    await send(bench, withBody(second, { dedupId: "d" }));
    await pass(bench, 10 * MINUTE_MS);
    expect([isThere(bench, first), isThere(bench, second)]).toEqual([true, false]);
  });

  it("is not deleted while the bucket cannot be reached, and then is", async () => {
    const bench = await started();
    const ref = await lodged(bench);
    bench.bucket.isDown = true;
    await pass(bench, 3 * HOUR_MS);
    rest(bench);
    expect(isThere(bench, ref)).toBe(true);
    bench.bucket.isDown = false;
    await bench.pass(15 * MINUTE_MS);
    expect(isThere(bench, ref)).toBe(false);
  });

  it("goes before its deleted topic's storage does", async () => {
    const bench = await started();
    const ref = await lodged(bench);
    await send(bench, withBody(ref));
    bench.bucket.isDown = true;
    expect(await bench.run(verbs(bench).drop(7))).toEqual({ dropped: false });
    rest(bench);
    await bench.pass(MINUTE_MS);
    expect(bench.erased).toBe(0);
    bench.bucket.isDown = false;
    await bench.pass(15 * MINUTE_MS);
    expect(bench.bucket.objects.size).toBe(0);
    expect(bench.erased).toBe(1);
  });
});

describe("a large body that goes to another queue", () => {
  const stock = { topic: "stock", incarnation: 9 };

  async function pair(): Promise<{ home: Bench; target: Bench }> {
    const home = await started();
    const target = await started(stock);
    home.forward = (_to, call) => {
      const taken = verbs(target).forward(call);
      void target.pass(0);
      return taken;
    };
    return { home, target };
  }

  it("is the target's to delete once it has the message, and only then", async () => {
    const { home, target } = await pair();
    const ref = await lodged(home);
    await prepare(home, "stock", withBody(ref));
    const through = home.forward;
    home.forward = () => Promise.reject(new Error("lost"));
    // Its answer waits a while for what is on its way.
    void verbs(home).decide({ stamp, position: 0, decision: "commit", by: "producer" });
    await pass(home, 10 * MINUTE_MS);
    expect(isThere(home, ref)).toBe(true);
    home.forward = through;
    await pass(home, 10 * MINUTE_MS);
    expect(home.queue.store.bodies.isEmpty).toBe(true);
    expect(isThere(home, ref)).toBe(true);
    // One bucket: the target deletes in its own.
    target.bucket.objects.set(named(ref.key), new Uint8Array());
    await ackAll(target);
    await pass(target, 2 * RETENTION_MS);
    expect(isThere(target, ref)).toBe(false);
  });

  it("is deleted by the target when it is a duplicate there, and by the home when the target is gone", async () => {
    const { home, target } = await pair();
    await send(target, { dedupId: "d" });
    const [doubled, stray] = [await lodged(home), await lodged(home)];
    await prepare(home, "stock", withBody(doubled, { dedupId: "d" }));
    await decide(home, "commit");
    await pass(home, MINUTE_MS);
    target.bucket.objects.set(named(doubled.key), new Uint8Array());
    await pass(target, 10 * MINUTE_MS);
    expect(isThere(target, doubled)).toBe(false);
    expect(isThere(home, doubled)).toBe(true);
    home.forward = () =>
      Promise.resolve({ ok: false, code: "topic_not_found", detail: "The topic is gone." });
    await prepare(home, "stock", withBody(stray));
    await decide(home, "commit", 1);
    await pass(home, 10 * MINUTE_MS);
    expect(isThere(home, stray)).toBe(false);
  });
});

describe("a queue without a bucket", () => {
  it("is deleted all the same, and says what it leaves", async () => {
    const bench = await started();
    await send(bench, withBody(await lodged(bench)));
    bench.hasBucket = false;
    bench.wake();
    expect(await bench.run(verbs(bench).drop(7))).toEqual({ dropped: true });
    expect(bench.logged).toContainEqual({
      event: "bodies.left",
      fields: { topic: "orders", queue: 0 },
    });
  });
});

/** Rows that the whole life of a message writes. */
async function rowsOf(isLarge: boolean): Promise<number> {
  const bench = await started();
  await bench.pass(MINUTE_MS);
  bench.sql.rowsWritten = 0;
  await send(bench, isLarge ? withBody(await lodged(bench)) : {});
  await ackAll(bench);
  await pass(bench, RETENTION_MS + HOUR_MS);
  expect(bench.bucket.objects.size).toBe(0);
  expect(bench.queue.store.messages.first).toBe(1);
  return bench.sql.rowsWritten;
}

describe("the cost", () => {
  it("of a large body is six rows over its life, beside what its message costs", async () => {
    expect((await rowsOf(true)) - (await rowsOf(false))).toBe(6);
  });
});

describe("an answer", () => {
  it("counts large bodies as what it will carry, and has one message at least", async () => {
    const bench = await started();
    const refs = [await lodged(bench), await lodged(bench), await lodged(bench)];
    const large = refs.map((ref) => withBody({ ...ref, bytes: 3_000_000 }));
    await send(bench, ...large);
    expect((await receive(bench, 1_000)).offsets).toEqual([0]);
    expect((await receive(bench, 7_000_000)).offsets).toEqual([1, 2]);
    const peeked = verbs(bench).peek({ stamp, limit: 10, bytesMax: 4_000_000 });
    expect((await bench.run(peeked)).offsets).toEqual([0]);
    await bench.pass(MINUTE_MS);
    const { receipts } = await receive(bench, 9_900_000);
    await settle(bench, "nack", receipts, false);
    const dead = verbs(bench).deadLetters(stamp, "g", { limit: 10, bytesMax: 7_000_000 });
    expect((await bench.run(dead)).items).toHaveLength(2);
  });

  it("refuses what refers to a body that nobody announced, and takes no more announcements than it can hold", async () => {
    const bench = await started();
    const key = bench.bucket.newKey();
    const ref = { key, bytes: 5, digest: new Uint8Array(32), home: bench.bucket.home };
    const call = { stamp, records: records({}, withBody(ref)) };
    expect(await code(bench, verbs(bench).send(call))).toBe("unavailable");
    expect(bench.queue.store.messages.next).toBe(0);
    const keys = Array.from({ length: 10_001 }, () => bench.bucket.newKey());
    expect(await code(bench, verbs(bench).expectBodies(stamp, keys))).toBe("overloaded");
  });
});
