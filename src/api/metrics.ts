/**
 * `/metrics`: the figures of the key's topics as OpenMetrics text. Read when asked for, from the queues themselves; at
 * most so many queues, so that a scrape stays bounded, and one that left topics out says so. It keeps no counters of its own: a
 * Worker has no memory to trust.
 */
import type { TopicStats } from "../broker/broker.ts";
import type { Principal } from "../auth/principal.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import type { TopicRoute } from "../protocol/rpc.ts";
import { nothing } from "./fields.ts";
import { type Edge, operation, type Operation } from "./operation.ts";
import { forbids } from "./scopes.ts";

/** Each is a call; a request on Cloudflare makes at most a thousand. */
const QUEUES_MAX = 800;
const PAGE_MAX = 100;
const PAGES_MAX = 50;
/** Topics that are asked at a time. */
const AT_ONCE_MAX = 8;
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
  failingChecks: [
    "halfmq_queue_failing_checks",
    "Prepared transactions whose last check was not answered as it should be",
  ],
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
  "failingChecks",
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

const TRUNCATED = {
  name: "halfmq_metrics_truncated",
  help: "1 when there are more topics than one scrape looks at: a key for some of them sees those",
};

/** The key's topics in the order of their list, as many as may be asked. */
async function topicsOf(
  { broker }: Edge,
  caller: Principal,
): Promise<Outcome<{ routes: TopicRoute[]; isTruncated: boolean }>> {
  const routes: TopicRoute[] = [];
  let queues = 0;
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const query = { limit: PAGE_MAX, ...(cursor === undefined ? {} : { cursor }) };
    const listed = await broker.topics(caller.namespace, query);
    if (!listed.ok) return listed;
    for (const route of listed.value.items) {
      if (forbids(caller, READERS, route.topic) !== undefined) continue;
      queues += route.settings.queues;
      if (queues > QUEUES_MAX && routes.length > 0) return accept({ routes, isTruncated: true });
      routes.push(route);
    }
    cursor = listed.value.nextCursor;
    if (cursor === undefined) return accept({ routes, isTruncated: false });
  }
  return accept({ routes, isTruncated: true });
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
      const found = await topicsOf(edge, caller);
      if (!found.ok) return found;
      const { routes, isTruncated } = found.value;
      const topics: { topic: string; stats: TopicStats }[] = [];
      for (let from = 0; from < routes.length; from += AT_ONCE_MAX) {
        const some = routes.slice(from, from + AT_ONCE_MAX);
        const all = await Promise.all(
          some.map(
            async ({ topic }) => [topic, await edge.broker.stats({ namespace, topic })] as const,
          ),
        );
        // One that went away or does not answer is left out: the others' figures still count.
        for (const [topic, stats] of all) if (stats.ok) topics.push({ topic, stats: stats.value });
      }
      const truncated = { ...TRUNCATED, samples: [`${TRUNCATED.name} ${isTruncated ? 1 : 0}`] };
      return accept({
        body: textOf([...familiesOf(topics), truncated]),
        contentType: "application/openmetrics-text; version=1.0.0; charset=utf-8",
      });
    },
  }),
];
