/**
 * Dead letters of a group, over all queues: list, put back at once or at a rate, purge; and a word on those that are held
 * instead. A page is sorted by the instant of death; a queue's own cursor is taken as it comes, so each queue gives a share
 * of the page and all of it is shown. The queues have shares of a rate, too, by how many letters each holds.
 */
import { parseMessageId } from "../core/ids.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type {
  HeldDecision,
  Page,
  QueueRpc,
  RedriveProgress,
  Stamp,
  TopicRoute,
} from "../protocol/rpc.ts";
import type { DeadLetter, GroupName, OfConsumer, PacedRedrive, PageQuery } from "./broker.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { bytesOf, queuesOf } from "./lists.ts";
import { messagesOf } from "../core/message.ts";
import type { Ground } from "./objects.ts";
import { stampOf, type Routes } from "./routes.ts";

interface Stretch {
  readonly items: readonly DeadLetter[];
  readonly cursor?: string;
}

export class DeadLetterBox {
  readonly #ground: Ground;
  readonly #routes: Routes;

  constructor(ground: Ground, routes: Routes) {
    this.#ground = ground;
    this.#routes = routes;
  }

  list(at: GroupName, query: OfConsumer & PageQuery): Promise<Outcome<Page<DeadLetter>>> {
    return this.#routes.useGroup(at, async (route) => {
      const cursor = decodeCursor(query.cursor, route.incarnation);
      if (!cursor.ok) return cursor;
      const positions = new Map(cursor.value);
      const { consumerId } = query;
      const whose = consumerId === undefined ? {} : { consumerId };
      const live = queuesOf(route).filter((queue) => positions.get(queue) !== null);
      const items: DeadLetter[] = [];
      let bytes = 0;
      // In waves, each queue a share of what is left: a page is filled although most queues hold nothing.
      while (live.length > 0 && items.length < query.limit && bytes < LIMITS.answerBytesMax / 2) {
        const left = query.limit - items.length;
        const asked = live.splice(0, Math.min(WAVE_MAX, left));
        const share = Math.floor(left / asked.length);
        const page = {
          limit: share,
          bytesMax: Math.floor(LIMITS.entriesBytesMax / 2 / asked.length),
        };
        const answers = await Promise.all(
          asked.map((queue) => {
            const position = positions.get(queue);
            const cursor = typeof position === "string" ? { cursor: position } : {};
            return this.#stretch(route, at.group, queue, { ...page, ...whose, ...cursor });
          }),
        );
        for (const [index, answer] of answers.entries()) {
          if (!answer.ok) return answer;
          const queue = asked[index] ?? 0;
          positions.set(queue, answer.value.cursor ?? null);
          if (answer.value.cursor !== undefined) live.push(queue);
          items.push(...answer.value.items);
          for (const item of answer.value.items) bytes += bytesOf(item);
        }
      }
      items.sort((one, other) => one.deadAt - other.deadAt);
      const filled = await this.#ground.bodies.complete(items);
      filled.end();
      if (live.length === 0) return accept({ items: filled.messages });
      return accept({
        items: filled.messages,
        nextCursor: encodeCursor(route.incarnation, positions),
      });
    });
  }

  /** An id that names its queue asks only that one; one that may stand elsewhere asks all. */
  redrive(at: GroupName, ids?: readonly string[]): Promise<Outcome<{ redriven: number }>> {
    return this.#routes.useGroup(at, async (route) => {
      const outcome = await this.#askAll(route, idsByQueue(route, ids), (queue, some) =>
        redriveIn(queue, stampOf(route), at.group, some),
      );
      if (!outcome.ok) return outcome;
      return accept({ redriven: outcome.value.reduce((sum, each) => sum + each.redriven, 0) });
    });
  }

  /** Ends as soon as it is begun in every queue. It takes the place of one that runs. */
  startRedrive(
    at: GroupName,
    { ids, ratePerSecond }: PacedRedrive,
  ): Promise<Outcome<RedriveProgress>> {
    return this.#routes.useGroup(at, async (route) => {
      const [asked, stamp] = [idsByQueue(route, ids), stampOf(route)];
      const counted = await this.#askAll(route, asked, async (queue, some, number) => {
        const order = { verb: "count", ...(some && { ids: some }) } as const;
        const outcome = await queue.pacedRedrive(stamp, at.group, order);
        return outcome.ok ? accept([number, outcome.value.remaining] as const) : outcome;
      });
      if (!counted.ok) return counted;
      const counts = new Map(counted.value);
      const total = counted.value.reduce((sum, [, count]) => sum + count, 0);
      const holders = counted.value.filter(([, count]) => count > 0).map(([queue]) => queue);
      // Also where there is none: a former redrive is over everywhere.
      const started = await this.#askAll(route, everywhere(route), (queue, _, number) =>
        queue.pacedRedrive(stamp, at.group, {
          verb: "start",
          ...(ids && { ids: asked.get(number) ?? [] }),
          ratePerSecond,
          share: (counts.get(number) ?? 0) / Math.max(1, total),
          delayMs: (Math.max(0, holders.indexOf(number)) * 1_000) / ratePerSecond,
        }),
      );
      return started.ok ? accept(together(started.value)) : started;
    });
  }

  redriveProgress(at: GroupName): Promise<Outcome<RedriveProgress>> {
    return this.#pacedRedrive(at, "read");
  }

  stopRedrive(at: GroupName): Promise<Outcome<RedriveProgress>> {
    return this.#pacedRedrive(at, "stop");
  }

  #pacedRedrive(at: GroupName, verb: "read" | "stop"): Promise<Outcome<RedriveProgress>> {
    return this.#routes.useGroup(at, async (route) => {
      const outcome = await this.#askAll(route, everywhere(route), (queue) =>
        queue.pacedRedrive(stampOf(route), at.group, { verb }),
      );
      return outcome.ok ? accept(together(outcome.value)) : outcome;
    });
  }

  purge(
    at: GroupName,
    { ids, ...whose }: OfConsumer & { readonly ids?: readonly string[] },
  ): Promise<Outcome<{ purged: number }>> {
    return this.#routes.useGroup(at, async (route) => {
      const outcome = await this.#askAll(route, idsByQueue(route, ids), (queue, some) =>
        queue.purgeDeadLetters(stampOf(route), at.group, { ...whose, ...(some && { ids: some }) }),
      );
      if (!outcome.ok) return outcome;
      return accept({ purged: outcome.value.reduce((sum, each) => sum + each.purged, 0) });
    });
  }

  decideHeld(
    at: GroupName,
    { ids, ...decision }: HeldDecision,
  ): Promise<Outcome<{ decided: number }>> {
    return this.#routes.useGroup(at, async (route) => {
      const outcome = await this.#askAll(route, idsByQueue(route, ids), (queue, some) =>
        queue.decideHeld(stampOf(route), at.group, { ...decision, ...(some && { ids: some }) }),
      );
      if (!outcome.ok) return outcome;
      return accept({ decided: outcome.value.reduce((sum, each) => sum + each.decided, 0) });
    });
  }

  async #askAll<T>(
    route: TopicRoute,
    asked: ReadonlyMap<number, readonly string[] | undefined>,
    call: (
      queue: QueueRpc,
      ids: readonly string[] | undefined,
      number: number,
    ) => Promise<Outcome<T>>,
  ): Promise<Outcome<T[]>> {
    const { namespace, topic } = route;
    const outcomes = await Promise.all(
      Array.from(asked, ([queue, ids]) =>
        this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
          call(object, ids, queue),
        ),
      ),
    );
    const values: T[] = [];
    for (const outcome of outcomes) {
      if (!outcome.ok) return outcome;
      values.push(outcome.value);
    }
    return accept(values);
  }

  async #stretch(
    route: TopicRoute,
    group: string,
    queue: number,
    query: {
      readonly cursor?: string;
      readonly limit: number;
      readonly bytesMax: number;
    } & OfConsumer,
  ): Promise<Outcome<Stretch>> {
    const { namespace, topic } = route;
    const outcome = await this.#ground.objects.queue({ namespace, topic, queue }, (object) =>
      object.deadLetters(stampOf(route), group, query),
    );
    if (!outcome.ok) return outcome;
    const { entries, items, cursor } = outcome.value;
    const columns = {
      entries,
      offsets: items.map((item) => item.offset),
      storedAts: items.map((item) => item.storedAt),
    };
    const letters = messagesOf(route, queue, columns).map((message, index) => {
      const { deadAt = 0, attempts = 0, reason = "", consumerId } = items[index] ?? {};
      const whose = consumerId === undefined ? {} : { consumerId };
      return Object.assign(message, { deadAt, attempts, reason, ...whose });
    });
    return accept(cursor === undefined ? { items: letters } : { items: letters, cursor });
  }
}

