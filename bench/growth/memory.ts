/**
 * What does a size cost in memory, and in time to the first answer of an object that was evicted? Each size has a server of
 * its own, started anew after it was filled: what is measured is an object that woke, and then worked for a while.
 */
import { Connection } from "../kit/connection.ts";
import { askAll, CONNECTIONS } from "../kit/load.ts";
import { median } from "../kit/numbers.ts";
import { residentBytes } from "../kit/process.ts";
import type { Question, Report } from "../kit/question.ts";
import { ask, BODY, putTopic, send, Stage } from "../kit/stage.ts";
import { fill } from "./sizes.ts";

const MIB = 1_024 * 1_024;
const WAKES = 5;
const WORK_MS = 3_000;

interface Size {
  readonly name: string;
  readonly fill: (stage: Stage) => Promise<void>;
  readonly mibMax?: number;
  readonly wakeMsMax?: number;
}

const SIZES: readonly Size[] = [
  { name: "nothing", fill: (stage) => fill(stage, "sized", 0) },
  { name: "100,000 waiting", fill: (stage) => fill(stage, "sized", 100_000) },
  {
    name: "1,000,000 waiting",
    fill: (stage) => fill(stage, "sized", 1_000_000),
    mibMax: 8,
    wakeMsMax: 50,
  },
  {
    name: "1,000,000 delayed",
    fill: (stage) =>
      fill(stage, "sized", 1_000_000, () => `,"delayMs":${Math.ceil(4e6 + Math.random() * 1e9)}`),
  },
  { name: "100,000 in flight", fill: lease },
  { name: "99,000 open transactions", fill: prepare },
];

async function lease(stage: Stage): Promise<void> {
  await fill(stage, "sized", 100_000);
  const receive = `{"maxMessages":1000,"invisibleMs":3600000}`;
  const request = stage.post("topics/sized/groups/leasers/receive", receive);
  const connection = await Connection.open(stage.halfMq.port);
  for (let batch = 0; batch < 100; batch++) await ask(connection, request);
  connection.close();
}

async function prepare(stage: Stage): Promise<void> {
  const half = `{"producerGroup":"shop","check":{"timeoutMs":86400000},"message":{"body":${BODY}}}`;
  const request = stage.post("topics/sized/transactions", half);
  await askAll(stage.halfMq.port, CONNECTIONS, 99_000, () => request);
}

interface Found {
  readonly wakeMs: number;
  readonly wokenMib: number;
  readonly workedMib: number;
}

/** The Worker, the registry and the group's route are warm; the queue's object is not. */
async function wake(stage: Stage): Promise<number> {
  const connection = await Connection.open(stage.halfMq.port);
  await ask(connection, stage.post("topics/other/messages", '{"body":1}'));
  await send(stage, "GET", "topics/sized");
  const receive = stage.post("topics/sized/groups/readers/receive", `{"maxMessages":1}`);
  const before = performance.now();
  await ask(connection, receive);
  const tookMs = performance.now() - before;
  connection.close();
  return tookMs;
}

async function work(stage: Stage): Promise<void> {
  const connection = await Connection.open(stage.halfMq.port);
  const message = stage.post("topics/sized/messages", `{"body":${BODY}}`);
  const receive = stage.post("topics/sized/groups/readers/receive", `{"maxMessages":16}`);
  const end = performance.now() + WORK_MS;
  while (performance.now() < end) {
    await ask(connection, message);
    const { body } = await ask(connection, receive);
    const receipts = Array.from(
      body.toString("latin1").matchAll(/"receipt":"([^"]+)"/gu),
      ([, receipt]) => receipt,
    );
    if (receipts.length > 0)
      await ask(
        connection,
        stage.post("topics/sized/groups/readers/ack", JSON.stringify({ receipts })),
      );
  }
  connection.close();
}

function measure(size: Size): Promise<Found> {
  return Stage.with(async (stage) => {
    await putTopic(stage, "sized", {});
    await putTopic(stage, "other", {});
    await send(stage, "PUT", "topics/sized/groups/readers", {});
    await size.fill(stage);
    const wakes: number[] = [];
    const woken: number[] = [];
    for (let round = 0; round < WAKES; round++) {
      await stage.restart();
      wakes.push(await wake(stage));
      woken.push(residentBytes(stage.halfMq.pid) / MIB);
    }
    await work(stage);
    const workedMib = residentBytes(stage.halfMq.pid) / MIB;
    return { wakeMs: median(wakes), wokenMib: median(woken), workedMib };
  });
}

export const memory: Question = {
  name: "memory",
  asks: "Memory of a queue's object, and its first answer after it was evicted, by what it holds",
  async run() {
    const found: (Size & Found)[] = [];
    for (const size of SIZES) found.push({ ...size, ...(await measure(size)) });
    return reportOfSizes(found);
  },
};

function reportOfSizes(found: readonly (Size & Found)[]): Report {
  const [least] = found;
  const over = (mib: number, field: "wokenMib" | "workedMib"): number =>
    mib - (least?.[field] ?? 0);
  return {
    tables: [
      {
        title: "memory",
        head: ["holds", "first answer ms", "MiB over nothing, woken", "after work"],
        rows: found.map(({ name, wakeMs, wokenMib, workedMib }) => [
          name,
          wakeMs.toFixed(1),
          over(wokenMib, "wokenMib").toFixed(1),
          over(workedMib, "workedMib").toFixed(1),
        ]),
      },
    ],
    budgets: found.flatMap(({ name, mibMax, wakeMsMax, wakeMs, workedMib }) => [
      ...(mibMax === undefined
        ? []
        : [{ what: `MiB, ${name}`, figure: over(workedMib, "workedMib"), atMost: mibMax }]),
      ...(wakeMsMax === undefined
        ? []
        : [{ what: `first answer ms, ${name}`, figure: wakeMs, atMost: wakeMsMax }]),
    ]),
    figures: { memory: found },
  };
}
