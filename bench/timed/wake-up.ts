/** How soon has a waiting consumer what is sent, over one queue and over eight, where a bell must ring? */
import { setTimeout as pause } from "node:timers/promises";
import { compare, type Contender } from "../kit/compare.ts";
import { Connection } from "../kit/connection.ts";
import { closedLoop, type Measured } from "../kit/load.ts";
import { percentile } from "../kit/numbers.ts";
import { processorMs } from "../kit/process.ts";
import type { Question, Report } from "../kit/question.ts";
import { ask, BODY, putTopic, ROUNDS, Stage, textOf, times, to } from "../kit/stage.ts";

const MESSAGE = `{"body":${BODY}}`;
const WAKES = 100;
/** Within this a poll is in its place, even on a busy machine. */
const SETTLE_MS = 15;
const LONE = { connections: 1, warmUpMs: 200, durationMs: 1_000 };

/** From the send's start to the receiver's answer; one after the other. */
async function wakes(stage: Stage, topic: string): Promise<Measured> {
  const { port, pid } = stage.halfMq;
  const [sender, receiver] = await Promise.all([Connection.open(port), Connection.open(port)]);
  const path = `topics/${topic}/groups/sleepers`;
  const receive = stage.post(`${path}/receive`, `{"maxMessages":1,"waitMs":20000}`);
  const send = stage.post(`topics/${topic}/messages`, MESSAGE);
  const latencies: number[] = [];
  const used = processorMs(pid);
  for (let wake = 0; wake < WAKES; wake++) {
    const answer = ask(receiver, receive);
    await pause(SETTLE_MS);
    const before = performance.now();
    await Promise.all([ask(sender, send), answer]);
    latencies.push(performance.now() - before);
    const receipt = textOf(await answer, "receipt");
    await ask(receiver, stage.post(`${path}/ack`, `{"receipts":["${receipt}"]}`));
  }
  sender.close();
  receiver.close();
  const sorted = Float64Array.from(latencies).toSorted();
  return {
    perSecond: 1_000 / percentile(sorted, 0.5),
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    processorUs: ((processorMs(pid) - used) / WAKES) * 1_000,
  };
}

function reportOfWakes(lines: Awaited<ReturnType<typeof compare>>): Report {
  const noop = lines.at(-1)?.p50Ms ?? Number.NaN;
  return {
    tables: [
      {
        title: "wake-up",
        head: ["from send to receiver", "p50 ms", "p99 ms", "no-op calls"],
        rows: lines.map(({ name, p50Ms, p99Ms }) => [
          name,
          p50Ms.toFixed(2),
          p99Ms.toFixed(2),
          (p50Ms / noop).toFixed(1),
        ]),
      },
    ],
    budgets: [],
    figures: { "wake-up": lines },
  };
}

export const wakeUp: Question = {
  name: "wake-up",
  asks: "From a send to the answer of a long poll that waits for it",
  run: () =>
    Stage.with(async (stage) => {
      await putTopic(stage, "eight", { queues: 8 });
      const send = times(1, stage.post("topics/lone/messages", MESSAGE));
      const contenders: Contender[] = [
        { name: "wake-up over 1 queue", measure: () => wakes(stage, "one") },
        { name: "wake-up over 8 queues", measure: () => wakes(stage, "eight") },
        { name: "a lone send", measure: () => closedLoop(stage.halfMq, LONE, send) },
        stage.baseline("a lone no-op call", times(1, to("/noop", MESSAGE)), LONE),
      ];
      return reportOfWakes(await compare(contenders, ROUNDS));
    }),
};
