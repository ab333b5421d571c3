/** What the queues of a process hold of blocks: bounded for all of them, and not kept by the count of it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { BlockMemory, type HeldBlock } from "../../src/queue/cold/block-memory.ts";

/** A whole collection, now. */
function collect(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what was used longest ago goes first, whosever it is", () => {
  const memory = new BlockMemory(10);
  const dropped: string[] = [];
  const block = (name: string): HeldBlock => ({ drop: () => void dropped.push(name) });
  const [a, b, c] = [block("a"), block("b"), block("c")];
  memory.hold(a, 5);
  memory.hold(b, 5);
  memory.used(a);
  memory.hold(c, 5);
  expect([dropped, memory.bytes]).toEqual([["b"], 10]);
  memory.release(a);
  memory.release(a);
  expect(memory.bytes).toBe(5);
});

test("the blocks of a queue that is gone go with it, and drive nobody else's out", async () => {
  const memory = new BlockMemory(10);
  const dropped: string[] = [];
  const mine: HeldBlock = { drop: () => void dropped.push("mine") };
  memory.hold(mine, 4);
  const gone = (() => {
    const block: HeldBlock = { drop: () => void dropped.push("gone") };
    memory.hold(block, 6);
    return new WeakRef(block);
  })();
  // What was looked at through a weak reference stays for the turn.
  await turn();
  collect();
  expect(gone.deref()).toBeUndefined();
  const other: HeldBlock = { drop: () => void dropped.push("other") };
  memory.hold(other, 6);
  expect([dropped, memory.bytes]).toEqual([[], 10]);
  memory.release(mine);
});
