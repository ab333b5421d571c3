/**
 * The objects of HalfMQ over the invented platform: each wakes with what its disk has, and reaches the others through calls
 * that may get lost. As the shells of `src` do it for Cloudflare.
 */
import type { BodyStore } from "../../../src/bodies/bucket.ts";
import type { LargeBodies } from "../../../src/bodies/large-bodies.ts";
import { Coordinator } from "../../../src/coordinator/coordinator.ts";
import type { Question } from "../../../src/coordinator/ports.ts";
import type { Clock } from "../../../src/platform/clock.ts";
import type { Log } from "../../../src/platform/log.ts";
import { callObject } from "../../../src/platform/stub.ts";
import type { PostAnswer } from "../../../src/platform/webhook.ts";
import { accept, type Outcome } from "../../../src/protocol/errors.ts";
import {
  coordinatorObjectName,
  groupObjectName,
  queueObjectName,
  registryObjectName,
  type CoordinatorRpc,
  type GatewayRpc,
  type PusherRpc,
  type PushRecord,
  type QueueRpc,
  type RegistryRpc,
} from "../../../src/protocol/rpc.ts";
import type { PushPost } from "../../../src/push/ports.ts";
import { Pusher } from "../../../src/push/pusher.ts";
import { BOUNDS, type QueueBounds } from "../../../src/queue/bounds.ts";
import { Halves } from "../../../src/queue/halves/halves.ts";
import { idOf } from "../../../src/queue/halves/transaction-view.ts";
import { Queue } from "../../../src/queue/queue.ts";
import { QueueVerbs } from "../../../src/queue/verbs.ts";
import { Registry } from "../../../src/registry/registry.ts";
import type { Bucket } from "./bucket.ts";
import type { Dice } from "./dice.ts";
import type { Disk } from "./disk.ts";
import { Gateways } from "./gateway.ts";
import type { Host, Life, Wake } from "./host.ts";
import { keptOn } from "./kept.ts";

export const NAMESPACE = "default";
const CALL_MS = 10_000;

export interface WakePorts {
  readonly ringDeltas: number;
  /** Old segments go to the bucket from this age on. */
  readonly coldAfterMs: number;
  readonly blockBytes: number;
  /** What the producers of a group say when they are asked. */
  readonly post: (question: Question) => Promise<PostAnswer>;
  /** What the endpoint of a group that pushes answers. */
  readonly push: (post: PushPost) => Promise<PostAnswer>;
  /** A check has begun. */
  readonly onBegun: (transactionId: string, attempt: number) => void;
  /** A flush commits a transaction; a crash may still take it back. */
  readonly onCommitted: (transactionId: string) => void;
}

const quiet: Log = { info: () => undefined, error: () => undefined };

export class Wakes {
  readonly #host: Host;
  readonly #dice: Dice;
  readonly #ports: WakePorts;
  readonly #bucket: Bucket;
  readonly #bodies: (clock: Clock) => LargeBodies;
  readonly gateways: Gateways;

  /** `bodies`: where large ones are, for an object with that clock. */
  constructor(
    host: Host,
    dice: Dice,
    ports: WakePorts,
    { bucket, bodies }: { readonly bucket: Bucket; readonly bodies: (clock: Clock) => LargeBodies },
  ) {
    this.#host = host;
    this.#dice = dice;
    this.#ports = ports;
    this.#bucket = bucket;
    this.#bodies = bodies;
    this.gateways = new Gateways({
      host,
      dice,
      registry: (name, life) => this.registry(name, life),
      bodies,
      callQueue: (life, at, call) => this.callQueue(life, at, call),
    });
  }

