/**
 * The Durable Object of one namespace's registry: a shell that gives the catalogue its storage, ports and alarm.
 * Every public method answers over RPC; it never decides anything.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import type { Env, RegistryRpc } from "../protocol/rpc.ts";
import { durablePorts } from "./durable-ports.ts";
import { missing } from "./keys.ts";
import { Registry } from "./registry.ts";
import { hasTables } from "./schema.ts";

/** When an alarm that broke off is tried again. */
const ALARM_RETRY_MS = 30_000;

type Args<K extends keyof RegistryRpc> = Parameters<RegistryRpc[K]>;
type Answer<K extends keyof RegistryRpc> = ReturnType<RegistryRpc[K]>;

export class RegistryObject extends DurableObject<Env> implements RegistryRpc {
  #made: Registry | undefined;
  #armedAt = Number.POSITIVE_INFINITY;

  /** Made at the first call that may write; the constructor leaves an object that nobody owns without a row. */
  get #registry(): Registry {
    const namespace = this.ctx.id.name;
    if (namespace === undefined) throw new Error("a registry is reached by its name only");
    this.#made ??= new Registry(
      this.ctx.storage,
      durablePorts(this.env, namespace, (atMs) => this.#arm(atMs)),
    );
    return this.#made;
  }

  #arm(atMs: number): void {
    if (this.#armedAt <= atMs) return;
    this.#armedAt = atMs;
    void this.ctx.storage.setAlarm(atMs);
  }

  override async alarm(): Promise<void> {
    this.#armedAt = Number.POSITIVE_INFINITY;
    try {
      await this.#registry.alarm();
    } catch (error) {
      log.error("registry.alarm_failed", { message: String(error) });
      this.#arm(systemClock.nowMs() + ALARM_RETRY_MS);
    }
  }

  /** Runs what may make something, once the namespace is in the list of them. */
  async #making<T>(work: (registry: Registry) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const registry = this.#registry;
    return (await registry.namespaces.enter()) ?? work(registry);
  }

  topic(...[name, create]: Args<"topic">): Answer<"topic"> {
    return create
      ? this.#making(({ topics }) => topics.topic(name, true))
      : this.#registry.topics.topic(name, false);
  }

  topicByIncarnation(...args: Args<"topicByIncarnation">): Answer<"topicByIncarnation"> {
    return this.#registry.topics.byIncarnation(...args);
  }

  putTopic(...args: Args<"putTopic">): Answer<"putTopic"> {
    return this.#making(({ topics }) => topics.put(...args));
  }

  async listTopics(...args: Args<"listTopics">): Answer<"listTopics"> {
    return this.#registry.topics.list(...args);
  }

  deleteTopic(...args: Args<"deleteTopic">): Answer<"deleteTopic"> {
    return this.#registry.topics.delete(...args);
  }

  putGroup(...args: Args<"putGroup">): Answer<"putGroup"> {
    return this.#making(({ groups }) => groups.put(...args));
  }

  pauseGroup(...args: Args<"pauseGroup">): Answer<"pauseGroup"> {
    return this.#registry.groups.pause(...args);
  }

  deleteGroup(...args: Args<"deleteGroup">): Answer<"deleteGroup"> {
    return this.#registry.groups.delete(...args);
  }

  deletePush(...args: Args<"deletePush">): Answer<"deletePush"> {
    return this.#registry.groups.deletePush(...args);
  }

  rotatePushSecret(...args: Args<"rotatePushSecret">): Answer<"rotatePushSecret"> {
    return this.#registry.groups.rotatePushSecret(...args);
  }

  async pushRecord(...args: Args<"pushRecord">): Answer<"pushRecord"> {
    return this.#registry.groups.pushRecord(...args);
  }

  disablePush(...args: Args<"disablePush">): Answer<"disablePush"> {
    return this.#registry.groups.disablePush(...args);
  }

  putProducerGroup(...args: Args<"putProducerGroup">): Answer<"putProducerGroup"> {
    return this.#making(({ producerGroups }) => producerGroups.put(...args));
  }

  rotateProducerSecret(...args: Args<"rotateProducerSecret">): Answer<"rotateProducerSecret"> {
    return this.#registry.producerGroups.rotate(...args);
  }

  async producerGroup(...args: Args<"producerGroup">): Answer<"producerGroup"> {
    return this.#registry.producerGroups.get(...args);
  }

  deleteProducerGroup(...args: Args<"deleteProducerGroup">): Answer<"deleteProducerGroup"> {
    return this.#registry.producerGroups.delete(...args);
  }

  async listProducerGroups(...args: Args<"listProducerGroups">): Answer<"listProducerGroups"> {
    return this.#registry.producerGroups.list(...args);
  }

  seeProducerGroup(...args: Args<"seeProducerGroup">): Answer<"seeProducerGroup"> {
    return this.#making(({ producerGroups }) => producerGroups.see(...args));
  }

  putKey(...args: Args<"putKey">): Answer<"putKey"> {
    return this.#making(({ keys }) => keys.put(...args));
  }

  async key(...args: Args<"key">): Answer<"key"> {
    return this.#registry.keys.get(...args);
  }

  async listKeys(...args: Args<"listKeys">): Answer<"listKeys"> {
    return this.#registry.keys.list(...args);
  }

  async deleteKey(...args: Args<"deleteKey">): Answer<"deleteKey"> {
    return this.#registry.keys.delete(...args);
  }

  /** Asked before anyone is authenticated: a namespace that somebody made up gets no tables. */
  async keyHash(name: string): Answer<"keyHash"> {
    return hasTables(this.ctx.storage) ? this.#registry.keys.hash(name) : missing(name);
  }

  async takeSends(...[name, least, most]: Args<"takeSends">): Answer<"takeSends"> {
    return this.#registry.takeSends(name, least, most);
  }

  changes(...args: Args<"changes">): Answer<"changes"> {
    return this.#registry.changes.read(...args);
  }

  watchdog(): Answer<"watchdog"> {
    return this.#registry.watchdog();
  }

  async enterNamespace(...args: Args<"enterNamespace">): Answer<"enterNamespace"> {
    return this.#registry.namespaces.add(...args);
  }

  /** Asked before anyone is authenticated, too. */
  async knowsNamespace(name: string): Answer<"knowsNamespace"> {
    return accept({
      known: hasTables(this.ctx.storage) && this.#registry.namespaces.knows(name),
    });
  }

  async namespaces(...args: Args<"namespaces">): Answer<"namespaces"> {
    return this.#registry.namespaces.list(...args);
  }
}
