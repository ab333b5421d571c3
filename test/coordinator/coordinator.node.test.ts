/** The coordinator's rules with invented time, queues and endpoints: who is asked, when, how many at once, and the end. */
import { expect, test } from "vitest";
import { Coordinator, OPEN_MAX, WAITING_MAX } from "../../src/coordinator/coordinator.ts";
import { TestSql } from "../kit/sqlite.node.ts";
import { aRecord, GROUP, INCARNATION, makeWorld, NAMESPACE, settle, WEBHOOK } from "./kit.node.ts";

const COMMIT = '{"resolution":"commit"}';
const UNKNOWN = '{"resolution":"unknown"}';

async function asking(workers = {}) {
  const world = makeWorld(workers);
  const coordinator = world.wake();
  await coordinator.configure(aRecord(WEBHOOK));
  const offer = async (offers: Parameters<typeof coordinator.offer>[2]) => {
    await coordinator.offer(NAMESPACE, GROUP, offers);
    await settle();
  };
  return { ...world, coordinator, offer };
}

test("a due transaction is begun, asked, and its answer told to the queue", async () => {
  const { clock, queue, endpoint, offer, coordinator } = await asking();
  await offer(queue().offersOf(5));
  expect(queue().begins).toEqual([
    [INCARNATION, [{ position: 5, attempt: 1, openUntil: clock.nowMs() + 20_000 }], true],
  ]);
  expect(endpoint.asked).toHaveLength(1);
  expect(endpoint.asked[0]).toMatchObject({ ...WEBHOOK, secrets: aRecord().secrets });
  expect(await coordinator.seen()).toMatchObject({
    open: 1,
    waiting: 0,
    lastCalledAt: clock.nowMs(),
  });
  endpoint.asked[0]?.answer(COMMIT);
  await settle();
  expect(queue().ends).toEqual([[INCARNATION, 5, 1, "commit"]]);
  expect(await coordinator.seen()).toMatchObject({ open: 0, lastOutcome: "commit" });
  expect(clock.timers).toBe(0);
});

test("an offer answers before anything is begun", async () => {
  const { queue, coordinator } = await asking();
  queue().gate = new Promise(() => undefined);
  await coordinator.offer(NAMESPACE, GROUP, queue().offersOf(1));
  expect(queue().ends).toEqual([]);
});

test("what fails is told as unknown and logged", async () => {
  const { queue, endpoint, offer, logged, coordinator } = await asking();
  await offer(queue().offersOf(1));
  endpoint.asked[0]?.fail("timeout");
  await settle();
  expect(queue().ends).toEqual([[INCARNATION, 1, 1, "unknown", { failure: "timeout" }]]);
  expect(logged).toEqual(["check.unanswered"]);
  expect(await coordinator.seen()).toMatchObject({ lastOutcome: "timeout" });
});

test("no more than four checks are open, and those that wait are not counted", async () => {
  const { queue, endpoint, offer, coordinator } = await asking();
  await offer(queue().offersOf(...Array.from({ length: 50 }, (_, position) => position)));
  expect(endpoint.asked).toHaveLength(OPEN_MAX);
  expect([...queue().halves.values()].filter(({ checks }) => checks > 0)).toHaveLength(OPEN_MAX);
  expect(await coordinator.seen()).toMatchObject({ open: 4, waiting: 46 });
  for (let answered = 0; answered < 50; answered++) {
    endpoint.asked[answered]?.answer(COMMIT);
    await settle();
  }
  expect(endpoint.openMax).toBe(OPEN_MAX);
  expect(queue().ends).toHaveLength(50);
  // Four of the same queue begin in one call where four slots are free.
  expect(queue().begins[0]?.[1]).toHaveLength(OPEN_MAX);
});

test("a check that was decided while it waited is never asked", async () => {
  const { queue, endpoint, offer, coordinator } = await asking();
  await offer(queue().offersOf(0, 1, 2, 3, 4, 5));
  queue().half(4).state = "committed";
  endpoint.asked[0]?.answer(UNKNOWN);
  await settle();
  const asked = endpoint.asked.map(({ body }) => JSON.parse(body).data.transactionId);
  expect(asked).toEqual(["tx_7_0_0", "tx_7_0_1", "tx_7_0_2", "tx_7_0_3", "tx_7_0_5"]);
  expect(await coordinator.seen()).toMatchObject({ open: 4, waiting: 0 });
});

