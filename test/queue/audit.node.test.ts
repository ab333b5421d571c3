/** The audit of a queue: that it survives a restart, and that it sees what is missing when something is. */
import { expect, test } from "vitest";
import type { Content } from "../../src/core/record.ts";
import type { ProducerAudit } from "../../src/protocol/rpc.ts";
import { audit } from "../../src/queue/reading/audit.ts";
import { send } from "../../src/queue/sending.ts";
import { Account } from "../../src/queue/delivery/account.ts";
import { Producer } from "../../src/queue/duplicates/producer-page.ts";
import { Consumer } from "./consumer.node.ts";
import { Bench, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };

const started = async (): Promise<Bench> => {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route(), 0));
  return bench;
};

const sent = (bench: Bench, ...contents: readonly Partial<Content>[]): Promise<unknown> =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(bench.queue.store, { stamp, records: records(...contents) }, nowMs),
    ),
  );

const audited = (bench: Bench) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      audit(bench.queue.store, { summary: true, limit: 100 }, nowMs),
    ),
  );

const counted = (id: string, sequence: number, messageGroup?: string) => ({
  producer: { id, epoch: 1, sequence },
  ...(messageGroup === undefined ? {} : { messageGroup }),
});

/** Over all pages. */
async function producersIn(bench: Bench): Promise<ProducerAudit[]> {
  const found: ProducerAudit[] = [];
  let after: string | undefined;
  do {
    const query = { limit: 100, ...(after === undefined ? {} : { after }) };
    const page = await bench.run(
      bench.queue.stamped(stamp, (nowMs) => audit(bench.queue.store, query, nowMs)),
    );
    found.push(...page.producers);
    after = page.next;
  } while (after !== undefined);
  return found;
}

test("rows of the log that are gone are told, in the middle and at the old end", async () => {
  const bench = await started();
  for (let body = 0; body < 5; body++) await sent(bench, {}, {});
  expect((await audited(bench)).summary).toMatchObject({
    nextOffset: 10,
    checkedFrom: 0,
    holes: [],
  });
  bench.sql.exec("DELETE FROM message_log WHERE first = 4");
  expect((await audited(bench)).summary?.holes).toEqual([{ offset: 4, count: 2 }]);
  bench.sql.exec("DELETE FROM message_log WHERE first = 0");
  expect((await audited(bench)).summary?.holes).toEqual([
    { offset: 0, count: 2 },
    { offset: 4, count: 2 },
  ]);
});

test("a message that is done without a reason is told, and so is one that was booked twice", () => {
  const account = new Account();
  account.begin(10, 3);
  account.acked = 4;
  account.buried = 1;
  const counts = { acked: 4, buried: 1, expired: 2, passed: 0, open: 3 };
  expect(account.balance(20, 3, 5, false)).toEqual({ ...counts, stored: 10, unaccounted: 0 });
  expect(account.balance(20, 2, 5, false)).toMatchObject({ unaccounted: 1 });
  expect(account.balance(20, 4, 5, false)).toMatchObject({ unaccounted: -1 });
  expect(account.balance(20, 2, 5, true)).toMatchObject({ passed: 1, unaccounted: 0 });
  expect(account.balance(20, 4, 5, true)).toMatchObject({ passed: 0, unaccounted: -1 });
});

test("a producer's sequences that were not taken are missing", () => {
  const producer = new Producer({ id: "p", messageGroup: undefined });
  const at = { epoch: 1, place: 0, atMs: 0 };
  producer.take({ ...at, sequence: 2, count: 2 });
  producer.take({ ...at, sequence: 5, count: 1 });
  const { firstSequence, sequence, takenCount } = producer;
  expect([firstSequence, sequence, takenCount]).toEqual([1, 5, 3]);
  producer.take({ ...at, epoch: 2, sequence: 1, count: 1 });
  expect([producer.firstSequence, producer.takenCount]).toEqual([1, 1]);
});

test("producers and their counts outlive a restart, from the ring and from their pages", async () => {
  const bench = await started();
  await sent(bench, counted("a", 1), counted("a", 2), counted("b", 1, "group"));
  await sent(bench, counted("a", 3));
  const before = await producersIn(bench);
  expect(before.map(({ id, messageGroup, taken }) => [id, messageGroup, taken])).toEqual(
    expect.arrayContaining([
      ["a", undefined, 3],
      ["b", "group", 1],
    ]),
  );
  bench.wake();
  expect(await producersIn(bench)).toEqual(before);
  // Past the ring, so that all of it is read from pages.
  for (let round = 0; round < 1_100; round++) await sent(bench, counted("c", round + 1));
  bench.wake();
  const after = await producersIn(bench);
  expect(after).toEqual(expect.arrayContaining(before));
  expect(after).toContainEqual(
    expect.objectContaining({ id: "c", lastSequence: 1_100, taken: 1_100, missing: 0 }),
  );
});

test("a group's account outlives a restart, from the ring and from its row", async () => {
  const consumer = await Consumer.of({ maxAttempts: 1 });
  const account = async () => {
    const query = { summary: true, limit: 1 } as const;
    const { summary } = await consumer.bench.run(consumer.verbs.audit(consumer.stamp, query));
    return summary?.groups[0];
  };
  await consumer.send(...Array.from({ length: 6 }, () => ({})));
  const { receipts } = await consumer.take(4);
  await consumer.tell("ack", receipts.slice(0, 2));
  await consumer.tell("nack", receipts.slice(2, 3), { reason: "no" });
  const expected = { stored: 6, delivered: 4, acked: 2, deadLettered: 1, open: 3, unaccounted: 0 };
  expect(await account()).toMatchObject(expected);
  consumer.bench.wake();
  expect(await account()).toMatchObject(expected);
  // Past the ring, so that what is booked is read from the row.
  for (let round = 0; round < 1_100; round++) {
    await consumer.send({});
    await consumer.tell("ack", (await consumer.take()).receipts);
  }
  consumer.bench.wake();
  const later = { stored: 1_106, acked: 1_102, deadLettered: 1, open: 3, unaccounted: 0 };
  expect(await account()).toMatchObject(later);
  await consumer.seek("earliest");
  consumer.bench.wake();
  expect(await account()).toMatchObject({ stored: 1_106, acked: 0, open: 1_106, unaccounted: 0 });
});
