/**
 * Topics: made, changed, read and deleted. What is done to one topic is done one after the other, because its calls to the
 * queue objects interleave.
 *
 * [R1] A change is on disk before the first queue object hears of it, and in every queue object before it is answered.
 * [R2] A change that reached only some of them is never taken back: the row says so (`confirmed < version`), and the next
 *      call on the topic or the alarm completes it. Until then the topic is `unavailable`, never half changed.
 * [R3] When a topic grows, its new queues hear of it before the old ones, which seal on it.
 * [R4] A delete is decided by one row; from then on the topic is unknown, and what is left is completed like a change.
 */
import { accept, ERRORS, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Page, TopicRoute } from "../protocol/rpc.ts";
import { TOPIC_DEFAULTS, type TopicPatch, type TopicSettings } from "../protocol/topic.ts";
import type { Changes } from "./changes.ts";
import { pageOf, type PageQuery } from "../core/pages.ts";
import { inParallel, KeyedChain } from "./parallel.ts";
import type { Pushes } from "./pushes.ts";
import type { Ports, QueueAddress, Usage } from "./ground.ts";
import { grown, mergeTopic, sameValue } from "./rules.ts";
import type { TopicRow, TopicStore } from "./topic-store.ts";

/** Calls to queue objects that are open at a time, per operation. */
export const OPEN_CALLS_MAX = 32;
/** A reader that meets an incomplete change so soon after a failed try is refused without another. */
const RETRY_SPACING_MS = 1_000;
/** When the alarm looks after a change that nobody completed. */
const COMPLETE_AFTER_MS = 5_000;

export class Topics {
  readonly #store: TopicStore;
  readonly #changes: Changes;
  readonly #pushes: Pushes;
  readonly #ports: Ports;
  readonly #chain = new KeyedChain();
  /** When completing a topic failed last, by incarnation. */
  readonly #failedAt = new Map<number, number>();

  constructor(store: TopicStore, changes: Changes, pushes: Pushes, ports: Ports) {
    this.#store = store;
    this.#changes = changes;
    this.#pushes = pushes;
    this.#ports = ports;
  }