test("the same transaction offered again waits once, and the newest attempt wins", async () => {
  const { queue, endpoint, offer, coordinator } = await asking();
  await offer(queue().offersOf(0, 1, 2, 3));
  const [first] = queue().offersOf(9);
  if (first === undefined) throw new Error("no offer");
  await offer([first, { ...first, attempt: 2 }, first]);
  await offer([first]);
  expect(await coordinator.seen()).toMatchObject({ waiting: 1 });
  queue().half(9).checks = 1;
  endpoint.asked[0]?.answer(COMMIT);
  await settle();
  expect(queue().begins.at(-1)?.[1]).toMatchObject([{ position: 9, attempt: 2 }]);
});

test("what is being asked is not queued a second time", async () => {
  const { queue, endpoint, offer, coordinator } = await asking();
  const offers = queue().offersOf(0, 1);
  await offer(offers);
  await offer(offers);
  expect(await coordinator.seen()).toMatchObject({ waiting: 0 });
  expect(endpoint.asked).toHaveLength(2);
});

test("a flood of offers is bounded", async () => {
  const { queue, offer, coordinator, logged } = await asking();
  const positions = Array.from({ length: WAITING_MAX + 500 }, (_, position) => position);
  await offer(queue().offersOf(...positions));
  expect(await coordinator.seen()).toMatchObject({ waiting: WAITING_MAX - OPEN_MAX });
  expect(logged).toEqual(["check.offers_dropped"]);
});

test("a group whose endpoint hangs delays no other group of the same queue", async () => {
  const { queue, endpoint, offer, ports } = await asking();
  await offer(queue().offersOf(...Array(100).keys()));
  expect(endpoint.asked).toHaveLength(OPEN_MAX);
  const other = new Coordinator(new TestSql(), ports);
  await other.configure(aRecord(WEBHOOK));
  await other.offer(NAMESPACE, "invoices", queue().offersOf(1_000));
  await settle();
  endpoint.asked[OPEN_MAX]?.answer(COMMIT);
  await settle();
  expect(queue().ends).toEqual([[INCARNATION, 1_000, 1, "commit"]]);
});

test("one slow answer holds one slot and the others go on", async () => {
  const { queue, endpoint, offer, coordinator } = await asking();
  await offer(queue().offersOf(...Array(20).keys()));
  for (let next = 1; next < 20; next++) {
    endpoint.asked[next]?.answer(COMMIT);
    await settle();
  }
  expect(queue().ends).toHaveLength(19);
  expect(await coordinator.seen()).toMatchObject({ open: 1, waiting: 0 });
});

test("an end that the transport loses is told again, up to five times", async () => {
  const { clock, queue, endpoint, offer, coordinator, logged } = await asking();
  await offer(queue().offersOf(1, 2, 3));
  queue().failures.push("throw", "unavailable", "throw");
  endpoint.asked[0]?.answer(COMMIT);
  await clock.advance(700);
  expect(queue().ends.filter(([, position]) => position === 1)).toHaveLength(4);
  expect(queue().half(1).state).toBe("committed");

  queue().failures.push("throw", "throw", "throw", "throw", "throw");
  endpoint.asked[1]?.answer(COMMIT);
  await clock.advance(1_500);
  expect(queue().ends.filter(([, position]) => position === 2)).toHaveLength(5);
  expect(logged).toEqual(["check.end_lost"]);

  queue().failures.push("internal");
  endpoint.asked[2]?.answer(COMMIT);
  await clock.advance(10_000);
  expect(queue().ends.filter(([, position]) => position === 3)).toHaveLength(1);
  expect(await coordinator.seen()).toMatchObject({ open: 0 });
});

test("a queue that hangs at an end gives its slot back", async () => {
  const { clock, queue, endpoint, offer, coordinator } = await asking();
  await offer(queue().offersOf(1));
  queue().failures.push("hang", "hang", "hang", "hang", "hang");
  endpoint.asked[0]?.answer(COMMIT);
  await clock.advance(60_000);
  expect(await coordinator.seen()).toMatchObject({ open: 0 });
});

