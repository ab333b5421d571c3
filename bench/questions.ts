/** The timed questions, in the order in which they are asked. */
import type { Question } from "./kit/question.ts";
import { PEER_QUESTIONS } from "./peers/questions.ts";
import { batches } from "./timed/batches.ts";
import { cluster } from "./timed/cluster.ts";
import { prepareCommit } from "./timed/prepare-commit.ts";
import { receiveAck } from "./timed/receive-ack.ts";
import { singleSends } from "./timed/single-sends.ts";
import { wholeLife } from "./timed/whole-life.ts";

export const QUESTIONS: readonly Question[] = [
  singleSends,
  batches,
  prepareCommit,
  receiveAck,
  wholeLife,
  cluster,
  ...PEER_QUESTIONS,
];
