/** Dedup ids across half messages: what is accepted is delivered once, however the transactions end that held its id. */
import { describe, expect, it } from "vitest";
import { decodeEntry, encodeEntry } from "../../src/core/entry.ts";
import { encodeRecord, frame, readRecordHead, type Content } from "../../src/core/record.ts";
import { sentBy } from "../../src/core/message.ts";
import { accept } from "../../src/protocol/errors.ts";
import type { Decision } from "../../src/protocol/rpc.ts";
import { prepare } from "../../src/queue/deciding.ts";
import { duplicates, send, takeForwarded } from "../../src/queue/sending.ts";
import { view } from "../../src/queue/halves/transaction-view.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const MINUTE_MS = 60_000;
const WINDOW_MS = 5 * MINUTE_MS;
const COME_BACK_MS = 1_000;
const NEVER = { timeoutMs: 24 * 60 * MINUTE_MS, intervalMs: MINUTE_MS, maxChecks: 100 };
const NO_CHECKS = { timeoutMs: 100, intervalMs: 100, maxChecks: 1 };

async function started(): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g")]), 0));
  return bench;
}

const sendOne = async (bench: Bench, content: Partial<Content>) => {
  const stored = await bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(bench.queue.store, { stamp, records: records(content) }, nowMs),
    ),
  );
  return sentBy(7, 0, stored).messages[0];
};

const prepareAll = (bench: Bench, contents: readonly Partial<Content>[], check = NEVER) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      prepare(
        bench.queue.store,
        {
          stamp,
          producerGroup: "p",
          check,
          records: records(...contents),
          targets: contents.map(() => ({ topic: "orders", incarnation: 7, queue: 0 })),
        },
        nowMs,
      ),
    ),
  );

const decide = (bench: Bench, position: number, decision: Decision) =>
  bench.run(bench.queue.decide({ stamp, position, decision, by: "producer" }));

let forwarded = 0;
const forward = (bench: Bench, dedupId: string) => {
  const entry = encodeEntry({
    id: `mh_9_1_${forwarded.toString(36)}_0`,
    sentAt: 1,
    transactionId: "t",
    record: encodeRecord({ body: { json: "1" }, dedupId }),
  });
  const call = {
    home: `default/stock/${forwarded++}#9`,
    incarnation: 7,
    first: 1,
    entries: frame([entry]),
  };
  return bench.run(bench.queue.run((nowMs) => takeForwarded(bench.queue.store, call, nowMs)));
};

/** Ids of what is in the log, by dedup id; absent ids are those that follow from their offset. */
const delivered = (bench: Bench): Map<string | undefined, (string | undefined)[]> => {
  const { messages } = bench.queue.store;
  const found = new Map<string | undefined, (string | undefined)[]>();
  for (let offset = 0; offset < messages.next; offset++) {
    const entry = decodeEntry(messages.look(offset)?.entry ?? new Uint8Array());
    const { dedupId } = readRecordHead(entry.record);
    found.set(dedupId, [...(found.get(dedupId) ?? []), entry.id]);
  }
  return found;
};

type Step = "send" | "prepare" | "forward" | `${"commit" | "rollback"} ${number}`;

/** Every order in which an id can be sent, forwarded, and prepared and decided up to so many times. */
function* plans(steps: number, prepares: number): Generator<readonly Step[]> {
  function* grown(plan: readonly Step[], open: readonly number[]): Generator<readonly Step[]> {
    if (plan.length === steps) return yield plan;
    const made = plan.filter((step) => step === "prepare").length;
    yield* grown([...plan, "send"], open);
    if (!plan.includes("forward")) yield* grown([...plan, "forward"], open);
    if (made < prepares) yield* grown([...plan, "prepare"], [...open, made]);
    for (const each of open) {
      const left = open.filter((other) => other !== each);
      yield* grown([...plan, `commit ${each}`], left);
      yield* grown([...plan, `rollback ${each}`], left);
    }
  }
  yield* grown([], []);
}

