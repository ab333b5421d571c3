/**
 * The budgets that no machine can change: rows, bytes and object calls, counted in an invented world. Each question answers
 * its figures beside their budgets; none of them reads a clock that turns.
 */
import { CONNECTIONS } from "../kit/load.ts";
import { ack, prepareAndCommit, receive, send, sendDelayed } from "./verbs.ts";
import { World } from "./world.ts";

/** A disk as slow as Cloudflare's; a fast one is measured by the other benches. */
const COMMIT_MS = 10;
const ROUNDS = 60;
const YEAR_MS = 365 * 24 * 3_600_000;

export interface Budget {
  readonly what: string;
  readonly figure: number;
  readonly atMost: number;
  /** A budget that is missed so far must not be missed by more than this. */
  readonly heldAt?: number;
}

export const isMet = ({ figure, atMost }: Budget): boolean => figure <= atMost;
export const isHeld = ({ figure, atMost, heldAt = atMost }: Budget): boolean => figure <= heldAt;

type Question = () => Promise<readonly Budget[]>;

const wholeLife: Question = async () => {
  const world = await World.open({ commitMs: COMMIT_MS });
  world.startCounting();
  await world.closedLoop(CONNECTIONS, ROUNDS, async () => {
    await send(world);
    await ack(world, await receive(world, 1));
  });
  const { rowsWritten, calls, flushes, bytesWritten } = world.counts;
  const messages = CONNECTIONS * ROUNDS;
  return [
    { what: "rows, whole life, 64 clients", figure: rowsWritten / messages, atMost: 0.1 },
    { what: "flushes, whole life, 64 clients", figure: flushes / messages, atMost: 0.1 },
    { what: "bytes, whole life of 256 bytes", figure: bytesWritten / messages, atMost: 600 },
    { what: "object calls, whole life", figure: calls / messages, atMost: 3 },
  ];
};

const manyQueues: Question = async () => {
  const world = await World.open({ queues: 8, commitMs: COMMIT_MS });
  world.startCounting();
  await world.closedLoop(CONNECTIONS, ROUNDS, async () => {
    await send(world);
    const receipts = await receive(world, 1, 20_000);
    if (receipts.length > 0) await ack(world, receipts);
  });
  const messages = CONNECTIONS * ROUNDS;
  const { rowsWritten, calls } = world.counts;
  return [
    { what: "rows, whole life over 8 queues", figure: rowsWritten / messages, atMost: 0.6 },
    { what: "object calls, same", figure: calls / messages, atMost: 4 },
  ];
};

const openLoop =
  (perSecond: number, atMost: number): Question =>
  async () => {
    const world = await World.open({ commitMs: COMMIT_MS });
    world.startCounting();
    const messages = perSecond * 20;
    const sent: Promise<void>[] = [];
    const arrive = async (): Promise<void> => {
      for (let count = 0; count < messages; count++) {
        await world.clock.pause((-Math.log(1 - world.random()) * 1_000) / perSecond);
        sent.push(send(world));
      }
      await Promise.all(sent);
    };
    await world.run(arrive());
    const figure = world.counts.rowsWritten / messages;
    return [{ what: `rows per send at ${perSecond}/s`, figure, atMost }];
  };

const randomAcks: Question = async () => {
  const world = await World.open({ commitMs: COMMIT_MS });
  const leased = 131_072;
  const receipts: string[] = [];
  await world.closedLoop(1, leased / 1_024, () => send(world, 1_024));
  await world.closedLoop(16, leased / 64 / 16, async () => {
    receipts.push(...(await receive(world, 64)));
  });
  for (let at = receipts.length - 1; at > 0; at--) {
    const other = Math.floor(world.random() * (at + 1));
    const moved = receipts[at] ?? "";
    receipts[at] = receipts[other] ?? "";
    receipts[other] = moved;
  }
  world.startCounting();
  const acks = 32_768;
  await world.closedLoop(CONNECTIONS, acks / CONNECTIONS, () => ack(world, [receipts.pop() ?? ""]));
  const { rowsWritten, bytesWritten } = world.counts;
  return [
    { what: "rows per ack at random among 131,072", figure: rowsWritten / acks, atMost: 0.1 },
    { what: "bytes per ack at random among 131,072", figure: bytesWritten / acks, atMost: 200 },
  ];
};

