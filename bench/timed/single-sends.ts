/** How fast are single messages sent, each on disk before its answer? */
import { compare } from "../kit/compare.ts";
import { reportOf, type Question } from "../kit/question.ts";
import { BODY, ROUNDS, Stage, times, to } from "../kit/stage.ts";

const MESSAGE = `{"body":${BODY}}`;

export const singleSends: Question = {
  name: "single-sends",
  asks: "Single sends of 256 bytes over 64 connections",
  run: () =>
    Stage.with(async (stage) => {
      const lines = await compare(
        [
          stage.measured("HalfMQ", times(1, stage.post("topics/sends/messages", MESSAGE))),
          stage.baseline("Worker → object no-op", times(1, to("/noop", MESSAGE)), {
            atLeast: 0.75,
          }),
          stage.baseline("bare Worker", times(1, to("/bare", MESSAGE))),
          stage.baseline("naive object, a row each", times(1, to("/naive/send", MESSAGE))),
        ],
        ROUNDS,
      );
      return reportOf("single sends", "messages", lines);
    }),
};
