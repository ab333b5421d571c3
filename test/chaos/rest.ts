/** What a broker looks like once it has come to rest, read over HTTP. */
import type { DeliveredData } from "../../src/client/index.ts";
import type { TransactionState } from "../../src/protocol/rpc.ts";
import type { Rest } from "../sim/history.ts";
import type { Calendar, CalendarRest } from "../sim/checker/calendar.ts";
import { CALENDAR_TOPIC } from "./calendar.ts";
import type { Standing } from "./catalogue.ts";
import { http, isRefused } from "./clients/caller.ts";
import { standingOf } from "./clients/registrar.ts";
import type { Scene } from "./scene.ts";
import { readWire } from "../sim/wire.ts";

type TopicRest = Rest["topics"][number];
type Stats = Pick<TopicRest, "queues" | "groups"> & { readonly transactions: TopicRest["counted"] };

const PAGE = 500;
/** Nothing is struck any more, but the machine may be slow. */
const PATIENCE_MS = 60_000;
const TRIES = 5;

async function look<T>(scene: Scene, path: string): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await http<T>(scene, "GET", path, { waitMs: PATIENCE_MS });
    } catch (error) {
      if (tries === TRIES || isRefused(error)) throw error;
    }
  }
}

async function* pages<T extends object>(scene: Scene, path: string): AsyncGenerator<T, void> {
  let cursor: string | undefined;
  do {
    const more = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await look<T>(scene, `${path}?limit=${PAGE}${more}`);
    yield page;
    ({ nextCursor: cursor } = page as { nextCursor?: string });
  } while (cursor !== undefined);
}

async function all<T>(scene: Scene, path: string): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pages<{ items: T[] }>(scene, path)) items.push(...page.items);
  return items;
}

/** What is not drained yet. */
export interface Unrest {
  readonly why: string;
  /** Everything together; what gets less is on its way. */
  readonly left: number;
}

export async function unrest(scene: Scene): Promise<Unrest | undefined> {
  const whys: string[] = [];
  let left = 0;
  const add = (count: number, why: string): void => {
    if (count === 0) return;
    whys.push(why);
    left += count;
  };
  for (const { topic } of scene.plan.topics) {
    const stats = await look<Stats>(scene, `/v1/topics/${topic}/stats`);
    for (const { queue, prepared, delayed, forwarding } of stats.queues)
      for (const [what, count] of Object.entries({ prepared, delayed, forwarding }))
        add(count, `${topic}/${queue} has ${count} ${what}`);
    for (const { group, lag } of stats.groups) {
      add(lag, `${topic} group ${group} lags ${lag} behind`);
      const path = `/v1/topics/${topic}/groups/${group}/dead-letters/redrive`;
      const { state, remaining } = await look<{ state: string; remaining: number }>(scene, path);
      if (state === "running") add(1 + remaining, `${topic} group ${group} is being redriven`);
    }
  }
  return left === 0 ? undefined : { why: whys.join("; "), left };
}

export async function restOf(scene: Scene, why: string | undefined): Promise<Rest> {
  const topics: TopicRest[] = [];
  for (const { topic } of scene.plan.topics) topics.push(await topicRest(scene, topic));
  // The server of this strike has no bucket.
  const bucket = { bucket: [], answered: [] };
  return { topics, ...bucket, isDrained: why === undefined, ...(why === undefined ? {} : { why }) };
}

async function topicRest(scene: Scene, topic: string): Promise<TopicRest> {
  const base = `/v1/topics/${topic}`;
  const stats = await look<Stats>(scene, `${base}/stats`);
  const log = await all<DeliveredData>(scene, `${base}/messages`);
  const transactions = await all<{
    transactionId: string;
    state: TransactionState;
    checks: number;
  }>(scene, `${base}/transactions`);
  const deadLetters: TopicRest["deadLetters"][number][] = [];
  for (const { group } of stats.groups)
    for (const letter of await all<DeadLetter>(scene, `${base}/groups/${group}/dead-letters`)) {
      const { consumerId, deadAt, deliveryAttempt: attempts } = letter;
      const own = consumerId === undefined ? {} : { consumerId };
      deadLetters.push({ group, mark: readWire(letter).mark, deadAt, attempts, ...own });
    }
  return {
    topic,
    queues: stats.queues,
    groups: stats.groups,
    log: log.map((message) => ({ ...readWire(message), ...placeOf(message) })),
    transactions,
    counted: stats.transactions,
    ...(await auditOf(scene, base)),
    deadLetters,
  };
}

type DeadLetter = DeliveredData & { readonly deadAt: number; readonly consumerId?: string };
type Audit = Required<TopicRest>["audit"];

/** What the audit counts; and of each page that it cannot account for, the page. */
async function auditOf(
  scene: Scene,
  base: string,
): Promise<{ audit: Audit; faults: readonly string[] }> {
  const faults: string[] = [];
  const groups: Audit["groups"][number][] = [];
  const producers: Audit["producers"][number][] = [];
  const list = pages<Partial<Audit> & { faults: number }>(scene, `${base}/audit`);
  for await (const page of list) {
    if (page.faults !== 0) faults.push(JSON.stringify(page));
    groups.push(...(page.groups ?? []));
    producers.push(...(page.producers ?? []));
  }
  return { audit: { groups, producers }, faults };
}

const placeOf = ({ id, queue, offset, storedAt }: DeliveredData) => ({
  id,
  queue,
  offset,
  storedAt,
});

interface ScheduleView {
  readonly nextRunAt: number;
  readonly pendingRun?: { readonly scheduledAt: number };
}

/** How far schedules are, and then what they have sent. */
export async function calendarOf(scene: Scene): Promise<Calendar> {
  const rests: CalendarRest[] = [];
  for (const { name } of scene.schedules) {
    const { nextRunAt, pendingRun } = await look<ScheduleView>(scene, `/v1/schedules/${name}`);
    const pending = pendingRun === undefined ? {} : { pending: pendingRun.scheduledAt };
    rests.push({ name, nextRunAt, wall: Date.now(), ...pending });
  }
  const log = await all<DeliveredData>(scene, `/v1/topics/${CALENDAR_TOPIC}/messages`);
  const runs = log.map(({ properties, storedAt }) => ({
    schedule: properties?.["halfmqSchedule"] ?? "none",
    slot: Number(properties?.["halfmqScheduledAt"]),
    storedAt,
  }));
  return { schedules: scene.schedules, rests, runs };
}

/** What there is of each name that came and went. */
export async function standingsOf(scene: Scene): Promise<Map<string, Standing>> {
  const standings = new Map<string, Standing>();
  for (const name of scene.catalogue.keys()) {
    const standing = await look<object>(scene, `/v1/${name}`).then(
      standingOf,
      (error: unknown): Standing => {
        if (isRefused(error)) return "gone";
        throw error;
      },
    );
    standings.set(name, standing);
  }
  return standings;
}
