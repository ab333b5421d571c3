/** A queue whose storage is always past its share, so that whatever is old enough goes to the bucket, in small blocks. */
import { expect } from "vitest";
import { decodeEntry } from "../../src/core/entry.ts";
import { decodeRecord, unframe } from "../../src/core/record.ts";
import type { QueueBounds } from "../../src/queue/bounds.ts";
import type { BlockMemory } from "../../src/queue/cold/block-memory.ts";
import type { Outcome } from "../../src/protocol/errors.ts";
import type { Peeked } from "../../src/protocol/rpc.ts";
import type { GroupSettings } from "../../src/protocol/topic.ts";
import { named } from "../kit/bucket.node.ts";
import { Consumer } from "./consumer.node.ts";
import { Bench } from "./kit.node.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

export const SMALL: Partial<QueueBounds> = {
  storedBytesMax: 1_000,
  warmShare: 0.5,
  coldAfterMs: MINUTE_MS,
  blockBytes: 500,
  fetchedBytesMax: 2_000,
};

/** Past the share, and not full. */
export const coldBench = (bounds: Partial<QueueBounds> = {}, memory?: BlockMemory): Bench => {
  const bench = new Bench(undefined, { ...SMALL, ...bounds }, memory);
  bench.storedBytes = 600;
  return bench;
};

export const coldConsumer = (
  settings: Partial<GroupSettings> = {},
  bounds: Partial<QueueBounds> = {},
  memory?: BlockMemory,
): Promise<Consumer> => Consumer.of(settings, coldBench(bounds, memory));

/** What the nth message says: longer than its number, so that a few make a block. */
export const textOf = (n: number): string => JSON.stringify(`message ${n} ${"x".repeat(40)}`);

/** A segment for each message. */
export async function fill(
  consumer: Consumer,
  count: number,
  more: (n: number) => object = () => ({}),
): Promise<void> {
  const from = consumer.bench.queue.store.messages.next;
  for (let n = from; n < from + count; n++)
    await consumer.send({ body: { json: textOf(n) }, ...more(n) });
}

/** Everything that is old enough moves. */
export const cool = (consumer: Consumer): Promise<void> => consumer.bench.pass(5 * MINUTE_MS);

/** Texts of framed entries. */
export const texts = (entries: Uint8Array): string[] =>
  unframe(entries).map((entry) => {
    const { body } = decodeRecord(decodeEntry(entry).record);
    return "json" in body ? body.json : "";
  });

/** How many messages are in the bucket alone. */
export function coldCount({ bench }: Consumer): number {
  const { messages } = bench.queue.store;
  return messages.warm.first - (messages.cold.first ?? messages.warm.first);
}

/** Objects that blocks refer to, and those that the bucket has. */
export function objects({ bench }: Consumer): { referred: string[]; there: string[] } {
  const rows = bench.sql.exec("SELECT key FROM cold_log ORDER BY first");
  return {
    referred: rows.map(({ key }) => named(key as Uint8Array)).toSorted(),
    there: [...bench.bucket.objects.keys()].toSorted(),
  };
}

/** Offsets of all pages that somebody sees who looks; every message must be what was sent there. */
export async function peekAll(
  { bench, stamp, verbs }: Consumer,
  query: { readonly key?: string } = {},
): Promise<number[]> {
  const offsets: number[] = [];
  let offset: number | undefined = 0;
  while (offset !== undefined) {
    const page: Peeked = await bench.run(
      verbs.peek({ stamp, offset, limit: 20, bytesMax: 1e6, ...query }),
    );
    if (texts(page.entries).some((text, index) => text !== textOf(page.offsets[index] ?? -1)))
      throw new Error(`another message stands at one of ${page.offsets.join()}`);
    offsets.push(...page.offsets);
    offset = page.nextOffset;
  }
  return offsets;
}

export const COUNT = 60;
export const all = Array.from({ length: COUNT }, (_, n) => n);

export const filled = async (...args: Parameters<typeof coldConsumer>): Promise<Consumer> => {
  const consumer = await coldConsumer(...args);
  await fill(consumer, COUNT);
  await cool(consumer);
  expect(coldCount(consumer)).toBeGreaterThan(COUNT / 2);
  return consumer;
};

/** All that the group gets, acked. */
export async function drain(consumer: Consumer, maxMessages = 7): Promise<string[]> {
  const got: string[] = [];
  for (;;) {
    const { entries, receipts } = await consumer.take(maxMessages);
    if (receipts.length === 0) return got;
    got.push(...texts(entries));
    await consumer.tell("ack", receipts);
  }
}

/** The same, by one who comes again for a quarter of an hour when the bucket does not give what is wanted. */
export async function drainInTime(consumer: Consumer): Promise<string[]> {
  const got: string[] = [];
  for (let minutes = 0; minutes < 15; minutes++) {
    for (;;) {
      const delivered = await consumer.take(4).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "body_unavailable" });
      });
      if (delivered === undefined || delivered.receipts.length === 0) break;
      got.push(...texts(delivered.entries));
      await consumer.tell("ack", delivered.receipts);
    }
    await consumer.bench.pass(MINUTE_MS);
  }
  return got;
}

export async function code(bench: Bench, call: Promise<Outcome<unknown>>): Promise<unknown> {
  return bench.run(call).then(
    () => "ok",
    (error: unknown) => (error as { code?: unknown }).code,
  );
}

/** The third put waits until it is let through. */
export function stopAtThirdPut({ bucket }: Bench): PromiseWithResolvers<void> {
  const gate = Promise.withResolvers<void>();
  bucket.before = (verb) =>
    verb === "put" && bucket.calls.put >= 3 ? gate.promise : Promise.resolve();
  return gate;
}
