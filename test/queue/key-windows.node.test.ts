/** Keys and dedup ids across crashes: none is forgotten before its time, whatever row carried it and whatever dropped it. */
import { describe, expect, it } from "vitest";
import { accept } from "../../src/protocol/errors.ts";
import { decide, prepare } from "../../src/queue/deciding.ts";
import { remember } from "../../src/queue/duplicates/dedup.ts";
import { send } from "../../src/queue/sending.ts";
import type { Content } from "../../src/core/record.ts";
import type { SentMessage, Stored } from "../../src/protocol/rpc.ts";
import type { TopicSettings } from "../../src/protocol/topic.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const MINUTE_MS = 60_000;

const keyed = (n: number) => {
  const key = new Uint8Array(16).fill(7);
  new DataView(key.buffer).setUint32(0, n);
  return { key, body: new Uint8Array(8).fill(1) };
};

async function started(settings: Partial<TopicSettings> = {}): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([group("g")], settings), 0));
  return bench;
}

const sendOne = (bench: Bench, content: Partial<Content> = {}, key?: number) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      send(
        bench.queue.store,
        {
          stamp,
          records: records(content),
          ...(key === undefined ? {} : { keyed: keyed(key) }),
        },
        nowMs,
      ),
    ),
  );

/** The message of a send of one that said more than a body. */
const messageOf = ({ stored }: Stored): SentMessage | undefined =>
  "first" in stored ? undefined : stored[0];

const prepareOne = (bench: Bench, content: Partial<Content>) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      prepare(
        bench.queue.store,
        {
          stamp,
          producerGroup: "p",
          check: { timeoutMs: 86_400_000, intervalMs: 86_400_000, maxChecks: 100 },
          records: records(content),
          targets: [{ topic: "orders", incarnation: 7, queue: 0 }],
        },
        nowMs,
      ),
    ),
  );

const rollback = (bench: Bench, position: number) =>
  bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      decide(bench.queue.store, { stamp, position, decision: "rollback", by: "producer" }, nowMs),
    ),
  );

/** A flush that writes a delta and nothing with a key. */
const churn = (bench: Bench, n: number) =>
  bench.run(
    bench.queue.run((nowMs) => {
      bench.queue.store.groups
        .get("g")
        ?.state.rememberAttempt(`a${n}`, { until: nowMs, items: [] }, nowMs);
      return accept(undefined);
    }),
  );

describe("a key is not forgotten", () => {
  it("when its flush is the first after a seal", async () => {
    const bench = await started();
    await prepareOne(bench, { dedupId: "d" });
    const { store } = bench.queue;
    await bench.run(
      bench.queue.run((nowMs) => {
        for (let n = 0; n < 8_192; n++) remember(store, { dedupId: `${n}` }, "x", nowMs);
        return accept(undefined);
      }),
    );
    expect(store.keys.lastMark()).toBeDefined();
    await rollback(bench, 0);
    bench.wake();
    expect(messageOf(await sendOne(bench, { dedupId: "d" }))?.state).toBe("ready");
  });

  it("when retention drops segments in the flush that takes it", async () => {
    const bench = await started({ retentionMs: MINUTE_MS, dedupWindowMs: 60 * MINUTE_MS });
    await sendOne(bench, { dedupId: "old" });
    // Due in the very flush that drops the old segment: it is appended before the key comes.
    await sendOne(bench, { delayMs: 2 * MINUTE_MS });
    await bench.clock.advance(2 * MINUTE_MS);
    const first = await sendOne(bench, {}, 1);
    expect(bench.queue.store.messages.first).toBe(1);
    bench.wake();
    expect(await sendOne(bench, {}, 1)).toEqual({ ...first, replayed: true });
    expect(messageOf(await sendOne(bench, { dedupId: "old" }))?.state).toBe("duplicate");
  });

  it("when the ring turns before anybody asks for a key again", async () => {
    const bench = await started();
    await prepareOne(bench, { dedupId: "d" });
    await rollback(bench, 0);
    bench.wake();
    for (let n = 0; n < 1_100; n++) await churn(bench, n);
    bench.wake();
    expect(messageOf(await sendOne(bench, { dedupId: "d" }))?.state).toBe("ready");
  });

  it("when it came after its own removal, in a row of another table", async () => {
    const bench = await started();
    await prepareOne(bench, { dedupId: "d" });
    await rollback(bench, 0);
    const first = await sendOne(bench, { dedupId: "d" });
    bench.wake();
    expect(messageOf(await sendOne(bench, { dedupId: "d" }))).toMatchObject({
      id: messageOf(first)?.id,
      state: "duplicate",
    });
  });

  it("when an older word on it stands in a row of another table", async () => {
    const bench = await started();
    await prepareOne(bench, { dedupId: "d" });
    await bench.clock.advance(6 * MINUTE_MS);
    const first = await sendOne(bench, { dedupId: "d" });
    bench.wake();
    expect(messageOf(await sendOne(bench, { dedupId: "d" }))?.id).toBe(messageOf(first)?.id);
  });

  it("when the delayed messages that came with it are settled and dropped", async () => {
    const bench = await started({ retentionMs: MINUTE_MS });
    const contents = Array.from({ length: 512 }, () => ({ delayMs: 1_000 }));
    for (let n = 0; n < 8; n++)
      await bench.run(
        bench.queue.stamped(stamp, (nowMs) =>
          send(bench.queue.store, { stamp, records: records(...contents), keyed: keyed(n) }, nowMs),
        ),
      );
    await bench.pass(5 * MINUTE_MS);
    expect(bench.queue.store.delayed.log.first).toBe(4_096);
    bench.wake();
    const again = await bench.run(
      bench.queue.stamped(stamp, (nowMs) =>
        send(bench.queue.store, { stamp, records: records(...contents), keyed: keyed(3) }, nowMs),
      ),
    );
    expect(again.replayed).toBe(true);
  });
});

it("writes no run of keys for a wake alone", async () => {
  const bench = await started();
  for (let n = 0; n < 1_000; n++) await churn(bench, n);
  for (let n = 0; n < 20; n++) {
    await sendOne(bench, {}, n);
    bench.wake();
  }
  expect(bench.sql.exec("SELECT COUNT(*) AS n FROM key_run")[0]?.["n"]).toBe(0);
});

it("frees at a rollback only the dedup id that the transaction itself took", async () => {
  const bench = await started();
  await prepareOne(bench, { dedupId: "d" });
  await bench.clock.advance(6 * MINUTE_MS);
  const first = await sendOne(bench, { dedupId: "d" });
  await rollback(bench, 0);
  expect(messageOf(await sendOne(bench, { dedupId: "d" }))).toMatchObject({
    id: messageOf(first)?.id,
    state: "duplicate",
  });
});