/** Runs a plan with an id of its own, then rolls back what is still open. Answers whether anything was accepted. */
async function play(bench: Bench, plan: readonly Step[], dedupId: string, between: () => unknown) {
  const positions: number[] = [];
  let accepted = false;
  for (const step of plan) {
    const [what, index = "0"] = step.split(" ");
    const position = positions[Number(index)] ?? -1;
    if (what === "prepare") {
      positions.push(bench.queue.store.halves.log.next);
      await prepareAll(bench, [{ dedupId }]);
    } else if (what === "send") await sendOne(bench, { dedupId });
    else if (what === "forward") await forward(bench, dedupId);
    else await decide(bench, position, what === "commit" ? "commit" : "rollback");
    if (what !== "prepare" && what !== "rollback") accepted = true;
    await between();
  }
  for (const position of positions)
    if (bench.queue.store.halves.stateOf(position) === "prepared")
      await decide(bench, position, "rollback");
  return accepted;
}

describe("[U1] of what is sent or committed with a dedup id", () => {
  it.each([
    ["in one waking", () => () => {}],
    ["waking anew after every step", (bench: Bench) => () => bench.wake()],
  ])(
    "exactly one message is delivered, in every order of events, %s",
    async (_name, between) => {
      const all = [...plans(5, 2)];
      expect(all.length).toBeGreaterThan(400);
      // A queue of its own for every few, so that none has much to wake.
      for (let from = 0; from < all.length; from += 16) {
        const bench = await started();
        const expected = new Map<string, number>();
        for (const plan of all.slice(from, from + 16)) {
          const accepted = await play(bench, plan, plan.join(", "), between(bench));
          expected.set(plan.join(", "), accepted ? 1 : 0);
        }
        await bench.pass(COME_BACK_MS);
        const found = delivered(bench);
        const wrong = [...expected].filter(([id, count]) => (found.get(id)?.length ?? 0) !== count);
        expect(wrong).toEqual([]);
        expect(bench.queue.store.delayed.count).toBe(0);
      }
    },
    120_000,
  );

  it("at least one is delivered, however long each step takes", async () => {
    const bench = await started();
    const expected = new Map<string, boolean>();
    for (const plan of plans(4, 2)) {
      const dedupId = `${expected.size} ${plan.join(", ")}`;
      const pause = () => bench.pass(WINDOW_MS);
      expected.set(dedupId, await play(bench, plan, dedupId, pause));
    }
    await bench.pass(COME_BACK_MS);
    const found = delivered(bench);
    expect([...expected].filter(([id, some]) => found.has(id) !== some)).toEqual([]);
    expect(bench.queue.store.delayed.count).toBe(0);
  }, 60_000);
});

