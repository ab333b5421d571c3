/**
 * A namespace with one of everything that the API can name, and a picture of all that is stored in it: two pictures that
 * are equal say that nothing in between left a trace.
 */
import { type Mq, Topic } from "../client.ts";
import { type Json, unique } from "../kit.ts";
import { filled } from "./document.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export interface Stage {
  readonly mq: Mq;
  readonly namespace: string;
  /** What stands for a path's parameters, all of it existing. */
  at(path: string): string;
  readonly parametersOf: (path: string) => Readonly<Record<string, string>>;
  readonly picture: () => Promise<unknown>;
}

export async function stageIn(root: Mq): Promise<Stage> {
  const namespace = unique("ns");
  const mq = root.with(root.key, { "halfmq-namespace": namespace });
  const topic = await mq.topic({ trace: true });
  const group = await topic.group().make({ invisibleMs: HOUR_MS });
  await topic.send({ body: "leased", keys: ["k"] }, { body: "waiting" });
  await group.receive({ maxMessages: 1 });
  const delayed = await topic.sendOne({ body: "delayed", delayMs: DAY_MS });
  const half = await topic.prepare({ body: "half" });
  await mq.ok("PUT", "/v1/producer-groups/p", {});
  await mq.ok("PUT", "/v1/keys/k", { scopes: ["send"] });
  await mq.ok("PUT", "/v1/schedules/k", {
    topic: topic.name,
    cron: "0 0 1 1 *",
    message: { body: "yearly" },
  });
  const parametersOf = (path: string) => ({
    topic: topic.name,
    group: path.startsWith("/v1/producer-groups") ? "p" : group.name,
    name: "k",
    id: path.startsWith("/v1/messages") ? delayed.id : half.transactionId,
  });
  return {
    mq,
    namespace,
    parametersOf,
    at: (path) => filled(path, parametersOf(path)),
    picture: () => pictureOf(mq),
  };
}

/** Everything that a manager can see, but for what time alone changes. */
async function pictureOf(mq: Mq): Promise<unknown> {
  const topics = await mq.all<Json>("/v1/topics");
  return {
    topics: await Promise.all(topics.map((each) => pictureOfTopic(mq, each))),
    producerGroups: await mq.all("/v1/producer-groups"),
    keys: await mq.all("/v1/keys"),
    schedules: await mq.all("/v1/schedules"),
  };
}

async function pictureOfTopic(mq: Mq, settings: Json): Promise<unknown> {
  const topic = new Topic(mq, String(settings["topic"]));
  const [stats, groups, messages, transactions] = await Promise.all([
    topic.stats(),
    mq.all<Json>(`${topic.path}/groups`),
    topic.peek(),
    mq.all<Json>(`${topic.path}/transactions`),
  ]);
  const lags = stats.groups.map(
    ({ oldestUnackedAgeMs: _age, lastSeenAt: _seen, ...group }) => group,
  );
  return { settings, stats: { ...stats, groups: lags }, groups, messages, transactions };
}