  /** However little is stored, old segments may go to the bucket, a few messages at a time. */
  get #bounds(): QueueBounds {
    const { ringDeltas, coldAfterMs, blockBytes } = this.#ports;
    const cold = { warmShare: 0, coldAfterMs, blockBytes, fetchedBytesMax: 4_000 };
    return { ...BOUNDS, ...cold, ringDeltas };
  }

  /** As every outgoing call, one to the bucket leaves when what was written before is on disk. */
  #bucketBehind(disk: Disk): BodyStore {
    const bucket = this.#bucket;
    return {
      newKey: () => bucket.newKey(),
      put: (key, body) => disk.synced().then(() => bucket.put(key, body)),
      get: (ref) => disk.synced().then(() => bucket.get(ref)),
      delete: (keys) => disk.synced().then(() => bucket.delete(keys)),
    };
  }

  callQueue<T>(
    life: Life,
    at: { namespace: string; topic: string; queue: number },
    call: (queue: QueueRpc) => Promise<T>,
  ): Promise<T> {
    const name = queueObjectName(at.namespace, at.topic, at.queue);
    return this.#host.call(name, this.queue, call, life);
  }

  readonly queue: Wake = (name, life) => {
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
        push: ({ namespace, topic, incarnation }, { name: group, number }, at) =>
          this.#host.call<PusherRpc, void>(
            `pusher:${groupObjectName(namespace, topic, group)}`,
            this.pusher,
            (pusher) => pusher.ring(incarnation, number, at),
            life,
          ),
        stream: ({ namespace, topic, incarnation }, { name: group, number }, at) =>
          this.#host.call<GatewayRpc, boolean>(
            `gateway:${groupObjectName(namespace, topic, group)}`,
            this.gateways.wake,
            (gateway) => gateway.ring(incarnation, number, at),
            life,
          ),
        streamEnded: () => Promise.reject(new Error("no group is deleted here")),
        offer: (namespace, producerGroup, offers) =>
          this.#host.call<CoordinatorRpc, void>(
            `coordinator:${coordinatorObjectName(namespace, producerGroup)}`,
            this.coordinator,
            (coordinator) => coordinator.offer(namespace, producerGroup, offers),
            life,
          ),
        forward: (namespace, target, call) =>
          this.callQueue(life, { namespace, topic: target.topic, queue: target.queue }, (queue) =>
            queue.forward(call),
          ),
        ring: ({ namespace, topic, incarnation }, ring) =>
          this.callQueue(life, { namespace, topic, queue: 0 }, (queue) =>
            queue.ring({ ...ring, incarnation }),
          ),
        drained: ({ namespace, topic, incarnation }, drained, to) =>
          this.callQueue(life, { namespace, topic, queue: to }, (queue) =>
            queue.drained({ ...drained, incarnation }),
          ),
      },
      life.clock,
      quiet,
    );
    this.#tellCommits(queue);
    return { verbs: new QueueVerbs(queue), alarm: () => queue.alarm() };
  };

  #tellCommits({ store }: Queue): void {
    const { halves } = store;
    const value: typeof halves.decide = (open, decided) => {
      if (decided.state === "committed") this.#ports.onCommitted(idOf(store, open.position));
      Halves.prototype.decide.call(halves, open, decided);
    };
    Object.defineProperty(halves, "decide", { value });
  }

  readonly registry: Wake = (name, life) => {
    const { disk } = life;
    const bounded = (
      call: (queue: QueueRpc) => Promise<Outcome<unknown>>,
      topic: string,
      queue: number,
    ) =>
      callObject(
        () => ({ namespace: NAMESPACE, topic, queue }),
        (at) => this.callQueue(life, at, call),
        { clock: life.clock, random: this.#dice.roll, log: quiet, timeoutMs: CALL_MS },
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
                  this.coordinator,
                  (coordinator) => coordinator.configure(record),
                  life,
                ),
              ),
            { clock: life.clock, random: this.#dice.roll, log: quiet, timeoutMs: CALL_MS },
          ),
        configurePusher: ({ topic, group }, record, upTo) =>
          callObject(
            () => `pusher:${groupObjectName(NAMESPACE, topic, group)}`,
            async (at) =>
              accept(
                await this.#host.call<PusherRpc, void>(
                  at,
                  this.pusher,
                  (pusher) => pusher.configure(record, upTo),
                  life,
                ),
              ),
            { clock: life.clock, random: this.#dice.roll, log: quiet, timeoutMs: CALL_MS },
          ),
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

  readonly coordinator: Wake = (_name, life) => {
    const coordinator = new Coordinator(life.disk, {
      queue: (namespace, topic, queue) => {
        const at = { namespace, topic, queue };
        return {
          beginChecks: (...args) =>
            this.callQueue(life, at, async (object) => {
              const outcome = await object.beginChecks(...args);
              if (outcome.ok)
                for (const { transactionId, attempt } of outcome.value)
                  this.#ports.onBegun(transactionId, attempt);
              return outcome;
            }),
          readChecks: (...args) => this.callQueue(life, at, (object) => object.readChecks(...args)),
          endCheck: (...args) => this.callQueue(life, at, (object) => object.endCheck(...args)),
        };
      },
      post: async (question) => {
        await life.disk.synced();
        return this.#ports.post(question);
      },
      worker: () => undefined,
      bodies: this.#bodies(life.clock),
      clock: life.clock,
      log: quiet,
    });
    return { verbs: coordinator };
  };

  readonly pusher: Wake = (name, life) => {
    const kept = keptOn(life.disk);
    const options = { clock: life.clock, random: this.#dice.roll, log: quiet, timeoutMs: CALL_MS };
    const pusher = new Pusher({
      queue: ({ namespace, topic }, queue, call) =>
        callObject(
          () => ({ namespace, topic, queue }),
          (at) => this.callQueue(life, at, call),
          options,
        ),
      bodies: this.#bodies(life.clock),
      record: ({ topic, group, stamp }) =>
        callObject(
          () => `registry:${registryObjectName(NAMESPACE)}`,
          (at) =>
            this.#host.call<RegistryRpc, Outcome<PushRecord | undefined>>(
              at,
              this.registry,
              (registry) => registry.pushRecord(topic, group.name, stamp.incarnation),
              life,
            ),
          options,
        ),
      disable: () => Promise.reject(new Error("no endpoint here says that it is gone")),
      post: async (post) => {
        await life.disk.synced();
        return this.#ports.push(post);
      },
      ask: () => Promise.reject(new Error("nobody has to be asked here")),
      worker: () => undefined,
      kept,
      armedAt: life.disk.alarmAt,
      setAlarm: (atMs) => {
        life.disk.setAlarm(atMs);
        this.#host.armed(name);
      },
      erase: () => kept.erase(),
      clock: life.clock,
      log: quiet,
      random: this.#dice.roll,
      newId: () => String(this.#dice.int(0, 2 ** 40)),
    });
    return { verbs: pusher, alarm: () => pusher.alarm() };
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
    pushRecord: async (...args) => groups.pushRecord(...args),
    deleteGroup: (...args) => groups.delete(...args),
    putProducerGroup: (...args) => producerGroups.put(...args),
    seeProducerGroup: (...args) => producerGroups.see(...args),
    changes: (...args) => changes.read(...args),
    watchdog: () => registry.watchdog(),
  };
}
