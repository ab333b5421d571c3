/**
 * What the questions of growth share: topics of a given size, filled fast, and a comparison of the same work on each of
 * them, in turn, against the smallest.
 */
import { compare, type Contender, type Line } from "../kit/compare.ts";
import { askAll, type Step } from "../kit/load.ts";
import type { Report } from "../kit/question.ts";
import { ask, BODY, type Stage, textOf } from "../kit/stage.ts";

const BATCH = 1_000;
const ROUNDS = 3;
/** Where a budget is judged: a round's ratio alone varies by a fifth. */
const JUDGED_ROUNDS = 9;
const LOOP = { warmUpMs: 300, durationMs: 1_200 };

/** So many requests of a thousand messages each; `more` goes into each message. */
export async function fill(
  stage: Stage,
  topic: string,
  count: number,
  more: () => string = () => "",
): Promise<void> {
  const batch = (): Buffer => {
    const messages = Array.from({ length: BATCH }, () => `{"body":${BODY}${more()}}`);
    return stage.post(`topics/${topic}/messages`, `{"messages":[${messages.join(",")}]}`);
  };
  await askAll(stage.halfMq.port, 2, Math.ceil(count / BATCH), batch);
}

/** The verbs whose speed must not depend on a size. */
export const WORK: Readonly<Record<string, (stage: Stage, topic: string) => Step>> = {
  send: (stage, topic) => {
    const request = stage.post(`topics/${topic}/messages`, `{"body":${BODY}}`);
    return (connection) => ask(connection, request);
  },
  "prepare + commit": (stage, topic) => {
    const half = `{"producerGroup":"shop","message":{"body":${BODY}}}`;
    const prepare = stage.post(`topics/${topic}/transactions`, half);
    return async (connection) => {
      const id = textOf(await ask(connection, prepare), "transactionId");
      await ask(connection, stage.post(`transactions/${id}/commit`, "{}"));
    };
  },
  "send + receive + ack": (stage, topic) => {
    const path = `topics/${topic}/groups/readers`;
    const send = stage.post(`topics/${topic}/messages`, `{"body":${BODY}}`);
    const receive = stage.post(`${path}/receive`, `{"maxMessages":1,"waitMs":2000}`);
    return async (connection) => {
      await ask(connection, send);
      let answer = await ask(connection, receive);
      // Others may have been before it at every queue that rang.
      while (answer.body.includes('"messages":[]')) answer = await ask(connection, receive);
      const receipt = textOf(answer, "receipt");
      await ask(connection, stage.post(`${path}/ack`, `{"receipts":["${receipt}"]}`));
    };
  },
};

interface Sizes {
  readonly title: string;
  /** Names of the sizes, smallest first, each with its topic. */
  readonly topics: readonly { readonly name: string; readonly topic: string }[];
  readonly work: readonly (keyof typeof WORK)[];
  /** The budget of every size against the smallest. */
  readonly atLeast?: number;
}

export async function compareSizes(stage: Stage, sizes: Sizes): Promise<Report> {
  const { title, topics, work, atLeast } = sizes;
  const found: Record<string, readonly Line[]> = {};
  for (const verb of work) {
    const make = WORK[verb];
    const contenders = topics.flatMap(({ name, topic }): Contender[] =>
      make === undefined ? [] : [stage.measured(name, make(stage, topic), LOOP)],
    );
    found[verb] = await compare(contenders, atLeast === undefined ? ROUNDS : JUDGED_ROUNDS);
  }
  const rows = work.flatMap((verb) =>
    (found[verb] ?? []).map((line) => [
      verb,
      line.name,
      line.perSecond.toFixed(0),
      line.p50Ms.toFixed(2),
      line.p99Ms.toFixed(2),
      line.processorUs.toFixed(0),
      // `ratio` is the smallest one's speed in this one's.
      (1 / line.ratio).toFixed(2),
    ]),
  );
  const head = ["work", title, "steps/s", "p50 ms", "p99 ms", "CPU µs", "of the first"];
  const budgets = work.flatMap((verb) =>
    atLeast === undefined
      ? []
      : (found[verb] ?? [])
          .slice(1)
          .map(({ name, ratio }) => ({ what: `${verb}, ${name}`, figure: 1 / ratio, atLeast })),
  );
  return { tables: [{ title, head, rows }], budgets, figures: { [title]: found } };
}
