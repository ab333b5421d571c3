/**
 * Typical loads, run in the counted world: what a message of each makes Cloudflare bill. Retention is part of it: the clock goes
 * on until the last message is dropped. The same on every machine.
 */
import { CONNECTIONS } from "../kit/load.ts";
import { ack, prepareAndCommit, receive, send } from "../counted/verbs.ts";
import type { Counts } from "../counted/counts.ts";
import { World, type WorldOptions } from "../counted/world.ts";

/** A disk as slow as Cloudflare's. */
const COMMIT_MS = 10;
const DAY_MS = 24 * 3_600_000;
const RETENTION_MS = 3 * DAY_MS;
/** What is expired is dropped in sweeps; the last one is over by then. */
const SWEPT_MS = RETENTION_MS + DAY_MS;
const MONTH_MS = 30 * DAY_MS;
const POLL_MS = 20_000;

/** What is billed for a message, or for a month. */
export type Use = Pick<
  Counts,
  "requests" | "rowsWritten" | "rowsRead" | "bytesWritten" | "activeMs"
> & {
  /** Calls of all kinds and alarms. */
  readonly objectRequests: number;
};

export interface Shape {
  readonly name: string;
  readonly does: string;
  readonly measure: () => Promise<Use>;
  /** What the same takes elsewhere, in their units. */
  readonly queuesOperations: number | undefined;
  readonly sqsRequests: number | undefined;
}

const used = (counts: Counts, parts: number): Use => ({
  requests: counts.requests / parts,
  objectRequests: (counts.calls + counts.rings + counts.registryCalls + counts.alarmsRun) / parts,
  rowsWritten: counts.rowsWritten / parts,
  rowsRead: counts.rowsRead / parts,
  bytesWritten: counts.bytesWritten / parts,
  activeMs: counts.activeMs / parts,
});

interface Loop {
  readonly clients: number;
  readonly rounds: number;
  readonly messages: number;
}

/** `clients` doing a step of so many messages again and again, and then nothing until retention has dropped them. */
async function closedLoop(
  { clients, rounds, messages }: Loop,
  step: (world: World) => Promise<void>,
  options: WorldOptions = {},
): Promise<Use> {
  const world = await World.open({ commitMs: COMMIT_MS, ...options });
  world.startCounting();
  await world.closedLoop(clients, rounds, () => step(world));
  await world.run(world.clock.pause(SWEPT_MS));
  return used(world.counts, clients * rounds * messages);
}

/** Takes and acks until it has had so many. */
async function take(world: World, messages: number): Promise<void> {
  for (let taken = 0; taken < messages;) {
    const receipts = await receive(world, messages - taken, POLL_MS);
    taken += receipts.length;
    if (receipts.length > 0) await ack(world, receipts);
  }
}

async function one(world: World): Promise<void> {
  await send(world);
  await take(world, 1);
  await world.clock.pause(1_000);
}

async function sixteen(world: World): Promise<void> {
  for (let count = 0; count < 16; count++) await send(world);
  await take(world, 16);
}

async function hundred(world: World): Promise<void> {
  await send(world, 100);
  await take(world, 100);
}

async function sixteenInTransactions(world: World): Promise<void> {
  for (let count = 0; count < 16; count++) await prepareAndCommit(world);
  await take(world, 16);
}

async function sendLone(world: World): Promise<void> {
  await send(world);
  await world.clock.pause(1_000);
}

/** A month of one consumer that polls and gets nothing. */
async function idle(queues: number): Promise<Use> {
  const world = await World.open({ commitMs: COMMIT_MS, queues });
  // What the opening left to be dropped is not the consumer's.
  await world.run(world.clock.pause(SWEPT_MS));
  world.startCounting();
  const polls = 180;
  await world.closedLoop(1, polls, async () => void (await receive(world, 16, POLL_MS)));
  return used(world.counts, (polls * POLL_MS) / MONTH_MS);
}

export const SHAPES: readonly Shape[] = [
  {
    name: "lone",
    does: "one message a second: sent, received and acked by itself",
    measure: () => closedLoop({ clients: 1, rounds: 300, messages: 1 }, one),
    queuesOperations: 3,
    sqsRequests: 3,
  },
  {
    name: "busy",
    does: `${CONNECTIONS} clients send one by one, receive and ack by 16`,
    measure: () => closedLoop({ clients: CONNECTIONS, rounds: 10, messages: 16 }, sixteen),
    queuesOperations: 3,
    sqsRequests: 1 + 2 / 10,
  },
  {
    name: "batched",
    does: "16 clients send, receive and ack by 100",
    measure: () => closedLoop({ clients: 16, rounds: 20, messages: 100 }, hundred),
    queuesOperations: 3,
    sqsRequests: 3 / 10,
  },
  {
    name: "transactional",
    does: `${CONNECTIONS} clients prepare and commit one by one, receive and ack by 16`,
    measure: () =>
      closedLoop({ clients: CONNECTIONS, rounds: 10, messages: 16 }, sixteenInTransactions),
    queuesOperations: undefined,
    sqsRequests: undefined,
  },
  {
    name: "pushed",
    does: `${CONNECTIONS} clients send one by one, pushed to a URL by up to 16`,
    measure: () =>
      closedLoop({ clients: CONNECTIONS, rounds: 160, messages: 1 }, send, { push: true }),
    queuesOperations: 3,
    sqsRequests: undefined,
  },
  {
    name: "pushed, lone",
    does: "one message a second, pushed to a URL",
    measure: () => closedLoop({ clients: 1, rounds: 300, messages: 1 }, sendLone, { push: true }),
    queuesOperations: 3,
    sqsRequests: undefined,
  },
];

/** Of a month, not of a million messages. */
export const IDLE_SHAPES: readonly Shape[] = [1, 8].map((queues) => ({
  name: queues === 1 ? "idle, 1 queue" : `idle, ${queues} queues`,
  does: "one consumer that polls for 20 s again and again and gets nothing",
  measure: () => idle(queues),
  queuesOperations: MONTH_MS / POLL_MS,
  sqsRequests: MONTH_MS / POLL_MS,
}));
