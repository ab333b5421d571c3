/**
 * HalfMQ over the invented platform: the real broker in two isolates, real queues, a real registry and real coordinators.
 * Everything of it dies with `crash`, and comes back with what its disks have.
 */
import { hash } from "node:crypto";
import { createBroker } from "../../../src/broker/durable-broker.ts";
import type { Broker } from "../../../src/broker/broker.ts";
import type { Objects, Repeat } from "../../../src/broker/objects.ts";
import { Coordinator } from "../../../src/coordinator/coordinator.ts";
import type { Question } from "../../../src/coordinator/ports.ts";
import { callObject } from "../../../src/platform/stub.ts";
import type { Log } from "../../../src/platform/log.ts";
import type { PostAnswer } from "../../../src/platform/webhook.ts";
import { accept, refuse, type Outcome } from "../../../src/protocol/errors.ts";
import {
  coordinatorObjectName,
  queueObjectName,
  registryObjectName,
  type CoordinatorRpc,
  type QueueRpc,
  type RegistryRpc,
} from "../../../src/protocol/rpc.ts";
import { BOUNDS, type QueueBounds } from "../../../src/queue/bounds.ts";
import { Queue } from "../../../src/queue/queue.ts";
import { QueueVerbs } from "../../../src/queue/verbs.ts";
import { Registry } from "../../../src/registry/registry.ts";
import type { Dice } from "./dice.ts";
import { type Clock, pause } from "../../../src/platform/clock.ts";
import type { BodyStore } from "../../../src/bodies/bucket.ts";
import { LargeBodies } from "../../../src/bodies/large-bodies.ts";
import { Bucket } from "./bucket.ts";
import type { Disk } from "./disk.ts";
import type { Host, Life, Wake } from "./host.ts";

export const NAMESPACE = "default";
const REGISTRY_CALL_MS = 10_000;
const ISOLATES = 2;

export interface DeploymentPorts {
  readonly ringDeltas: number;
  /** Larger bodies go to the bucket, which has dice of its own. */
  readonly inlineBytesMax: number;
  /** Old segments go there as well, from this age on. */
  readonly coldAfterMs: number;
  readonly bucketDice: Dice;
  /** What the producers of a group say when they are asked. */
  readonly post: (question: Question) => Promise<PostAnswer>;
  /** Something the objects log as an error, or say of a check that has begun. */
  readonly onError: (error: unknown) => void;
  readonly onBegun: (transactionId: string, attempt: number) => void;
}

const quiet: Log = { info: () => undefined, error: () => undefined };

const digest = (_algorithm: string, bytes: Uint8Array): Promise<ArrayBuffer> =>
  Promise.resolve(Uint8Array.from(hash("sha256", bytes, "buffer")).buffer);

/** Real digests take a thread of their own, whose moments no seed rules. */
export function tameDigests(): void {
  Object.defineProperty(globalThis.crypto.subtle, "digest", { value: digest, configurable: true });
}

export class Deployment {
  readonly #host: Host;
  readonly #dice: Dice;
  readonly #ports: DeploymentPorts;
  /** It outlives every crash. */
  readonly bucket: Bucket;
  #brokers: Broker[] = [];
  /** Requests of an isolate that is gone are never answered. */
  #process = Promise.withResolvers<never>();

  constructor(host: Host, dice: Dice, ports: DeploymentPorts) {
    this.#host = host;
    this.#dice = dice;
    this.#ports = ports;
    this.bucket = new Bucket(host, ports.bucketDice);
    this.#boot();
  }

