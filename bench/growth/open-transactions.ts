/** Is anything slower when many transactions are open? */
import { askAll, CONNECTIONS } from "../kit/load.ts";
import type { Question } from "../kit/question.ts";
import { putTopic, Stage } from "../kit/stage.ts";
import { compareSizes } from "./sizes.ts";

const SIZES = [
  { name: "1,000 open", topic: "t1k", count: 1_000 },
  { name: "10,000 open", topic: "t10k", count: 10_000 },
  { name: "99,000 open", topic: "t99k", count: 99_000 },
];
/** None is due while the bench runs. */
const HALF = `{"producerGroup":"shop","check":{"timeoutMs":86400000},"message":{"body":1}}`;

export const openTransactions: Question = {
  name: "open-transactions",
  asks: "The same work with 1,000 to 99,000 transactions (a queue refuses more than 100,000) open in its queue",
  run: () =>
    Stage.with(async (stage) => {
      for (const { topic, count } of SIZES) {
        await putTopic(stage, topic, {});
        const prepare = stage.post(`topics/${topic}/transactions`, HALF);
        await askAll(stage.halfMq.port, CONNECTIONS, count, () => prepare);
      }
      return compareSizes(stage, {
        title: "open transactions",
        topics: SIZES,
        work: ["prepare + commit", "send + receive + ack"],
      });
    }),
};
