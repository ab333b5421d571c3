/** Do 64 queues with a hundred thousand messages each fit into one workerd? */
import { queueOfWord } from "../../src/core/route.ts";
import { Connection } from "../kit/connection.ts";
import { residentBytes } from "../kit/process.ts";
import type { Question } from "../kit/question.ts";
import { ask, BODY, putTopic, Stage } from "../kit/stage.ts";
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

const RECEIVES = 512;

export const manyObjects: Question = {
  name: "many-objects",
  asks: `Memory of one workerd with ${QUEUES} queues of ${EACH.toLocaleString("en")} messages of 256 bytes each`,
  run: () =>
    Stage.with(async (stage) => {
      await putTopic(stage, "many", { queues: QUEUES });
      const words = Array.from(
        { length: QUEUES },
        (_, queue) => `,"messageGroup":"${wordOf(queue)}"`,
      );
      const now = (): number => residentBytes(stage.halfMq.pid) / MIB;
      const emptyMib = now();
      for (const word of words) await fill(stage, "many", EACH, () => word);
      const filledMib = now();
      await stage.restart();
      await work(stage, words);
      const mib = now();
      return {
        tables: [
          {
            title: "many objects",
            head: ["64 queues", "MiB of the process"],
            rows: [
              ["empty", emptyMib.toFixed(0)],
              ["as it has just taken 100,000 messages each, in batches", filledMib.toFixed(0)],
              ["woken with them, each queue sent to and received from", mib.toFixed(0)],
            ],
          },
        ],
        // What filling leaves is V8's garbage, of which it keeps what it once had: the same for a tenth of the messages.
        budgets: [
          { what: "MiB of the process with all of them at work", figure: mib, atMost: MIB_MAX },
        ],
        figures: { emptyMib, filledMib, mib },
      };
    }),
};

async function work(stage: Stage, words: readonly string[]): Promise<void> {
  const connection = await Connection.open(stage.halfMq.port);
  for (const word of words)
    await ask(connection, stage.post("topics/many/messages", `{"body":${BODY}${word}}`));
  const receive = stage.post("topics/many/groups/readers/receive", `{"maxMessages":16}`);
  for (let count = 0; count < RECEIVES; count++) await ask(connection, receive);
  connection.close();
}
