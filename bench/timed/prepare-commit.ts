/** How fast are half messages prepared and committed, both on disk before their answers? */
import { compare } from "../kit/compare.ts";
import type { Step } from "../kit/load.ts";
import { reportOf, type Question } from "../kit/question.ts";
import { ask, BODY, numberOf, ROUNDS, Stage, textOf, times, to } from "../kit/stage.ts";

const HALF = `{"producerGroup":"shop","message":{"body":${BODY}}}`;
const MESSAGE = `{"body":${BODY}}`;

const transaction =
  (stage: Stage): Step =>
  async (connection) => {
    const prepared = await ask(connection, stage.post("topics/halves/transactions", HALF));
    const id = textOf(prepared, "transactionId");
    await ask(connection, stage.post(`transactions/${id}/commit`, "{}"));
  };

const naive: Step = async (connection) => {
  const id = numberOf(await ask(connection, to("/naive/prepare", MESSAGE)), "id");
  await ask(connection, to("/naive/commit", `{"id":${id}}`));
};

export const prepareCommit: Question = {
  name: "prepare-commit",
  asks: "Prepare and commit of one message of 256 bytes over 64 connections",
  run: () =>
    Stage.with(async (stage) => {
      const lines = await compare(
        [
          stage.measured("HalfMQ", transaction(stage)),
          stage.baseline("2 no-op calls", times(2, to("/noop", HALF)), { atLeast: 0.65 }),
          stage.baseline("2 of a bare Worker", times(2, to("/bare", HALF))),
          stage.baseline("naive object, INSERT and UPDATE", naive),
        ],
        ROUNDS,
      );
      return reportOf("prepare + commit", "transactions", lines);
    }),
};
