/** Links between queues: exactly once and in order, across crashes, lost answers and the growth of the target topic. */
import { describe, expect, it } from "vitest";
import { sentBy } from "../../src/core/message.ts";
import { encodeEntry } from "../../src/core/entry.ts";
import { encodeRecord, frame, unframe, type Content } from "../../src/core/record.ts";
import { accept, type Outcome } from "../../src/protocol/errors.ts";
import type { ForwardCall, Forwarded, Located, TopicRoute } from "../../src/protocol/rpc.ts";
import { prepare } from "../../src/queue/deciding.ts";
import { view } from "../../src/queue/halves/transaction-view.ts";
import { locate, recall, retime } from "../../src/queue/reading/finding.ts";
import { send, takeForwarded } from "../../src/queue/sending.ts";
import { queueOfWord } from "../../src/core/route.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const stamp = { incarnation: 7, version: 1 };
const HOME = "default/orders/0#7";

const wordOf = (owner: number, queues: number): string => {
  for (let n = 0; ; n++) if (queueOfWord(`w${n}`, queues) === owner) return `w${n}`;
};

/** Belongs to queue 0 of one, and to this one of four. */
const moved = wordOf(2, 4);
const stays = wordOf(0, 4);

const stock = (more: Partial<TopicRoute> = {}): TopicRoute =>
  route([group("g")], {}, { topic: "stock", incarnation: 9, ...more });
const grownStock = (): TopicRoute => {
  const { settings, ...rest } = stock({ version: 2, growths: [{ from: 1, to: 4, at: 0 }] });
  return { ...rest, settings: { ...settings, queues: 4 } };
};

async function at(topic: TopicRoute, queue = 0): Promise<Bench> {
  const bench = new Bench();
  await bench.run(bench.queue.configure(topic, queue));
  return bench;
}

const entry = (n: number, messageGroup: string, more: { deliverAt?: number } = {}): Uint8Array =>
  encodeEntry({
    id: `id${n}`,
    sentAt: n,
    transactionId: "t",
    ...more,
    record: encodeRecord({ body: { json: String(n) }, messageGroup }),
  });

const take = (bench: Bench, first: number, ...entries: Uint8Array[]): Promise<Forwarded> =>
  bench.run(
    bench.queue.run((nowMs) =>
      takeForwarded(
        bench.queue.store,
        { home: HOME, incarnation: 9, first, entries: frame(entries) },
        nowMs,
      ),
    ),
  );

const commit = async (bench: Bench, queue: number, ...contents: Partial<Content>[]) => {
  const { store } = bench.queue;
  const position = store.halves.log.next;
  await bench.run(
    bench.queue.stamped(stamp, (nowMs) =>
      prepare(
        store,
        {
          stamp,
          producerGroup: "p",
          check: { timeoutMs: 6_000, intervalMs: 30_000, maxChecks: 15 },
          records: records(...contents),
          targets: contents.map(() => ({ topic: "stock", incarnation: 9, queue })),
        },
        nowMs,
      ),
    ),
  );
  void bench.queue.decide({ stamp, position, decision: "commit", by: "producer" });
  await bench.clock.advance(0);
  return position;
};

/** Connects a home to targets that it forwards to; a call whose answer is lost is still taken. */
const connect = (home: Bench, targets: readonly Bench[], lose: () => boolean = () => false) => {
  home.forward = async (target, call: ForwardCall): Promise<Outcome<Forwarded>> => {
    const bench = targets[target.queue];
    if (bench === undefined) throw new Error("no such queue");
    const answer = await bench.run(
      bench.queue.run((nowMs) => takeForwarded(bench.queue.store, call, nowMs)),
    );
    if (lose()) throw new Error("the answer is lost");
    return accept(answer);
  };
};

