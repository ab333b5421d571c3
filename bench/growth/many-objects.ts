/** Do 64 queues with a hundred thousand messages each fit into one workerd? */
import { queueOfWord } from "../../src/core/route.ts";
import { residentBytes } from "../kit/process.ts";
import type { Question } from "../kit/question.ts";
import { putTopic, Stage } from "../kit/stage.ts";
import { fill } from "./sizes.ts";

const QUEUES = 64;
const EACH = 100_000;
const MIB_MAX = 256;
const MIB = 1_024 * 1_024;

/** A message group of the queue. */
function wordOf(queue: number): string {
  for (let number = 0; ; number++) {
    if (queueOfWord(`group-${number}`, QUEUES) === queue) return `group-${number}`;
  }
}

export const manyObjects: Question = {
  name: "many-objects",
  asks: `Memory of one workerd with ${QUEUES} queues of ${EACH} messages of 256 bytes each, as it filled them`,
  run: () =>
    Stage.with(async (stage) => {
      await putTopic(stage, "many", { queues: QUEUES });
      const emptyMib = residentBytes(stage.halfMq.pid) / MIB;
      for (let queue = 0; queue < QUEUES; queue++) {
        const messageGroup = `,"messageGroup":"${wordOf(queue)}"`;
        await fill(stage, "many", EACH, () => messageGroup);
      }
      const mib = residentBytes(stage.halfMq.pid) / MIB;
      return {
        tables: [
          {
            title: "many objects",
            head: ["64 queues", "MiB"],
            rows: [
              ["empty", emptyMib.toFixed(0)],
              ["with 100,000 messages each", mib.toFixed(0)],
            ],
          },
        ],
        budgets: [{ what: "MiB of the process", figure: mib, atMost: MIB_MAX }],
        figures: { emptyMib, mib },
      };
    }),
};
