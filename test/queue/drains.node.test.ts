/** Order across a growth: who took slots over is told, until it has heard, that their former queue has finished. */
import { expect, it } from "vitest";
import { accept } from "../../src/protocol/errors.ts";
import type { Growth } from "../../src/protocol/rpc.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Bench, group, route } from "./kit.node.ts";

const ordered = group("g", { ordered: true });
const grown = (...growths: Growth[]) =>
  route([ordered], { queues: growths.at(-1)?.to ?? 1 }, { version: growths.length + 1, growths });
const FIRST: Growth = { from: 1, to: 2, at: 0 };
const SECOND: Growth = { from: 2, to: 4, at: 0 };

async function at(queue: number, ...growths: Growth[]): Promise<Bench> {
  const bench = new Bench();
  for (let known = 0; known <= growths.length; known++)
    if (queue < (growths[known - 1]?.to ?? 1))
      await bench.run(bench.queue.configure(grown(...growths.slice(0, known)), queue));
  await bench.clock.advance(0);
  return bench;
}

it("tells each new queue until it has heard, and does not tell it again after waking", async () => {
  const bench = new Bench();
  const answers: (() => Promise<boolean>)[] = [
    () => Promise.reject(new Error("lost")),
    () => Promise.resolve(false),
    () => new Promise(() => {}),
    () => Promise.resolve(true),
  ];
  bench.drained = () => (answers.shift() ?? (() => Promise.resolve(true)))();
  await bench.run(bench.queue.configure(grown(), 0));
  await bench.run(bench.queue.configure(grown(FIRST), 0));
  await bench.pass(60_000);
  expect(bench.drains).toEqual(Array.from({ length: 4 }, () => ({ group: 1, from: 0, to: 1 })));
  bench.wake();
  await bench.pass(60_000);
  expect(bench.drains).toHaveLength(4);
});

it("tells of a fence only when it waits for no earlier owner itself", async () => {
  const bench = await at(1, FIRST, SECOND);
  expect(bench.drains).toEqual([]);
  await bench.run(
    bench.queue.run(() => {
      bench.queue.store.groups.get("g")?.releaseHeld(0);
      return accept(undefined);
    }),
  );
  await bench.clock.advance(0);
  expect(bench.drains).toEqual([
    { group: 1, from: 1, to: 2 },
    { group: 1, from: 1, to: 3 },
  ]);
});

it("says whether it knows the group whose former queue has finished", async () => {
  const bench = await at(1, FIRST);
  const verbs = new QueueVerbs(bench.queue);
  const answers: boolean[] = [];
  for (const number of [1, 2])
    void verbs
      .drained({ incarnation: 7, group: number, from: 0 })
      .then((heard) => answers.push(heard));
  await bench.clock.advance(0);
  expect(answers).toEqual([true, false]);
  expect(bench.queue.store.groups.get("g")?.state.drainedFrom).toEqual(new Set([0]));
});