test("a begin that fails gives its slots back; the next ones go one by one until one works", async () => {
  const { queue, endpoint, offer, coordinator, logged } = await asking();
  queue().failures.push("throw");
  await offer(queue().offersOf(0, 1, 2, 3, 4, 5));
  expect(logged).toEqual(["check.begin_failed"]);
  expect(queue().begins.map(([, checks]) => checks.map(({ position }) => position))).toEqual([
    [0, 1, 2, 3],
    [4],
    [5],
  ]);
  expect(endpoint.asked).toHaveLength(2);
  await offer(queue().offersOf(0, 1, 2));
  expect(await coordinator.seen()).toMatchObject({ open: 4, waiting: 1 });
});

test("a begin that is refused asks nobody", async () => {
  const { queue, endpoint, offer, coordinator } = await asking();
  queue().failures.push("internal");
  await offer(queue().offersOf(0, 1));
  expect(endpoint.asked).toHaveLength(0);
  expect(await coordinator.seen()).toMatchObject({ open: 0, waiting: 0 });
});

test("a begin that comes too late is not asked but ended, and its slots were free meanwhile", async () => {
  const { clock, queue, endpoint, offer, coordinator } = await asking();
  const gate = Promise.withResolvers<void>();
  queue().gate = gate.promise;
  await offer(queue().offersOf(0, 1));
  await clock.advance(5_000);
  expect(await coordinator.seen()).toMatchObject({ open: 0 });
  gate.resolve();
  await settle();
  expect(endpoint.asked).toHaveLength(0);
  expect(queue().ends.map(([, position, , resolution]) => [position, resolution])).toEqual([
    [0, "unknown"],
    [1, "unknown"],
  ]);
});

test("queues take turns in the order in which they offered", async () => {
  const { queue, endpoint, offer } = await asking();
  await offer([
    ...queue(0).offersOf(0, 1),
    ...queue(1).offersOf(0),
    ...queue(0).offersOf(2),
    ...queue(1).offersOf(1),
  ]);
  expect(queue(0).begins[0]?.[1].map(({ position }) => position)).toEqual([0, 1, 2]);
  expect(queue(1).begins[0]?.[1].map(({ position }) => position)).toEqual([0]);
  endpoint.asked[0]?.answer(COMMIT);
  await settle();
  expect(queue(1).begins[1]?.[1].map(({ position }) => position)).toEqual([1]);
});

test("a change of target or secret applies to the next check, and an older record is ignored", async () => {
  const { queue, endpoint, offer, coordinator, wake } = await asking();
  await offer(queue().offersOf(0));
  await coordinator.configure(aRecord({ url: "https://new.example/", timeoutMs: 1 }, 3));
  await coordinator.configure(aRecord(WEBHOOK, 2));
  await offer(queue().offersOf(1));
  expect(endpoint.asked.map(({ url }) => url)).toEqual([
    "https://orders.example/check",
    "https://new.example/",
  ]);

  const woken = wake();
  await woken.offer(NAMESPACE, GROUP, queue(1).offersOf(0));
  await settle();
  expect(endpoint.asked[2]?.url).toBe("https://new.example/");
});

test("a group whose record is deleted has its checks laid in the mailbox", async () => {
  const { queue, endpoint, offer, coordinator, wake } = await asking();
  await coordinator.configure(undefined);
  await offer(queue().offersOf(0));
  await wake().offer(NAMESPACE, GROUP, queue().offersOf(1));
  await settle();
  expect(endpoint.asked).toHaveLength(0);
  expect(queue().begins.map(([, [check], withContent]) => [check?.openUntil, withContent])).toEqual(
    [
      [0, false],
      [0, false],
    ],
  );
});

test("a bound Worker is asked like a webhook", async () => {
  const { queue, offer, coordinator } = await asking({ ORDERS: () => "rollback" });
  await coordinator.configure(aRecord({ binding: "ORDERS", timeoutMs: 1_000 }, 2));
  await offer(queue().offersOf(3));
  expect(queue().ends).toEqual([[INCARNATION, 3, 1, "rollback"]]);
});
