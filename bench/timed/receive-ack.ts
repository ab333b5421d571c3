/** How fast are waiting messages received and acked, one by one and by sixteen? */
import { compare } from "../kit/compare.ts";
import { Connection } from "../kit/connection.ts";
import type { Step } from "../kit/load.ts";
import { reportOf, together, type Question, type Report } from "../kit/question.ts";
import { ask, BODY, ROUNDS, Stage, times, to } from "../kit/stage.ts";

const BATCH = `{"messages":[${Array.from({ length: 1_000 }, () => `{"body":${BODY}}`).join(",")}]}`;
const RECEIPT = /"receipt":"([^"]+)"/gu;
/** Enough for all rounds at ten times the speed of this class of machine. */
const WAITING = 400_000;

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

async function fill(stage: Stage): Promise<void> {
  const connection = await Connection.open(stage.halfMq.port);
  const send = stage.post("topics/reads/messages", BATCH);
  for (let sent = 0; sent < WAITING; sent += 1_000) await ask(connection, send);
  connection.close();
}

const by = async (stage: Stage, maxMessages: number): Promise<Report> => {
  const lines = await compare(
    [
      stage.measured("HalfMQ", consume(stage, `by-${maxMessages}`, maxMessages)),
      stage.baseline("2 no-op calls", times(2, to("/noop", "{}"))),
      stage.baseline("2 of a bare Worker", times(2, to("/bare", "{}"))),
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
      await fill(stage);
      return together([await by(stage, 1), await by(stage, 16)]);
    }),
};
