/** How fast are batches of 100 sent, each on disk as a whole before its answer? */
import { compare } from "../kit/compare.ts";
import { reportOf, type Question } from "../kit/question.ts";
import { BODY, ROUNDS, Stage, times, to } from "../kit/stage.ts";

const BATCH = `{"messages":[${Array.from({ length: 100 }, () => `{"body":${BODY}}`).join(",")}]}`;
/** So many requests of 27 kB at once fill the machine. */
const LOOP = { connections: 64 };

export const batches: Question = {
  name: "batches",
  asks: "Batches of 100 messages of 256 bytes over 16 connections",
  run: () =>
    Stage.with(async (stage) => {
      const lines = await compare(
        [
          stage.measured("HalfMQ", times(1, stage.post("topics/batches/messages", BATCH)), LOOP),
          stage.baseline("no-op that carries the batch", times(1, to("/carry", BATCH)), {
            ...LOOP,
            atLeast: 0.5,
          }),
          stage.baseline("bare Worker that reads it", times(1, to("/read", BATCH)), LOOP),
          stage.baseline("naive object, 100 rows", times(1, to("/naive/send", BATCH)), LOOP),
        ],
        ROUNDS,
      );
      return reportOf("batches of 100", "batches", lines);
    }),
};