  async topic(name: string, create: boolean): Promise<Outcome<TopicRoute>> {
    const known = this.#store.byName(name);
    if (known !== undefined && isComplete(known)) return accept(this.#store.routeOf(known));
    if (known === undefined && !create) return this.#missing(name);
    return this.#chain.run(name, async () => {
      const row = this.findOrMake(name, create);
      if (!row.ok) return row;
      return this.#hasJustFailed(row.value) ? INCOMPLETE : this.complete(row.value);
    });
  }

  async byIncarnation(incarnation: number): Promise<Outcome<TopicRoute>> {
    const row = this.#store.byIncarnation(incarnation);
    if (row === undefined || row.deleting) {
      return refuse("topic_not_found", "The topic that this belongs to is gone");
    }
    return this.topic(row.name, false).then((outcome) =>
      outcome.ok && outcome.value.incarnation !== incarnation
        ? refuse("topic_not_found", "The topic that this belongs to is gone")
        : outcome,
    );
  }

  list(query: PageQuery): Outcome<Page<TopicRoute>> {
    return pageOf("t", query, (after, limit) =>
      this.#store
        .list(after, limit)
        .map((row) => [row.incarnation, this.#store.routeOf(row)] as const),
    );
  }

  put(name: string, patch: TopicPatch): Promise<Outcome<{ route: TopicRoute; created: boolean }>> {
    return this.#chain.run(name, async () => {
      const found = await this.#findLive(name);
      if (!found.ok) return found;
      const settings = mergeTopic(found.value?.settings ?? TOPIC_DEFAULTS, patch);
      if (!settings.ok) return settings;
      const row =
        found.value === undefined
          ? this.#make(name, settings.value)
          : this.#change(found.value, settings.value);
      const route = await this.complete(row);
      return route.ok ? accept({ route: route.value, created: row.confirmed === 0 }) : route;
    });
  }

  /** Runs `work` as the only one on this topic. */
  alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#chain.run(name, work);
  }

  delete(name: string, isForced: boolean): Promise<Outcome<{ deleted: true }>> {
    return this.#chain.run(name, async () => {
      const found = this.#store.byName(name);
      if (found === undefined) return this.#missing(name);
      if (found.deleting) return this.#finishDelete(found);
      const refusal = isForced ? undefined : await this.#refusalOfUse(found);
      if (refusal !== undefined) return refusal;
      const row = this.#store.atomically(() => {
        this.#changes.add("topic.deleted", { topic: name, incarnation: found.incarnation });
        this.#pushes.forget(found.incarnation);
        return this.#store.markDeleting(found, this.#nowMs);
      });
      this.#armSoon();
      return this.#finishDelete(row);
    });
  }

  /** Completes what is incomplete; true when nothing is left. */
  async completeAll(): Promise<boolean> {
    const outcomes = await inParallel(this.#store.unfinished(), OPEN_CALLS_MAX, (name) =>
      this.#chain.run(name, async (): Promise<Outcome<unknown>> => {
        const row = this.#store.byName(name);
        if (row === undefined) return accept(undefined);
        return row.deleting ? this.#finishDelete(row) : this.complete(row);
      }),
    );
    return outcomes.every(({ ok }) => ok);
  }

  /** The live row, made with defaults when it may be. Call it alone. */
  findOrMake(name: string, create: boolean): Outcome<TopicRow> {
    const row = this.#store.byName(name);
    if (row !== undefined && !row.deleting) return accept(row);
    const isFree = row === undefined && !this.#store.wasDeleted(name, this.#nowMs);
    return isFree && create ? accept(this.#make(name, TOPIC_DEFAULTS)) : this.#missing(name);
  }

  /** Brings the row's version to every object that may lack it, and says so on disk. Call it alone. */
  async complete(row: TopicRow): Promise<Outcome<TopicRoute>> {
    const route = this.#store.routeOf(row);
    if (isComplete(row)) return accept(route);
    this.#armSoon();
    const queues = Array.from({ length: row.settings.queues }, (_, queue) => queue);
    const fresh = queues.filter((queue) => queue >= row.confirmedQueues);
    const old = queues.filter((queue) => queue < row.confirmedQueues);
    for (const some of [fresh, old]) {
      const done = await this.#onQueues(row, some, ({ queue }) =>
        this.#ports.configureQueue(route, queue),
      );
      if (done.ok) continue;
      this.#failedAt.set(row.incarnation, this.#nowMs);
      return done;
    }
    const told = await this.#pushes.tell(row.incarnation, route);
    if (!told.ok) {
      this.#failedAt.set(row.incarnation, this.#nowMs);
      return isPassing(told) ? told : INCOMPLETE;
    }
    this.#failedAt.delete(row.incarnation);
    this.#store.atomically(() => this.#store.confirm(row));
    return accept(route);
  }

  get #nowMs(): number {
    return this.#ports.clock.nowMs();
  }

  #make(name: string, settings: TopicSettings): TopicRow {
    return this.#store.atomically(() => {
      const row = this.#store.insert(name, settings, this.#nowMs);
      const { incarnation } = row;
      this.#changes.add("topic.created", {
        topic: name,
        incarnation,
        queues: settings.queues,
      });
      return row;
    });
  }

  #change(row: TopicRow, settings: TopicSettings): TopicRow {
    if (sameValue(settings, row.settings)) return row;
    return this.#store.atomically(() => {
      const { queues } = settings;
      const growths = grown(row.growths, row.settings.queues, queues, this.#nowMs);
      const changed = this.#store.change(row, settings, growths);
      const { name, incarnation, version } = changed;
      this.#changes.add("topic.updated", { topic: name, incarnation, version });
      if (queues !== row.settings.queues) {
        this.#changes.add("route.changed", { topic: name, incarnation, version, queues });
      }
      return changed;
    });
  }

  /** The live row or none; what is left of a deleted one is dropped first. */
  async #findLive(name: string): Promise<Outcome<TopicRow | undefined>> {
    const row = this.#store.byName(name);
    if (row?.deleting !== true) return accept(row);
    const finished = await this.#finishDelete(row);
    return finished.ok ? accept(undefined) : finished;
  }

  async #finishDelete(row: TopicRow): Promise<Outcome<{ deleted: true }>> {
    const queues = Array.from({ length: row.settings.queues }, (_, queue) => queue);
    const dropped = await this.#onQueues(row, queues, (at) =>
      this.#ports.dropQueue(at, row.incarnation),
    );
    if (!dropped.ok) return dropped;
    const told = await this.#pushes.tell(row.incarnation);
    if (!told.ok) return isPassing(told) ? told : INCOMPLETE;
    this.#failedAt.delete(row.incarnation);
    this.#store.atomically(() => this.#store.remove(row, this.#nowMs));
    return accept({ deleted: true });
  }

  /** Why a topic may not be deleted; undefined when nothing would be lost. */
  async #refusalOfUse(row: TopicRow): Promise<Refusal | undefined> {
    const route = await this.complete(row);
    if (!route.ok) return route;
    const queues = Array.from({ length: row.settings.queues }, (_, queue) => queue);
    const uses = await this.#onQueues(row, queues, (at) =>
      this.#ports.queueInUse(at, row.incarnation, true),
    );
    if (!uses.ok) return this.#letGo(row, queues, uses);
    const sum = (field: keyof Usage): number =>
      uses.value.reduce((total, usage) => total + usage[field], 0);
    const facts = {
      prepared: sum("prepared"),
      delayed: sum("delayed"),
      forwarding: sum("forwarding"),
    };
    const isFree = facts.prepared + facts.delayed + facts.forwarding === 0;
    if (isFree) return undefined;
    return this.#letGo(row, queues, refuse("topic_in_use", "The topic still holds work", facts));
  }

  /** The delete is off: the queues take in again. One that does not hear it does so by itself. */
  async #letGo(row: TopicRow, queues: readonly number[], refusal: Refusal): Promise<Refusal> {
    await this.#onQueues(row, queues, (at) => this.#ports.queueInUse(at, row.incarnation, false));
    return refusal;
  }

  /** The same call to some queue objects; refused as a whole when one of them is. */
  async #onQueues<T>(
    row: TopicRow,
    queues: readonly number[],
    call: (at: QueueAddress) => Promise<Outcome<T>>,
  ): Promise<Outcome<T[]>> {
    const outcomes = await inParallel(queues, OPEN_CALLS_MAX, (queue) =>
      call({ topic: row.name, queue }),
    );
    const values: T[] = [];
    for (const [queue, outcome] of outcomes.entries()) {
      if (outcome.ok) {
        values.push(outcome.value);
        continue;
      }
      const { code } = outcome;
      const { name: topic, incarnation, version } = row;
      const fields = { topic, queue: queues[queue], incarnation, version, code };
      this.#ports.log.error("registry.queue_refused", fields);
      return isPassing(outcome) ? outcome : INCOMPLETE;
    }
    return accept(values);
  }

  #hasJustFailed(row: TopicRow): boolean {
    const failedAt = this.#failedAt.get(row.incarnation);
    return failedAt !== undefined && this.#nowMs - failedAt < RETRY_SPACING_MS;
  }

  #missing(name: string): Refusal {
    const detail = this.#store.wasDeleted(name, this.#nowMs)
      ? `Topic ${name} was deleted less than a minute ago; until then it is made again by PUT only`
      : `No topic is called ${name}`;
    return refuse("topic_not_found", detail, { topic: name });
  }

  #armSoon(): void {
    this.#ports.armAlarm(this.#nowMs + COMPLETE_AFTER_MS);
  }
}

const INCOMPLETE = refuse("unavailable", "A change of the topic has not reached every queue yet");

const isComplete = (row: TopicRow): boolean => !row.deleting && row.confirmed === row.version;

/** Refusals that the caller of the registry can be told as they are. */
const isPassing = ({ code }: Refusal): boolean =>
  code !== "stale_route" && ERRORS[code].status === 503;
