/** Is anything slower when a million delayed messages wait for their time? */
import type { Question } from "../kit/question.ts";
import { putTopic, Stage } from "../kit/stage.ts";
import { compareSizes, fill } from "./sizes.ts";

const SIZES = [
  { name: "none delayed", topic: "d0", count: 0 },
  { name: "100,000 delayed", topic: "d100k", count: 100_000 },
  { name: "1,000,000 delayed", topic: "d1m", count: 1_000_000 },
];
/** From an hour on, so that none is due while the bench runs, at random over a month. */
const HOUR_MS = 3_600_000;
const MONTH_MS = 30 * 24 * HOUR_MS;

export const delayed: Question = {
  name: "delayed",
  asks: "The same work with up to a million delayed messages in its queue, due at random within a month",
  run: () =>
    Stage.with(async (stage) => {
      for (const { topic, count } of SIZES) {
        await putTopic(stage, topic, {});
        await fill(
          stage,
          topic,
          count,
          () => `,"delayMs":${HOUR_MS + Math.floor(Math.random() * MONTH_MS)}`,
        );
      }
      return compareSizes(stage, {
        title: "delayed",
        topics: SIZES,
        work: ["send + receive + ack", "prepare + commit", "send"],
      });
    }),
};