const delayed: Question = async () => {
  const world = await World.open({ commitMs: COMMIT_MS });
  world.startCounting();
  await world.closedLoop(CONNECTIONS, ROUNDS * 2, () =>
    sendDelayed(world, world.clock.nowMs() + Math.floor(world.random() * YEAR_MS)),
  );
  const figure = world.counts.rowsWritten / (CONNECTIONS * ROUNDS * 2);
  return [{ what: "rows per delayed send, due within a year", figure, atMost: 0.1 }];
};

const retention: Question = async () => {
  const world = await World.open({ settings: { retentionMs: 60_000 } });
  const segments = 5_000;
  await world.closedLoop(1, segments, () => send(world));
  world.startCounting();
  await world.run(world.clock.pause(180_000));
  // The last message of the warm-up goes with them; a sweep's own rows do not grow with what it expires.
  const { rowsWritten, flushes } = world.counts;
  const figure = (rowsWritten - 3 * flushes) / segments;
  return [{ what: "rows per segment expired, beside 3 of its sweep", figure, atMost: 1 }];
};

const objectCalls: Question = async () => {
  const world = await World.open({ queues: 64 });
  for (let queue = 0; queue < 64; queue++) {
    const messageGroup = world.wordOf(queue);
    await world.closedLoop(1, 1, () => send(world, 40, { messageGroup }));
  }
  world.startCounting();
  const receipts = await world.run(receive(world, 16));
  const fullBatch = world.counts.calls;
  if (receipts.length !== 16) throw new Error(`a batch of ${receipts.length} is not full`);
  const empty = await World.open({ queues: 64 });
  // What rang while the world was opened is no news by then.
  await empty.run(empty.clock.pause(1_000));
  empty.startCounting();
  const poll = receive(empty, 16, 20_000);
  await empty.run(empty.clock.pause(10_000));
  const held = empty.counts.open;
  await empty.run(poll);
  return [
    { what: "object calls, full batch from 64 queues", figure: fullBatch, atMost: 3 },
    {
      what: "object calls, empty 20 s poll over 64 queues",
      figure: empty.counts.calls,
      atMost: 66,
    },
    { what: "object calls held open by that poll", figure: held, atMost: 1 },
  ];
};

const transactions: Question = async () => {
  const world = await World.open({ commitMs: COMMIT_MS });
  world.startCounting();
  await world.closedLoop(CONNECTIONS, ROUNDS, async () => {
    await prepareAndCommit(world);
    await ack(world, await receive(world, 1));
  });
  const messages = CONNECTIONS * ROUNDS;
  return [
    {
      what: "rows, whole life in a transaction, 64 clients",
      figure: world.counts.rowsWritten / messages,
      atMost: 0.2,
    },
    { what: "object calls, same", figure: world.counts.calls / messages, atMost: 4 },
  ];
};

const lone: Question = async () => {
  const world = await World.open();
  const found: Budget[] = [];
  const count = async <T>(verb: string, work: () => Promise<T>): Promise<T> => {
    world.startCounting();
    const value = await world.run(work());
    const { rowsWritten, alarmsSet } = world.counts;
    found.push(
      { what: `rows of a lone ${verb}`, figure: rowsWritten - alarmsSet, atMost: 1 },
      { what: `alarms set by a lone ${verb}`, figure: alarmsSet, atMost: 1 },
    );
    return value;
  };
  await count("send", () => send(world));
  const receipts = await count("receive", () => receive(world, 1));
  await count("ack", () => ack(world, receipts));
  return found;
};

export const QUESTIONS: Readonly<Record<string, Question>> = {
  wholeLife,
  manyQueues,
  at200: openLoop(200, 0.5),
  at500: openLoop(500, 0.25),
  randomAcks,
  delayed,
  retention,
  objectCalls,
  transactions,
  lone,
};
