/**
 * `/metrics`: the figures of the key's topics as OpenMetrics text. Read when asked for, from the queues themselves; at
 * most a hundred topics, so that a scrape stays bounded. It keeps no counters of its own: a Worker has no memory to trust.
 */
import type { TopicStats } from "../broker/broker.ts";
import { accept } from "../protocol/errors.ts";
import { nothing } from "./fields.ts";
import { operation, type Operation } from "./operation.ts";
import { forbids } from "./scopes.ts";

const TOPICS_MAX = 100;
const READERS = ["consume", "manage"] as const;

interface Family {
  readonly name: string;
  readonly help: string;
  readonly samples: string[];
}

const FAMILIES = {
  nextOffset: ["halfmq_queue_next_offset", "Offset that the queue's next message will get"],
  bytes: ["halfmq_queue_bytes", "Bytes stored in the queue's log"],
  coldBytes: ["halfmq_queue_cold_bytes", "Bytes of the queue's log that are in the bucket"],
  coldUnreachable: [
    "halfmq_queue_cold_unreachable",
    "1 while the bucket does not give what was asked of it",
  ],
  delayed: ["halfmq_queue_delayed_messages", "Messages that wait for their time"],
  prepared: ["halfmq_queue_prepared_transactions", "Transactions that nobody has decided yet"],
  forwarding: [
    "halfmq_queue_forwarding_messages",
    "Committed messages on their way to other queues",
  ],
  lag: ["halfmq_group_lag_messages", "Messages due and not yet done for the group"],
  inFlight: ["halfmq_group_in_flight_messages", "Messages leased by the group"],
  retrying: ["halfmq_group_retrying_messages", "Messages that wait for a retry"],
  deadLetters: ["halfmq_group_dead_letters", "Messages that ran out of attempts"],
  poisoned: ["halfmq_group_poisoned_messages", "Messages out of attempts that hold their place"],
  expired: [
    "halfmq_group_expired_messages",
    "Messages that retention took before the group had them",
  ],
  oldest: ["halfmq_group_oldest_unacked_age_seconds", "Age of the oldest message that is not done"],
  transactions: ["halfmq_topic_transactions", "Transactions remembered, by state"],
} as const;

const QUEUE_FIGURES = [
  "nextOffset",
  "bytes",
  "coldBytes",
  "delayed",
  "prepared",
  "forwarding",
] as const;

const FIGURES = ["lag", "inFlight", "retrying", "deadLetters", "poisoned", "expired"] as const;

type FamilyName = keyof typeof FAMILIES;

function familiesOf(topics: readonly { topic: string; stats: TopicStats }[]): Family[] {
  const samples = new Map<FamilyName, string[]>();
  const add = (
    family: FamilyName,
    labels: Record<string, string | number>,
    value: number,
  ): void => {
    const text = Object.entries(labels).map(([label, each]) => `${label}="${each}"`);
    const list = samples.get(family) ?? [];
    list.push(`${FAMILIES[family][0]}{${text.join(",")}} ${value}`);
    samples.set(family, list);
  };
  for (const { topic, stats } of topics) {
    for (const figures of stats.queues) {
      for (const family of QUEUE_FIGURES)
        add(family, { topic, queue: figures.queue }, figures[family]);
      const isUnreachable = figures.coldUnreachableAt !== undefined;
      add("coldUnreachable", { topic, queue: figures.queue }, isUnreachable ? 1 : 0);
    }
    for (const figures of stats.groups) {
      const { group } = figures;
      for (const family of FIGURES) {
        add(family, { topic, group }, figures[family]);
      }
      add("oldest", { topic, group }, figures.oldestUnackedAgeMs / 1_000);
    }
    for (const [state, count] of Object.entries(stats.transactions)) {
      add("transactions", { topic, state }, count);
    }
  }
  return Array.from(samples, ([family, list]) => ({
    name: FAMILIES[family][0],
    help: FAMILIES[family][1],
    samples: list,
  }));
}

const textOf = (families: readonly Family[]): string => {
  const lines = families.flatMap(({ name, help, samples }) => [
    `# TYPE ${name} gauge`,
    `# HELP ${name} ${help}`,
    ...samples,
  ]);
  return `${[...lines, "# EOF"].join("\n")}\n`;
};

export const metricsOperations: readonly Operation[] = [
  operation({
    method: "GET",
    path: "/metrics",
    summary: "The figures of the key's topics as OpenMetrics text",
    statuses: [200],
    query: nothing,
    async handle(edge, { caller }) {
      const { namespace } = caller;
      const listed = await edge.broker.topics(namespace, { limit: TOPICS_MAX });
      if (!listed.ok) return listed;
      const topics: { topic: string; stats: TopicStats }[] = [];
      for (const { topic } of listed.value.items) {
        if (forbids(caller, READERS, topic) !== undefined) continue;
        const stats = await edge.broker.stats({ namespace, topic });
        // One that went away or does not answer is left out: the others' figures still count.
        if (stats.ok) topics.push({ topic, stats: stats.value });
      }
      return accept({
        body: textOf(familiesOf(topics)),
        contentType: "application/openmetrics-text; version=1.0.0; charset=utf-8",
      });
    },
  }),
];
