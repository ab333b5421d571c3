/** How fast are waiting messages received and acked, one by one and by sixteen? */
import { compare, type Contender } from "../kit/compare.ts";
import { Connection } from "../kit/connection.ts";
import type { Step } from "../kit/load.ts";
import { reportOf, together, type Question, type Report } from "../kit/question.ts";
import { ask, BODY, numberOf, ROUNDS, Stage, times, to } from "../kit/stage.ts";

const BATCH = `{"messages":[${Array.from({ length: 1_000 }, () => `{"body":${BODY}}`).join(",")}]}`;
const RECEIPT = /"receipt":"([^"]+)"/gu;
/** Enough for all rounds at ten times the speed of this class of machine. */
const WAITING = 400_000;
const NAIVE_WAITING = 40_000;

const consume = (stage: Stage, group: string, maxMessages: number): Step => {
  const path = `topics/reads/groups/${group}`;
  const receive = stage.post(`${path}/receive`, `{"maxMessages":${maxMessages}}`);
  return async (connection) => {
    const answer = await ask(connection, receive);
    const receipts = Array.from(answer.body.toString("latin1").matchAll(RECEIPT), ([, id]) => id);
    if (receipts.length !== maxMessages) throw new Error(`${receipts.length} messages came`);
    await ask(connection, stage.post(`${path}/ack`, JSON.stringify({ receipts })));
  };
};

/** The naive object gives out one at a time. */
const naive: Step = async (connection) => {
  const id = numberOf(await ask(connection, to("/naive/receive", "{}")), "id");
  await ask(connection, to("/naive/ack", `{"id":${id}}`));
};

async function fill(port: number, send: Buffer, count: number): Promise<void> {
  const connection = await Connection.open(port);
  for (let sent = 0; sent < count; sent += 1_000) await ask(connection, send);
  connection.close();
}

const by = async (
  stage: Stage,
  maxMessages: number,
  others: readonly Contender[] = [],
): Promise<Report> => {
  const lines = await compare(
    [
      stage.measured("HalfMQ", consume(stage, `by-${maxMessages}`, maxMessages)),
      stage.baseline("2 no-op calls", times(2, to("/noop", "{}"))),
      stage.baseline("2 of a bare Worker", times(2, to("/bare", "{}"))),
      ...others,
    ],
    ROUNDS,
  );
  return reportOf(`receive + ack by ${maxMessages}`, "steps", lines);
};

export const receiveAck: Question = {
  name: "receive-ack",
  asks: "Receive and ack of messages of 256 bytes that wait, over 64 connections",
  run: () =>
    Stage.with(async (stage) => {
      await fill(stage.halfMq.port, stage.post("topics/reads/messages", BATCH), WAITING);
      await fill(stage.baselines.port, to("/naive/send", BATCH), NAIVE_WAITING);
      const rows = stage.baseline("naive object, a row each", naive);
      return together([await by(stage, 1, [rows]), await by(stage, 16)]);
    }),
};
