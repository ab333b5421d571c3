/** Is anything slower when a hundred thousand or a million messages wait? */
import type { Question } from "../kit/question.ts";
import { putTopic, Stage } from "../kit/stage.ts";
import { compareSizes, fill } from "./sizes.ts";

const SIZES = [
  { name: "nothing waits", topic: "w0", count: 0 },
  { name: "100,000 wait", topic: "w100k", count: 100_000 },
  { name: "1,000,000 wait", topic: "w1m", count: 1_000_000 },
];

export const waiting: Question = {
  name: "waiting",
  asks: "The same work with nothing, 100,000 and a million messages of 256 bytes waiting in its queue",
  run: () =>
    Stage.with(async (stage) => {
      for (const { topic, count } of SIZES) {
        await putTopic(stage, topic, {});
        await fill(stage, topic, count);
      }
      return compareSizes(stage, {
        title: "waiting",
        topics: SIZES,
        // The sends last: what they leave behind would wait as well.
        work: ["send + receive + ack", "prepare + commit", "send"],
        atLeast: 0.9,
      });
    }),
};
