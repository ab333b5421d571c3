/** Is anything slower when a topic has many queues? */
import type { Question } from "../kit/question.ts";
import { putTopic, Stage } from "../kit/stage.ts";
import { compareSizes } from "./sizes.ts";

const SIZES = [1, 8, 64];

export const queues: Question = {
  name: "queues",
  asks: "The same work over 1 to 64 queues, messages without a word of their own",
  run: () =>
    Stage.with(async (stage) => {
      const topics = SIZES.map((count) => ({ name: `${count} queues`, topic: `q${count}`, count }));
      for (const { topic, count } of topics) await putTopic(stage, topic, { queues: count });
      return compareSizes(stage, {
        title: "queues",
        topics,
        work: ["send + receive + ack", "prepare + commit", "send"],
      });
    }),
};