/** Few enough at a time that one message of the largest size from each still fits an answer, in Base64, too. */
const WAVE_MAX = 5;
/** So often a queue is asked for more of its dead letters within one request. */
const ROUNDS_MAX = 1_000;

/** A queue puts back so many a call: without ids it is asked until it has no more. */
async function redriveIn(
  queue: QueueRpc,
  stamp: Stamp,
  group: string,
  ids: readonly string[] | undefined,
): Promise<Outcome<{ redriven: number }>> {
  let redriven = 0;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const outcome = await queue.redrive(stamp, group, ids);
    if (!outcome.ok) return outcome;
    redriven += outcome.value.redriven;
    if (ids !== undefined || outcome.value.redriven < LIMITS.redriveMax) break;
  }
  return accept({ redriven });
}

/** What the queues say of one redrive. */
function together(parts: readonly RedriveProgress[]): RedriveProgress {
  const begun = parts.filter(({ state }) => state !== "none");
  const [first] = begun;
  const sum = (of: "redriven" | "remaining"): number =>
    begun.reduce((total, part) => total + part[of], 0);
  const order = ["running", "stopped", "done"] as const;
  const state = order.find((each) => begun.some((part) => part.state === each));
  return {
    state: state ?? "none",
    ...(first?.ratePerSecond !== undefined && { ratePerSecond: first.ratePerSecond }),
    ...(first !== undefined && {
      startedAt: Math.min(...begun.map(({ startedAt = Infinity }) => startedAt)),
    }),
    redriven: sum("redriven"),
    remaining: sum("remaining"),
  };
}

const everywhere = (route: TopicRoute) => idsByQueue(route, undefined);

function idsByQueue(
  route: TopicRoute,
  ids: readonly string[] | undefined,
): Map<number, readonly string[] | undefined> {
  const queues = queuesOf(route);
  if (ids === undefined) return new Map(queues.map((queue) => [queue, undefined]));
  const byQueue = new Map<number, string[]>();
  const add = (queue: number, id: string): void => {
    const some = byQueue.get(queue);
    if (some === undefined) byQueue.set(queue, [id]);
    else some.push(id);
  };
  for (const id of ids) {
    const address = parseMessageId(id);
    if (address === undefined) continue;
    // What waited for its time may have been sent on by a growth since, what was half by its commit.
    if (address.origin !== "log") for (const queue of queues) add(queue, id);
    else if (address.incarnation === route.incarnation && address.queue < route.settings.queues) {
      add(address.queue, id);
    }
  }
  return byQueue;
}
