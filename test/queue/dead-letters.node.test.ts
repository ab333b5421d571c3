/** Lists of dead letters by their bytes, and redrives of some or of very many. */
import { expect, test } from "vitest";
import { messageId } from "../../src/core/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { Bench, group, records, route } from "./kit.node.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";

const stamp = { incarnation: 7, version: 1 };
const TEXT = `"${"x".repeat(1_000)}"`;

const idOf = (position: number): string =>
  messageId({ origin: "log", incarnation: 7, queue: 0, position, index: 0 });

/** A queue where so many messages of a kilobyte were given up. */
async function buried(count: number) {
  const bench = new Bench();
  const verbs = new QueueVerbs(bench.queue);
  await bench.run(verbs.configure(route([group("g")]), 0));
  const contents = Array.from({ length: count }, () => ({ body: { json: TEXT } }));
  await bench.run(verbs.send({ stamp, records: records(...contents) }));
  for (let left = count; left > 0;) {
    const { receipts } = await bench.run(
      verbs.receive({
        stamp,
        group: "g",
        maxMessages: 1_000,
        invisibleMs: 30_000,
        waitMs: 0,
        bytesMax: 1e9,
      }),
    );
    await bench.run(verbs.settle({ stamp, group: "g", verb: "nack", receipts, retry: false }));
    left -= receipts.length;
  }
  return { bench, verbs, ids: contents.map((_, position) => idOf(position)) };
}

test("a page ends at its bytes, holds one letter at least, and shows each once", async () => {
  const { bench, verbs } = await buried(7);
  const pages: number[][] = [];
  for (const bytesMax of [2_500, 1, 2_500, 1e9]) {
    let cursor: string | undefined;
    const sizes: number[] = [];
    const seen: number[] = [];
    do {
      const query = { limit: 5, bytesMax, ...(cursor === undefined ? {} : { cursor }) };
      const page = await bench.run(verbs.deadLetters(stamp, "g", query));
      sizes.push(page.items.length);
      seen.push(...page.items.map(({ offset }) => offset));
      ({ cursor } = page);
    } while (cursor !== undefined);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6]);
    pages.push(sizes);
  }
  expect(pages).toEqual([
    [2, 2, 2, 1],
    [1, 1, 1, 1, 1, 1, 1],
    [2, 2, 2, 1],
    [5, 2],
  ]);
});

test("a redrive by ids puts back just these, in the order of the log", async () => {
  const { bench, verbs, ids } = await buried(5);
  const some = [ids[3] ?? "", ids[1] ?? "", "ml_7_0_z", "nonsense"];
  expect(await bench.run(verbs.redrive(stamp, "g", some))).toEqual({ redriven: 2 });
  expect(await bench.run(verbs.redrive(stamp, "g", some))).toEqual({ redriven: 0 });
  const { items } = await bench.run(verbs.deadLetters(stamp, "g", { limit: 9, bytesMax: 1e9 }));
  expect(items.map(({ offset }) => offset)).toEqual([0, 2, 4]);
});

test("a redrive of all puts back a bounded number a call", async () => {
  const { bench, verbs } = await buried(1_000);
  await bench.run(verbs.send({ stamp, records: records({ body: { json: TEXT } }) }));
  expect(await bench.run(verbs.redrive(stamp, "g"))).toEqual({ redriven: LIMITS.redriveMax });
  expect(await bench.run(verbs.redrive(stamp, "g"))).toEqual({ redriven: 0 });
});
