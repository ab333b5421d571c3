/**
 * The catalogue of one namespace: its parts over one storage, what the alarm completes, and the watchdog's round.
 */
import type { Outcome } from "../protocol/errors.ts";
import { inParallel } from "./parallel.ts";
import { Changes } from "./changes.ts";
import { Groups } from "./groups.ts";
import { Keys } from "./keys.ts";
import type { Ports, QueueAddress, Storage } from "./ground.ts";
import { Namespaces } from "./namespaces.ts";
import { ProducerGroupStore } from "./producer-group-store.ts";
import { ProducerGroups } from "./producer-groups.ts";
import { PushStore } from "./push-store.ts";
import { Pushes } from "./pushes.ts";
import { SendBudgets } from "./send-budgets.ts";
import { createTables } from "./schema.ts";
import { TopicStore } from "./topic-store.ts";
import { OPEN_CALLS_MAX, Topics } from "./topics.ts";

const FIRST_RETRY_MS = 5_000;
const RETRY_MS_MAX = 60_000;

export class Registry {
  readonly topics: Topics;
  readonly groups: Groups;
  readonly producerGroups: ProducerGroups;
  readonly keys: Keys;
  readonly changes: Changes;
  readonly namespaces: Namespaces;
  readonly #topicStore: TopicStore;
  readonly #producerGroupStore: ProducerGroupStore;
  readonly #pushStore: PushStore;
  readonly #ports: Ports;
  readonly #sendBudgets: SendBudgets;
  #failures = 0;

  /** Wakes up: what an earlier life left incomplete is completed by the alarm, or by the next call on it. */
  constructor(storage: Storage, ports: Ports) {
    createTables(storage);
    this.#ports = ports;
    this.#topicStore = new TopicStore(storage, ports);
    this.#producerGroupStore = new ProducerGroupStore(storage);
    this.changes = new Changes(storage, ports.clock);
    this.#pushStore = new PushStore(storage);
    const pushes = new Pushes(this.#pushStore, ports);
    this.topics = new Topics(this.#topicStore, this.changes, pushes, ports);
    const { changes, topics } = this;
    this.groups = new Groups({ store: this.#topicStore, changes, topics, pushes }, ports);
    this.producerGroups = new ProducerGroups(this.#producerGroupStore, this.changes, ports);
    this.keys = new Keys(storage, this.changes, ports);
    this.namespaces = new Namespaces(storage, ports);
    this.#sendBudgets = new SendBudgets(ports.clock);
    this.#arm();
  }

  /** What a limited key may send now. */
  takeSends(name: string, least: number, most: number): Outcome<{ granted: number }> {
    const key = this.keys.get(name);
    return key.ok ? this.#sendBudgets.take(name, key.value.limits, least, most) : key;
  }

  /** Completes what is incomplete and arms for what is left. */
  async alarm(): Promise<void> {
    const isDone = await this.#completeAll();
    this.#failures = isDone ? 0 : this.#failures + 1;
    this.#arm();
  }

  /** Lets every queue object run what is due; answers how many did. */
  async watchdog(): Promise<number> {
    await this.#completeAll();
    const addresses = this.#topicStore
      .all()
      .flatMap(({ name, settings }) =>
        Array.from({ length: settings.queues }, (_, queue) => ({ topic: name, queue })),
      );
    const poked = await inParallel(addresses, OPEN_CALLS_MAX, (at) => this.#poke(at));
    return poked.filter(Boolean).length;
  }

  async #completeAll(): Promise<boolean> {
    const [topics, producerGroups] = await Promise.all([
      this.topics.completeAll(),
      this.producerGroups.completeAll(),
    ]);
    // Those of topics that were not complete are told by now; a new secret changes no topic.
    const pushes = await inParallel(this.#pushStore.unfinishedTopics(), OPEN_CALLS_MAX, (name) =>
      this.groups.tellPushers(name),
    );
    return topics && producerGroups && pushes.every(({ ok }) => ok);
  }

  async #poke(at: QueueAddress): Promise<boolean> {
    const outcome = await this.#ports.pokeQueue(at);
    if (!outcome.ok) this.#ports.log.error("registry.poke_failed", { ...at, code: outcome.code });
    return outcome.ok;
  }

  #arm(): void {
    const nowMs = this.#ports.clock.nowMs();
    const forgetAt = this.#topicStore.forgetDeleted(nowMs);
    if (forgetAt !== undefined) this.#ports.armAlarm(forgetAt);
    const unfinished =
      this.#topicStore.unfinished().length +
      this.#producerGroupStore.unfinished().length +
      this.#pushStore.unfinishedTopics().length;
    if (unfinished === 0) return;
    const delayMs = Math.min(RETRY_MS_MAX, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10));
    this.#ports.armAlarm(nowMs + delayMs);
  }
}