  #boot(): void {
    this.#process = Promise.withResolvers<never>();
    this.#process.promise.catch(() => undefined);
    this.#brokers = Array.from({ length: ISOLATES }, () =>
      createBroker({
        objects: this.#objects(),
        nowMs: () => this.#host.wallMs(),
        pause: (delayMs) => pause(this.#host.clock, delayMs),
        random: this.#dice.roll,
        autoCreate: true,
        bodies: this.#largeBodies(this.#host.clock),
      }),
    );
  }

  /** A request to whichever isolate takes it; rejects when the process dies first. */
  request<T>(verb: (broker: Broker) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    return Promise.race([verb(this.#dice.pick(this.#brokers)), this.#process.promise]);
  }

  /** SIGKILL: every isolate and every object. */
  crash(): void {
    this.#process.reject(new Error("the process was killed"));
    this.#host.crash();
    this.#boot();
  }

  /** The cron trigger's round. */
  watchdog(): Promise<Outcome<number>> {
    return this.#objects().registry(NAMESPACE, async (registry) =>
      accept(await registry.watchdog()),
    );
  }

  /** However little is stored, old segments may go to the bucket, a few messages at a time. */
  get #bounds(): QueueBounds {
    const { ringDeltas, coldAfterMs } = this.#ports;
    const cold = { warmShare: 0, coldAfterMs, blockBytes: 400, fetchedBytesMax: 3_000 };
    return { ...BOUNDS, ...cold, ringDeltas };
  }

  /** As every outgoing call, one to the bucket leaves when what was written before is on disk. */
  #bucketBehind(disk: Disk): BodyStore {
    const { bucket } = this;
    return {
      newKey: () => bucket.newKey(),
      put: (key, body) => disk.synced().then(() => bucket.put(key, body)),
      get: (ref) => disk.synced().then(() => bucket.get(ref)),
      delete: (keys) => disk.synced().then(() => bucket.delete(keys)),
    };
  }

  /** Bodies of some length go to the bucket, where the plan has one. */
  #largeBodies(clock: Clock): LargeBodies {
    return new LargeBodies(clock, this.bucket, this.#ports.inlineBytesMax);
  }

  // ------------------------------------------------------------ calls

  #objects(): Objects {
    const options = (repeat?: Repeat) => ({
      clock: {
        nowMs: () => this.#host.wallMs(),
        after: this.#host.clock.after.bind(this.#host.clock),
      },
      random: this.#dice.roll,
      log: quiet,
      ...(repeat === "never" ? { attemptsMax: 1 } : {}),
    });
    return {
      queue: ({ namespace, topic, queue }, call, repeat) =>
        callObject(
          () => queueObjectName(namespace, topic, queue),
          (name) =>
            this.#host.call<QueueRpc, Awaited<ReturnType<typeof call>>>(
              name,
              this.#wakeQueue,
              call,
            ),
          options(repeat),
        ),
      registry: (namespace, call, repeat) =>
        callObject(
          () => `registry:${registryObjectName(namespace)}`,
          (name) =>
            this.#host.call<RegistryRpc, Awaited<ReturnType<typeof call>>>(
              name,
              this.#wakeRegistry,
              call,
            ),
          options(repeat),
        ),
      pusher: () => Promise.resolve(refuse("unavailable", "Nobody is pushed to here")),
      scheduler: () => Promise.reject(new Error("nothing is scheduled here")),
      openStream: () => Promise.reject(new Error("nothing is streamed here")),
      coordinator: ({ namespace, producerGroup }, call) =>
        callObject(
          () => `coordinator:${coordinatorObjectName(namespace, producerGroup)}`,
          (name) =>
            this.#host.call<CoordinatorRpc, Awaited<ReturnType<typeof call>>>(
              name,
              this.#wakeCoordinator,
              call,
            ),
          options(),
        ),
    };
  }

  #callQueue<T>(
    life: Life,
    at: { namespace: string; topic: string; queue: number },
    call: (queue: QueueRpc) => Promise<T>,
  ): Promise<T> {
    const name = queueObjectName(at.namespace, at.topic, at.queue);
    return this.#host.call(name, this.#wakeQueue, call, life);
  }

  // ------------------------------------------------------------ objects

  readonly #wakeQueue: Wake = (name, life) => {
    const { disk } = life;
    const queue = new Queue(
      disk,
      {
        armedAt: disk.alarmAt,
        storedBytes: () => 0,
        random: this.#dice.roll,
        bounds: this.#bounds,
        transaction: (run) => disk.transaction(run),
        synced: () => disk.synced(),
        abort: () => life.end(),
        setAlarm: (atMs) => {
          disk.setAlarm(atMs);
          this.#host.armed(name);
        },
        deleteAll: () => disk.deleteAll(),
        bucket: this.#bucketBehind(disk),
        // Groups that are pushed have a pusher to simulate; here all of them are pulled from.
        push: () => Promise.resolve(),
        stream: () => Promise.resolve(false),
        streamEnded: () => Promise.resolve(),
        offer: (namespace, producerGroup, offers) =>
          this.#host.call<CoordinatorRpc, void>(
            `coordinator:${coordinatorObjectName(namespace, producerGroup)}`,
            this.#wakeCoordinator,
            (coordinator) => coordinator.offer(namespace, producerGroup, offers),
            life,
          ),
        forward: (namespace, target, call) =>
          this.#callQueue(life, { namespace, topic: target.topic, queue: target.queue }, (queue) =>
            queue.forward(call),
          ),
        ring: ({ namespace, topic, incarnation }, ring) =>
          this.#callQueue(life, { namespace, topic, queue: 0 }, (queue) =>
            queue.ring({ ...ring, incarnation }),
          ),
        drained: ({ namespace, topic, incarnation }, drained, to) =>
          this.#callQueue(life, { namespace, topic, queue: to }, (queue) =>
            queue.drained({ ...drained, incarnation }),
          ),
      },
      life.clock,
      quiet,
    );
    return { verbs: new QueueVerbs(queue), alarm: () => queue.alarm() };
  };

  readonly #wakeRegistry: Wake = (name, life) => {
    const { disk } = life;
    const bounded = (
      call: (queue: QueueRpc) => Promise<Outcome<unknown>>,
      topic: string,
      queue: number,
    ) =>
      callObject(
        () => ({ namespace: NAMESPACE, topic, queue }),
        (at) => this.#callQueue(life, at, call),
        { clock: life.clock, random: this.#dice.roll, log: quiet, timeoutMs: REGISTRY_CALL_MS },
      );
    const registry = new Registry(
      { sql: disk, transactionSync: (body) => disk.transaction(body) },
      {
        namespace: NAMESPACE,
        configureQueue: (route, queue) =>
          bounded((object) => object.configure(route, queue), route.topic, queue),
        queueInUse: async ({ topic, queue }, incarnation, hold) => {
          const usage = await bounded((object) => object.inUse(incarnation, hold), topic, queue);
          return usage as Outcome<{ prepared: number; delayed: number; forwarding: number }>;
        },
        dropQueue: ({ topic, queue }, incarnation) =>
          bounded((object) => object.drop(incarnation), topic, queue),
        pokeQueue: ({ topic, queue }) =>
          bounded(async (object) => accept(await object.poke()), topic, queue),
        configureCoordinator: (group, record) =>
          callObject(
            () => `coordinator:${coordinatorObjectName(NAMESPACE, group)}`,
            async (at) =>
              accept(
                await this.#host.call<CoordinatorRpc, void>(
                  at,
                  this.#wakeCoordinator,
                  (coordinator) => coordinator.configure(record),
                  life,
                ),
              ),
            { clock: life.clock, random: this.#dice.roll, log: quiet, timeoutMs: REGISTRY_CALL_MS },
          ),
        configurePusher: () => Promise.resolve(accept(undefined)),
        enterNamespace: () => Promise.resolve(accept(undefined)),
        armAlarm: (atMs) => {
          if (disk.alarmAt !== undefined && disk.alarmAt <= atMs) return;
          disk.setAlarm(atMs);
          this.#host.armed(name);
        },
        randomBytes: (count) => Uint8Array.from({ length: count }, () => this.#dice.int(0, 255)),
        clock: life.clock,
        log: quiet,
      },
    );
    return { verbs: registryVerbs(registry), alarm: () => registry.alarm() };
  };

  readonly #wakeCoordinator: Wake = (_name, life) => {
    const coordinator = new Coordinator(life.disk, {
      queue: (namespace, topic, queue) => {
        const at = { namespace, topic, queue };
        return {
          beginChecks: (...args) =>
            this.#callQueue(life, at, async (object) => {
              const outcome = await object.beginChecks(...args);
              if (outcome.ok)
                for (const { transactionId, attempt } of outcome.value)
                  this.#ports.onBegun(transactionId, attempt);
              return outcome;
            }),
          readChecks: (...args) =>
            this.#callQueue(life, at, (object) => object.readChecks(...args)),
          endCheck: (...args) => this.#callQueue(life, at, (object) => object.endCheck(...args)),
        };
      },
      post: async (question) => {
        await life.disk.synced();
        return this.#ports.post(question);
      },
      worker: () => undefined,
      bodies: this.#largeBodies(life.clock),
      clock: life.clock,
      log: quiet,
    });
    return { verbs: coordinator };
  };
}

/** As registry/object.ts gives them to RPC. */
function registryVerbs(registry: Registry): Partial<RegistryRpc> {
  const { topics, groups, producerGroups, changes } = registry;
  return {
    topic: (...args) => topics.topic(...args),
    topicByIncarnation: (...args) => topics.byIncarnation(...args),
    putTopic: (...args) => topics.put(...args),
    listTopics: async (...args) => topics.list(...args),
    deleteTopic: (...args) => topics.delete(...args),
    putGroup: (...args) => groups.put(...args),
    pauseGroup: (...args) => groups.pause(...args),
    deleteGroup: (...args) => groups.delete(...args),
    putProducerGroup: (...args) => producerGroups.put(...args),
    seeProducerGroup: (...args) => producerGroups.see(...args),
    changes: (...args) => changes.read(...args),
    watchdog: () => registry.watchdog(),
  };
}