const bodiesOf = (bench: Bench): string[] => {
  const { messages } = bench.queue.store;
  return Array.from({ length: messages.next }, (_, offset) =>
    new TextDecoder().decode(messages.look(offset)?.entry).replaceAll(/[^n0-9:{}"]/g, ""),
  ).map((text) => /\{"n":(\d+)\}/.exec(text)?.[1] ?? text);
};

describe("a queue that takes what is forwarded", () => {
  it("takes each number once, in order, and knows the places again after it woke", async () => {
    const target = await at(stock());
    expect(await take(target, 2, entry(2, stays))).toEqual({ taken: 0, placed: [] });
    const first = await take(target, 1, entry(1, stays), entry(2, stays, { deliverAt: 9e12 }));
    expect(first).toEqual({
      taken: 2,
      placed: [{ offset: 0 }, { delayed: 0, deliverAt: 9e12 }],
    });
    target.wake();
    expect(await take(target, 1, entry(1, stays), entry(2, stays), entry(3, stays))).toEqual({
      taken: 3,
      placed: [...first.placed, { offset: 1 }],
    });
    expect(target.queue.store.messages.next).toBe(2);
  });

  it("stops at the first message whose group moved, and says whose the rest is", async () => {
    const target = await at(stock());
    await target.run(target.queue.configure(grownStock(), 0));
    const entries = [entry(1, stays), entry(2, moved), entry(3, stays)];
    const answer = { taken: 1, placed: [{ offset: 0 }], owners: [2, 0] };
    expect(await take(target, 1, ...entries)).toEqual(answer);
    target.wake();
    expect(await take(target, 1, ...entries)).toEqual(answer);
    // The number is emptied; what came before it late is not taken for something else.
    const nothing = new Uint8Array();
    expect(await take(target, 2, nothing, entry(3, stays))).toEqual({
      taken: 3,
      placed: [{}, { offset: 1 }],
    });
    expect((await take(target, 1, ...entries)).taken).toBe(3);
    expect(target.queue.store.messages.next).toBe(2);
  });
});

describe("a queue that forwards", () => {
  it("sends what a growth moved to its new queue, once, and says where it stands", async () => {
    const home = await at(route());
    const targets = [await at(stock()), await at(grownStock(), 1), await at(grownStock(), 2)];
    await targets[0]?.run(targets[0].queue.configure(grownStock(), 0));
    let losses = 2;
    connect(home, targets, () => losses-- > 0);
    const contents = [moved, stays, moved, stays].map((messageGroup) => ({ messageGroup }));
    const position = await commit(home, 0, ...contents);
    await home.pass(60_000);
    home.wake();
    await home.pass(60_000);
    expect(targets.map((target) => bodiesOf(target))).toEqual([["1", "3"], [], ["0", "2"]]);
    const messages = view(home.queue.store, position)?.messages;
    expect(messages?.map(({ queue, offset }) => [queue, offset])).toEqual([
      [2, 0],
      [0, 0],
      [2, 1],
      [0, 1],
    ]);
    expect(home.queue.store.links.pending).toBe(0);
  });

  it("keeps a message group in order though its earlier messages wait for the former queue", async () => {
    const home = await at(route());
    const targets = [await at(stock()), await at(grownStock(), 1), await at(grownStock(), 2)];
    await commit(home, 0, { body: { json: '{"n":1}' }, messageGroup: moved });
    // The first call is out and never comes back; by now the home's producers know the grown topic.
    await targets[0]?.run(targets[0].queue.configure(grownStock(), 0));
    await commit(home, 2, { body: { json: '{"n":2}' }, messageGroup: moved });
    home.wake();
    connect(home, targets);
    await home.pass(120_000);
    expect(targets.map((target) => bodiesOf(target))).toEqual([[], [], ["1", "2"]]);
  });

  it("sends again what was not answered in its time, without waking all the while", async () => {
    const home = await at(route());
    await commit(home, 0, { messageGroup: stays });
    expect(home.forwards).toHaveLength(1);
    let alarms = 0;
    for (; alarms < 100 && home.clock.nowMs() < 1_000_000 + 95_000; alarms++) {
      await home.clock.advance(Math.max(0, (home.alarmAt ?? Infinity) - home.clock.nowMs()));
      home.alarmAt = undefined;
      void home.queue.alarm();
      await home.clock.advance(0);
    }
    expect(alarms).toBeLessThan(10);
    expect(home.forwards.map(({ call }) => call.first)).toEqual([1, 1, 1, 1, 1]);
  });

  it("takes no notice of an answer that comes after its time", async () => {
    const home = await at(route());
    const target = await at(stock());
    const late: (() => void)[] = [];
    home.forward = (_target, call) =>
      new Promise((resolve) => {
        late.push(
          () =>
            void target
              .run(target.queue.run((nowMs) => takeForwarded(target.queue.store, call, nowMs)))
              .then((value) => resolve(accept(value))),
        );
      });
    await commit(home, 0, { messageGroup: stays }, { messageGroup: stays });
    await home.pass(40_000);
    await commit(home, 0, { messageGroup: stays });
    for (const answer of [late[1], late[0]]) {
      answer?.();
      await target.clock.advance(0);
      await home.clock.advance(0);
    }
    late.at(-1)?.();
    await target.clock.advance(0);
    await home.pass(1_000);
    expect(target.queue.store.messages.next).toBe(3);
    expect(home.queue.store.links.pending).toBe(0);
  });

  it("takes each place for its own message when an older call is answered after a longer one was taken", async () => {
    const home = await at(route());
    const target = await at(stock());
    const calls: { run: () => Promise<void>; answer: () => void }[] = [];
    home.forward = (_target, call) =>
      new Promise((resolve) => {
        let taken: Forwarded | undefined;
        const { store } = target.queue;
        calls.push({
          run: async () => {
            taken = await target.run(
              target.queue.run((nowMs) => takeForwarded(store, call, nowMs)),
            );
          },
          answer: () => taken !== undefined && resolve(accept(taken)),
        });
      });
    const first = await commit(home, 0, { messageGroup: stays }, { messageGroup: stays });
    const second = await commit(home, 0, { messageGroup: stays });
    await home.pass(31_000);
    const [short, long] = calls;
    await long?.run();
    await short?.run();
    for (const call of [short, long]) {
      call?.answer();
      await home.clock.advance(0);
    }
    const offsets = (position: number) =>
      view(home.queue.store, position)?.messages.map(({ offset }) => offset);
    expect([offsets(first), offsets(second)]).toEqual([[0, 1], [2]]);
  });

  it("tells of a message whose topic is gone", async () => {
    const home = await at(route());
    home.forward = () =>
      Promise.resolve({ ok: false, code: "topic_not_found", detail: "", facts: {} } as never);
    const position = await commit(home, 0, { messageGroup: stays });
    await home.pass(1_000);
    expect(view(home.queue.store, position)?.messages[0]).toMatchObject({ undeliverable: true });
    expect(home.logged.map(({ event }) => event)).toContain("message.undeliverable");
  });
});

const where = (bench: Bench, id: string): Promise<Located> =>
  bench.run(bench.queue.run((nowMs) => locate(bench.queue.store, { stamp, id }, nowMs)));

describe("a message that another queue took", () => {
  it("is found by its id, and recalled or re-timed there while it waits", async () => {
    const [home, target] = [await at(route()), await at(stock())];
    connect(home, [target]);
    const position = await commit(
      home,
      0,
      { delayMs: 5_000, messageGroup: stays },
      { delayMs: 60_000, messageGroup: stays },
    );
    await home.pass(1_000);
    const [first, second] = view(home.queue.store, position)?.messages ?? [];
    if (first === undefined || second === undefined) throw new Error("no messages");
    const place = await where(home, first.id);
    expect(place).toEqual({
      is: "elsewhere",
      topic: "stock",
      incarnation: 9,
      queue: 0,
      at: { delayed: 0 },
    });
    const other = { stamp, id: second.id, at: { delayed: 1 } };
    const { store } = target.queue;
    await target.run(target.queue.run((nowMs) => retime(store, other, nowMs + 10_000, nowMs)));
    await expect(
      target.run(target.queue.run((nowMs) => recall(store, { ...other, id: first.id }, nowMs))),
    ).rejects.toMatchObject({ code: "message_not_found" });
    await target.pass(5_000);
    expect(store.messages.next).toBe(1);
    await expect(
      target.run(
        target.queue.run((nowMs) =>
          recall(store, { stamp, id: first.id, at: { delayed: 0 } }, nowMs),
        ),
      ),
    ).rejects.toMatchObject({ code: "already_delivered" });
    await target.pass(5_000);
    expect(store.messages.next).toBe(2);
  });

  it("keeps its id when a growth sends it on at its time, and is found there", async () => {
    const queue = await at(stock());
    const next = await at(grownStock(), 2);
    connect(queue, [queue, next, next]);
    const sent = await queue.run(
      queue.queue.run((nowMs) =>
        send(
          queue.queue.store,
          {
            stamp: { incarnation: 9, version: 1 },
            records: records({ delayMs: 1_000, messageGroup: moved }),
          },
          nowMs,
        ),
      ),
    );
    const id = sentBy(9, 0, sent).messages[0]?.id ?? "";
    await queue.run(queue.queue.configure(grownStock(), 0));
    await queue.pass(5_000);
    expect(await where(queue, id)).toEqual({
      is: "elsewhere",
      topic: "stock",
      incarnation: 9,
      queue: 2,
      at: { offset: 0 },
    });
    queue.wake();
    expect(await where(queue, id)).toMatchObject({ queue: 2, at: { offset: 0 } });
    const call = { stamp, id, at: { offset: 0 } };
    expect(
      await next.run(next.queue.run((nowMs) => locate(next.queue.store, call, nowMs))),
    ).toEqual({ is: "here" });
  });
});

const sendTo = (bench: Bench, version: number, delayMs: number) =>
  bench.run(
    bench.queue.run((nowMs) =>
      send(
        bench.queue.store,
        {
          stamp: { incarnation: 9, version },
          records: records({ delayMs, messageGroup: moved, dedupId: "d" }),
        },
        nowMs,
      ),
    ),
  );

it("a delayed message that a growth sends on is no duplicate of a younger one there", async () => {
  const queue = await at(stock());
  const next = await at(grownStock(), 2);
  connect(queue, [queue, next, next]);
  await sendTo(queue, 1, 600_000);
  await queue.run(queue.queue.configure(grownStock(), 0));
  // Past the window, so it is taken; and it is the first that this queue knows of.
  await next.pass(595_000);
  await sendTo(next, 2, 0);
  await queue.pass(605_000);
  expect(next.queue.store.messages.next).toBe(2);
});

// Frames of calls are what a target reads.
it("an empty entry survives its frame", () => {
  expect(
    unframe(frame([new Uint8Array(), new Uint8Array([1])])).map(({ length }) => length),
  ).toEqual([0, 1]);
});
