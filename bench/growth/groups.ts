/** Is anything slower when a topic has many groups? Each keeps a place in every queue. */
import type { Question } from "../kit/question.ts";
import { putTopic, send, Stage } from "../kit/stage.ts";
import { compareSizes } from "./sizes.ts";

const SIZES = [1, 10, 100, 1_000];

export const groups: Question = {
  name: "groups",
  asks: "The same work with 1 to 1,000 groups on the topic",
  run: () =>
    Stage.with(async (stage) => {
      const topics = SIZES.map((count) => ({ name: `${count} groups`, topic: `g${count}`, count }));
      for (const { topic, count } of topics) {
        await putTopic(stage, topic, {});
        await send(stage, "PUT", `topics/${topic}/groups/readers`, {});
        for (let number = 1; number < count; number++)
          await send(stage, "PUT", `topics/${topic}/groups/idle-${number}`, {});
      }
      return compareSizes(stage, {
        title: "groups",
        topics,
        work: ["send + receive + ack", "send"],
      });
    }),
};
