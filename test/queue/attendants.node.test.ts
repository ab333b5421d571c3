/** A group that pushes is told of when it has something, and of nothing that its pusher must not know. */
import { expect, test } from "vitest";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Facts } from "../../src/queue/storage/facts.ts";
import { Attendants } from "../../src/queue/waiting/attendants.ts";
import { TestSql } from "../kit/sqlite.node.ts";
import { PUSH_DEFAULTS, type PushSettings } from "../../src/protocol/topic.ts";
import { Bench, group, records, route } from "./kit.node.ts";

const push: PushSettings = { ...PUSH_DEFAULTS, url: "https://example.com/" };
const stamp = { incarnation: 7, version: 1 };
const ASK = { stamp, group: "g", maxMessages: 10, invisibleMs: 30_000, waitMs: 0, bytesMax: 1e6 };

async function opened(settings: Parameters<typeof group>[1] = { push }, paused = false) {
  const bench = new Bench();
  await bench.run(bench.queue.configure(route([{ ...group("g", settings), paused }]), 0));
  const verbs = new QueueVerbs(bench.queue);
  const send = (count = 1) =>
    bench.run(
      verbs.send({ stamp, records: records(...Array.from({ length: count }, () => ({}))) }),
    );
  return { bench, verbs, send };
}

test("a pusher is rung when its group gets something, and not again before that was taken", async () => {
  const { bench, verbs, send } = await opened();
  await send();
  await send();
  expect(bench.pushes).toEqual(["g/0"]);
  await bench.run(verbs.receive(ASK));
  await send();
  expect(bench.pushes).toEqual(["g/0", "g/0"]);
});

test("what comes in the same flush behind the receive that left nothing is told of", async () => {
  const { bench, verbs, send } = await opened();
  await send();
  expect(bench.pushes).toHaveLength(1);
  const both = Promise.all([verbs.receive(ASK), verbs.send({ stamp, records: records({}) })]);
  await bench.run(both.then(([received]) => received));
  expect(bench.pushes).toHaveLength(2);
});

test("a ring that was lost is repeated after a second", async () => {
  const { bench, send } = await opened();
  bench.push = () => Promise.reject(new Error("lost"));
  await send();
  bench.push = () => Promise.resolve();
  await bench.clock.advance(1_000);
  expect(bench.pushes).toHaveLength(2);
});

test("[A1] the alarm rings again as long as something is visible, also after a crash", async () => {
  const { bench, send } = await opened();
  await send();
  expect(bench.alarmAt).toBeLessThanOrEqual(bench.clock.nowMs() + 20_000);
  await bench.pass(20_000);
  expect(bench.pushes).toHaveLength(2);
  bench.wake();
  await bench.clock.advance(0);
  expect(bench.pushes, "on wake").toHaveLength(3);
});

/** How many alarms the life of one message arms. */
const alarms = async (settings: Parameters<typeof group>[1]): Promise<number> => {
  const { bench, verbs, send } = await opened(settings);
  let armed = 0;
  let at: number | undefined;
  Object.defineProperty(bench, "alarmAt", {
    get: () => at,
    set: (value: number | undefined) => {
      if (value !== undefined) armed++;
      at = value;
    },
  });
  await send();
  const { receipts } = await bench.run(verbs.receive(ASK));
  await bench.run(verbs.settle({ stamp, group: "g", verb: "ack", receipts }));
  await bench.pass(40_000);
  return armed;
};

test("a lone push arms no more alarms than a lone receive does", async () => {
  expect(await alarms({ push })).toBeLessThanOrEqual(await alarms({}));
});

test("nobody is told of a paused group, of one whose push is disabled, or of one without", async () => {
  const disabled = { at: 1, reason: "http_410" };
  for (const [settings, paused] of [
    [{ push }, true],
    [{ push: { ...push, disabled } }, false],
    [{}, false],
  ] as const) {
    const { bench, send } = await opened(settings, paused);
    await send();
    await bench.pass(60_000);
    expect(bench.pushes).toEqual([]);
  }
});

test("what is released with a delay comes again after it, with the same attempt", async () => {
  const { bench, verbs, send } = await opened();
  await send(2);
  const first = await bench.run(verbs.receive(ASK));
  const { receipts } = first;
  await bench.run(
    verbs.settle({
      stamp,
      group: "g",
      verb: "release",
      receipts: receipts.slice(0, 1),
      delayMs: 500,
    }),
  );
  await bench.run(
    verbs.settle({ stamp, group: "g", verb: "release", receipts: receipts.slice(1) }),
  );
  const second = await bench.run(verbs.receive(ASK));
  expect(second).toMatchObject({ offsets: [1], attempts: [1] });
  await bench.pass(499);
  expect((await bench.run(verbs.receive(ASK))).offsets).toEqual([]);
  await bench.pass(1);
  expect(await bench.run(verbs.receive(ASK))).toMatchObject({ offsets: [0], attempts: [1] });
});

test("[A2] an answer that comes late says nothing of who has come since, however many are on their way", async () => {
  const facts = new Facts(new TestSql());
  const answers: ((isHeard: boolean) => void)[] = [];
  const attendants = new Attendants(
    {
      push: () => Promise.resolve(),
      stream: () => new Promise((resolve) => void answers.push(resolve)),
      streamEnded: () => Promise.resolve(),
    },
    { store: () => ({ facts }), run: (command) => Promise.resolve(command()) },
  );
  const topic = route([group("g")]);
  const [listened = group("g")] = topic.groups;
  attendants.listen(listened.number);
  const told = [0, 1].map(() => attendants.tell(topic, listened, 0));
  answers[0]?.(false);
  await told[0];
  expect(attendants.has(listened)).toBe(false);
  attendants.listen(listened.number);
  answers[1]?.(false);
  await told[1];
  expect(attendants.has(listened)).toBe(true);
});
