/** The object itself inside workerd: real SQLite, structured clones, and what is left after an eviction. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { CoordinatorObject } from "../../src/coordinator/object.ts";
import { encodeEntry } from "../../src/core/entry.ts";
import { transactionId } from "../../src/core/ids.ts";
import { encodeRecord, frame } from "../../src/core/record.ts";
import { accept } from "../../src/protocol/errors.ts";
import type { CheckBegun, CheckOffer, ProducerGroupRecord } from "../../src/protocol/rpc.ts";

const QUERY = { maxMessages: 16, waitMs: 0, bytesMax: 1_000_000 };
const OFFERS: CheckOffer[] = [1, 2, 3].map((position) => ({
  topic: "t",
  incarnation: 1,
  queue: 0,
  position,
  attempt: 1,
}));

const check = (position: number): CheckBegun => ({
  transactionId: transactionId({ incarnation: 1, queue: 0, position }),
  topic: "t",
  queue: 0,
  producerGroup: "orders",
  attempt: 1,
  maxChecks: 15,
  preparedAt: 1,
  entries: frame([encodeEntry({ record: encodeRecord({ body: { json: "1.00" } }) })]),
  targets: [{ topic: "t", incarnation: 1, queue: 0 }],
});

/** A queue that begins everything and tells how checks end. */
function makeQueue() {
  const ends: unknown[] = [];
  const ended = Promise.withResolvers<void>();
  const names: string[] = [];
  const stub = {
    beginChecks: (_: number, checks: readonly { position: number }[]) =>
      Promise.resolve(accept(checks.map(({ position }) => check(position)))),
    readChecks: (_: number, positions: readonly number[]) =>
      Promise.resolve(accept(positions.map(check))),
    endCheck: (...end: unknown[]) => {
      ends.push(end);
      if (ends.length === OFFERS.length) ended.resolve();
      return Promise.resolve(accept({ state: "prepared" }));
    },
  };
  const getByName = (name: string) => {
    names.push(name);
    return stub;
  };
  return { ends, ended: ended.promise, names, namespace: { getByName } };
}

/** A coordinator object over the storage of a fresh or an earlier name, with bindings of the test's own. */
function inObject<T>(
  name: string,
  bindings: object,
  run: (object: CoordinatorObject) => Promise<T>,
): Promise<T> {
  return runInDurableObject(env.COORDINATOR.getByName(name), (_, ctx) =>
    run(new CoordinatorObject(ctx, { ...env, ...bindings })),
  );
}

const record = (check: ProducerGroupRecord["check"]): ProducerGroupRecord => ({
  group: "orders",
  ...(check === undefined ? {} : { check }),
  secrets: [{ secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }],
  createdAt: 1,
  version: 1,
});

test("the mailbox and the group's record survive an eviction", async () => {
  const queue = makeQueue();
  const bindings = { QUEUE: queue.namespace };
  await inObject("default/mailbox", bindings, async (object) => {
    await object.offer("default", "orders", OFFERS);
    const one = { ...QUERY, maxMessages: 1, waitMs: 5_000 };
    expect(await object.poll("default", "orders", one)).toMatchObject({
      ok: true,
      value: { checks: [{ transactionId: "tx_1_0_1" }] },
    });
  });
  await inObject("default/mailbox", bindings, async (object) => {
    expect(await object.poll("default", "orders", QUERY)).toMatchObject({
      ok: true,
      value: { checks: [{ transactionId: "tx_1_0_2" }, { transactionId: "tx_1_0_3" }] },
    });
    await object.configure(record({ binding: "ORDERS", timeoutMs: 1_000 }));
  });
  const asked: unknown[] = [];
  const ORDERS = { checkTransaction: (data: unknown) => void asked.push(data) };
  await inObject("default/mailbox", { ...bindings, ORDERS }, async (object) => {
    expect(await object.poll("default", "orders", QUERY)).toEqual(accept({ checks: [] }));
    await object.offer("default", "orders", OFFERS);
    await queue.ended;
  });
  expect(asked).toHaveLength(3);
  expect(new Set(queue.names)).toEqual(new Set(["default/t/0"]));
});

test("a bound Worker's answer reaches the queue", async () => {
  const queue = makeQueue();
  const ORDERS = { checkTransaction: () => Promise.resolve({ resolution: "commit" }) };
  await inObject("default/bound", { QUEUE: queue.namespace, ORDERS }, async (object) => {
    await object.configure(record({ binding: "ORDERS", timeoutMs: 1_000 }));
    await object.offer("default", "orders", OFFERS);
    await queue.ended;
    expect(await object.seen()).toMatchObject({ lastOutcome: "commit" });
  });
  expect(queue.ends).toContainEqual([1, 2, 1, "commit"]);
});

test.each(["QUEUE", "COORDINATOR", "HALFMQ_ROOT_KEY", "constructor", "GONE"])(
  "the binding %s is never asked",
  async (binding) => {
    const queue = makeQueue();
    await inObject(`default/${binding}`, { QUEUE: queue.namespace }, async (object) => {
      await object.configure(record({ binding, timeoutMs: 1_000 }));
      await object.offer("default", "orders", OFFERS);
      await queue.ended;
      expect(await object.seen()).toMatchObject({ lastOutcome: "no_such_binding" });
    });
    expect(queue.ends).toContainEqual([1, 1, 1, "unknown", { failure: "no_such_binding" }]);
  },
);

test("a forbidden webhook is refused before it is called", async () => {
  const queue = makeQueue();
  await inObject("default/forbidden", { QUEUE: queue.namespace }, async (object) => {
    await object.configure(record({ url: "https://169.254.169.254/", timeoutMs: 1_000 }));
    await object.offer("default", "orders", OFFERS);
    await queue.ended;
    expect(await object.seen()).toMatchObject({ lastOutcome: "target_not_allowed" });
  });
});

test("what goes out is signed inside workerd, and an answer of the network is read there", async () => {
  const queue = makeQueue();
  const posts: RequestInit[] = [];
  const HALFMQ_PRIVATE = {
    fetch: (_: string, init: RequestInit) => {
      posts.push(init);
      return Promise.resolve(Response.json({ resolution: "rollback" }));
    },
  };
  await inObject("default/signed", { QUEUE: queue.namespace, HALFMQ_PRIVATE }, async (object) => {
    await object.configure(record({ url: "http://localhost:9/check", timeoutMs: 1_000 }));
    await object.offer("default", "orders", OFFERS);
    await queue.ended;
  });
  expect(queue.ends).toContainEqual([1, 3, 1, "rollback"]);
  expect(new Headers(posts[0]?.headers).get("webhook-signature")).toMatch(/^v1,[\w+/]{43}=$/);
  expect(posts[0]?.body).toContain('"body":1.00}');
});
