/** A row of the log that is gone or damaged: what is before it is delivered as ever, it is never stepped over, and a seek passes it. */
import { expect, test } from "vitest";
import { CodecError } from "../../src/core/bytes.ts";
import type { GroupSettings } from "../../src/protocol/topic.ts";
import { Consumer } from "./consumer.node.ts";
import type { Bench } from "./kit.node.ts";

const MESSAGES = 12;
const FAULTY = 5;

const GROUPS: readonly (readonly [string, Partial<GroupSettings>])[] = [
  ["a plain group", {}],
  ["a group that filters", { filter: { tags: ["a"] } }],
  ["an ordered group", { ordered: true }],
];

const FAULTS: readonly (readonly [string, (bench: Bench) => unknown])[] = [
  ["gone", ({ sql }) => sql.exec("DELETE FROM message_log WHERE first = ?", FAULTY)],
  [
    "damaged",
    ({ sql }) => sql.exec("UPDATE message_log SET body = zeroblob(40) WHERE first = ?", FAULTY),
  ],
];

/** As the object is after a read that threw. */
function startAnew(bench: Bench): void {
  expect(bench.aborted).toBeInstanceOf(CodecError);
  bench.aborted = undefined;
  bench.wake();
}

test.each(
  GROUPS.flatMap(([name, settings]) =>
    FAULTS.map(([kind, strike]) => [name, kind, settings, strike] as const),
  ),
)("%s comes up to a row that is %s, and behind it by a seek", async (_, __, settings, strike) => {
  const consumer = await Consumer.of(settings);
  const { bench } = consumer;
  for (let n = 0; n < MESSAGES; n++)
    await consumer.send({ tag: "a", messageGroup: n % 2 === 0 ? "even" : "odd" });
  strike(bench);
  bench.wake();
  const before = await consumer.take(MESSAGES);
  expect(before.offsets).toEqual([0, 1, 2, 3, 4]);
  await consumer.tell("ack", before.receipts);
  for (let again = 0; again < 2; again++) {
    await expect(consumer.take(MESSAGES)).rejects.toThrow(CodecError);
    startAnew(bench);
  }
  await consumer.seek({ offset: FAULTY + 1 });
  expect(await consumer.drain()).toEqual([6, 7, 8, 9, 10, 11]);
});
