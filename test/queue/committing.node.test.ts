/** The answer of a commit whose messages go to other queues. */
import { expect, it } from "vitest";
import { accept, type Outcome } from "../../src/protocol/errors.ts";
import type { DecideCall, Decided, Forwarded } from "../../src/protocol/rpc.ts";
import { prepare } from "../../src/queue/deciding.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const call: DecideCall = {
  stamp,
  position: 0,
  decision: "commit",
  by: "producer",
  keyed: { key: new Uint8Array(16).fill(7), body: new Uint8Array(8).fill(1) },
};

/** A prepared transaction of one message for another topic; `arrive` lets its call be answered. */
async function prepared(): Promise<{ bench: Bench; arrive: () => Promise<void> }> {
  const bench = new Bench();
  const answers: ((outcome: Outcome<Forwarded>) => void)[] = [];
  bench.forward = () => new Promise((resolve) => void answers.push(resolve));
  await bench.run(bench.queue.configure(route(), 0));
  await bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      prepare(
        bench.queue.store,
        {
          stamp,
          producerGroup: "p",
          check: { timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 },
          records: records({}),
          targets: [{ topic: "stock", incarnation: 9, queue: 0 }],
        },
        nowMs,
      ),
    ),
  );
  return {
    bench,
    arrive: async () => {
      answers[0]?.(accept({ taken: 1, placed: [{ offset: 5 }] }));
      await bench.clock.advance(0);
    },
  };
}

const told = async (bench: Bench, promise: Promise<Outcome<Decided>>) => {
  const answers: Outcome<Decided>[] = [];
  void promise.then((outcome) => answers.push(outcome));
  await bench.clock.advance(0);
  return answers;
};

it("the same keyed commit again, while the first waits, waits too and is answered the same", async () => {
  const { bench, arrive } = await prepared();
  const first = await told(bench, bench.queue.decide(call));
  const second = await told(bench, bench.queue.decide(call));
  expect([first, second]).toEqual([[], []]);
  await arrive();
  expect(first).toMatchObject([{ ok: true, value: { repeated: false, replayed: false } }]);
  expect(first).toMatchObject([{ value: { messages: [{ offset: 5 }] } }]);
  expect(second).toMatchObject([{ value: { messages: [{ offset: 5 }], replayed: true } }]);
});

it("a commit stands, and says so, though its topic changes while it waits", async () => {
  const { bench, arrive } = await prepared();
  const first = await told(bench, bench.queue.decide(call));
  await bench.run(
    bench.queue.configure(route([group("g"), group("h", {}, 2)], {}, { version: 2 }), 0),
  );
  await arrive();
  expect(first).toMatchObject([{ ok: true, value: { state: "committed", repeated: false } }]);
});
