/** How fast is the whole life of a message: sent, received, acked, each on disk before its answer? */
import { compare } from "../kit/compare.ts";
import type { Step } from "../kit/load.ts";
import { reportOf, type Question } from "../kit/question.ts";
import { ask, BODY, numberOf, ROUNDS, Stage, textOf, times, to } from "../kit/stage.ts";

const MESSAGE = `{"body":${BODY}}`;

const life = (stage: Stage): Step => {
  const send = stage.post("topics/lives/messages", MESSAGE);
  const receive = stage.post("topics/lives/groups/readers/receive", `{"maxMessages":1}`);
  return async (connection) => {
    await ask(connection, send);
    const receipt = textOf(await ask(connection, receive), "receipt");
    await ask(
      connection,
      stage.post("topics/lives/groups/readers/ack", `{"receipts":["${receipt}"]}`),
    );
  };
};

const naive: Step = async (connection) => {
  await ask(connection, to("/naive/send", MESSAGE));
  const id = numberOf(await ask(connection, to("/naive/receive", "{}")), "id");
  await ask(connection, to("/naive/ack", `{"id":${id}}`));
};

export const wholeLife: Question = {
  name: "whole-life",
  asks: "Send, receive and ack of one message of 256 bytes over 64 connections",
  run: () =>
    Stage.with(async (stage) => {
      const lines = await compare(
        [
          stage.measured("HalfMQ", life(stage)),
          stage.baseline("3 no-op calls", times(3, to("/noop", MESSAGE)), { atLeast: 0.55 }),
          stage.baseline("3 of a bare Worker", times(3, to("/bare", MESSAGE))),
          stage.baseline("naive object, a row each", naive),
        ],
        ROUNDS,
      );
      return reportOf("send + receive + ack", "messages", lines);
    }),
};
