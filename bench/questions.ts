/** The timed questions, in the order in which they are asked. */
import { delayed } from "./growth/delayed.ts";
import { groups } from "./growth/groups.ts";
import { manyObjects } from "./growth/many-objects.ts";
import { memory } from "./growth/memory.ts";
import { openTransactions } from "./growth/open-transactions.ts";
import { queues } from "./growth/queues.ts";
import { waiting } from "./growth/waiting.ts";
import type { Question } from "./kit/question.ts";
import { PEER_QUESTIONS } from "./peers/questions.ts";
import { batches } from "./timed/batches.ts";
import { cluster } from "./timed/cluster.ts";
import { checkBack } from "./timed/check-back.ts";
import { prepareCommit } from "./timed/prepare-commit.ts";
import { receiveAck } from "./timed/receive-ack.ts";
import { singleSends } from "./timed/single-sends.ts";
import { wakeUp } from "./timed/wake-up.ts";
import { wholeLife } from "./timed/whole-life.ts";

export const QUESTIONS: readonly Question[] = [
  singleSends,
  batches,
  prepareCommit,
  receiveAck,
  wholeLife,
  cluster,
  wakeUp,
  checkBack,
  waiting,
  groups,
  queues,
  openTransactions,
  delayed,
  memory,
  manyObjects,
  ...PEER_QUESTIONS,
];