describe("a message that stands by for a half message", () => {
  it("is answered as its duplicate, and is delivered in its place when that is rolled back", async () => {
    const bench = await started();
    const { messageIds } = await prepareAll(bench, [{ dedupId: "d" }]);
    expect(await sendOne(bench, { dedupId: "d" })).toEqual({
      id: messageIds[0],
      queue: 0,
      state: "duplicate",
    });
    await bench.pass(1_000);
    expect(delivered(bench).size).toBe(0);
    await decide(bench, 0, "rollback");
    await bench.pass(COME_BACK_MS);
    expect(delivered(bench).get("d")).toEqual(["md_7_0_0"]);
    expect(await sendOne(bench, { dedupId: "d" })).toMatchObject({
      id: "md_7_0_0",
      state: "duplicate",
    });
  });

  it("gives way to what is sent in the second after the rollback", async () => {
    const bench = await started();
    await prepareAll(bench, [{ dedupId: "d" }]);
    await sendOne(bench, { dedupId: "d" });
    await decide(bench, 0, "rollback");
    await bench.pass(COME_BACK_MS - 1);
    expect(await sendOne(bench, { dedupId: "d" })).toMatchObject({
      id: "ml_7_0_0",
      state: "ready",
    });
    await bench.pass(COME_BACK_MS);
    expect(delivered(bench).get("d")).toHaveLength(1);
    expect(bench.queue.store.delayed.count).toBe(0);
  });

  it("keeps its delay, counted from when it was sent", async () => {
    const bench = await started();
    await prepareAll(bench, [{ dedupId: "d" }]);
    await sendOne(bench, { dedupId: "d", delayMs: 60_000 });
    await bench.pass(20_000);
    await decide(bench, 0, "rollback");
    await bench.pass(39_999);
    expect(delivered(bench).size).toBe(0);
    await bench.pass(1);
    expect(delivered(bench).get("d")).toHaveLength(1);
  });

  it("is delivered when the half message is discarded, and what is resumed is its duplicate", async () => {
    const bench = await started();
    await prepareAll(bench, [{ dedupId: "d" }], NO_CHECKS);
    await sendOne(bench, { dedupId: "d" });
    await bench.pass(100);
    await bench.run(
      bench.queue.run((nowMs) => {
        const open = bench.queue.store.halves.open.get(0);
        if (open !== undefined) bench.queue.store.halves.checkBegun(open, nowMs + 100, 0);
        return accept(undefined);
      }),
    );
    await bench.pass(10_000);
    expect(bench.queue.store.halves.stateOf(0)).toBe("discarded");
    expect(delivered(bench).get("d")).toEqual(["md_7_0_0"]);
    await decide(bench, 0, "resume");
    const { messages } = await decide(bench, 0, "commit");
    expect(messages).toEqual([{ id: "md_7_0_0", queue: 0 }]);
    expect(delivered(bench).get("d")).toHaveLength(1);
  });

  it("waits on, when its half message ends after the window and another one holds the id by then", async () => {
    const bench = await started();
    await prepareAll(bench, [{ dedupId: "d" }]);
    await sendOne(bench, { dedupId: "d" });
    await bench.pass(WINDOW_MS);
    await prepareAll(bench, [{ dedupId: "d" }]);
    await decide(bench, 0, "rollback");
    bench.wake();
    await bench.pass(COME_BACK_MS);
    expect(delivered(bench).size).toBe(0);
    await decide(bench, 1, "rollback");
    await bench.pass(COME_BACK_MS);
    expect(delivered(bench).get("d")).toEqual(["md_7_0_0"]);
  });
});

describe("a transaction whose dedup id another one holds", () => {
  it("is told the first id at its prepare, and takes the id over by its commit", async () => {
    const bench = await started();
    const first = await prepareAll(bench, [{ dedupId: "d" }]);
    const second = await prepareAll(bench, [{ dedupId: "d" }]);
    expect(second.messageIds).toEqual(first.messageIds);
    expect((await decide(bench, 1, "commit")).messages).toEqual([
      { id: "mh_7_0_1_0", queue: 0, offset: 0 },
    ]);
    expect((await decide(bench, 0, "commit")).messages).toEqual([{ id: "mh_7_0_1_0", queue: 0 }]);
    expect(view(bench.queue.store, 0)?.messages).toEqual([{ id: "mh_7_0_1_0", queue: 0 }]);
  });

  it("stays the duplicate of one that was committed before it, also after the window", async () => {
    const bench = await started();
    await prepareAll(bench, [{ dedupId: "d" }]);
    await prepareAll(bench, [{ dedupId: "d" }]);
    await decide(bench, 0, "commit");
    await bench.pass(WINDOW_MS);
    expect((await decide(bench, 1, "commit")).messages).toEqual([{ id: "mh_7_0_0_0", queue: 0 }]);
  });

  it("has one message of two with the same id", async () => {
    const bench = await started();
    await prepareAll(bench, [{ dedupId: "d" }, { dedupId: "d" }]);
    const { messages } = await decide(bench, 0, "commit");
    expect(messages.map(({ id }) => id)).toEqual(["mh_7_0_0_0", "mh_7_0_0_0"]);
    expect(delivered(bench).get("d")).toHaveLength(1);
  });
});

it("a former queue tells of what was accepted, not of what is only held", async () => {
  const bench = await started();
  await prepareAll(bench, [{ dedupId: "held" }]);
  await sendOne(bench, { dedupId: "had" });
  const answer = await bench.run(
    bench.queue.run((nowMs) =>
      accept(duplicates(bench.queue.store, [{ dedupId: "held" }, { dedupId: "had" }], nowMs)),
    ),
  );
  expect(answer).toEqual([undefined, { id: "ml_7_0_0", queue: 0, offset: 0, state: "duplicate" }]);
});
