/**
 * HalfMQ over the invented platform: the real broker in two isolates, real queues, a real registry and real coordinators.
 * Everything of it dies with `crash`, and comes back with what its disks have.
 */
import { hash } from "node:crypto";
import { createBroker } from "../../../src/broker/durable-broker.ts";
import type { Broker } from "../../../src/broker/broker.ts";
import type { Objects, Repeat } from "../../../src/broker/objects.ts";
import { pokeScheduler, sendFiring } from "../../../src/broker/schedules.ts";
import { SharedCalls } from "../../../src/broker/shared-calls.ts";
import { callAlone, sharing } from "../../../src/broker/sharing-queue.ts";
import { callObject } from "../../../src/platform/stub.ts";
import type { Log } from "../../../src/platform/log.ts";
import { accept, type Outcome } from "../../../src/protocol/errors.ts";
import {
  coordinatorObjectName,
  groupObjectName,
  queueObjectName,
  registryObjectName,
  type CoordinatorRpc,
  type PusherRpc,
  type QueueRpc,
  type RegistryRpc,
  schedulerObjectName,
  type SchedulerRpc,
  type StreamOpening,
} from "../../../src/protocol/rpc.ts";
import { Shared } from "../../../src/queue/shared.ts";
import type { Dice } from "./dice.ts";
import { Ending } from "./ending.ts";
import { type Clock, pause } from "../../../src/platform/clock.ts";
import { LargeBodies } from "../../../src/bodies/large-bodies.ts";
import { Bucket } from "./bucket.ts";
import type { GatewayVerbs } from "./gateway.ts";
import type { Host, Wake } from "./host.ts";
import type { Line } from "./line.ts";
import { schedulerWake } from "./scheduler.ts";
import { NAMESPACE, type WakePorts, Wakes } from "./wakes.ts";

const ISOLATES = 2;

export interface DeploymentPorts extends WakePorts {
  /** Larger bodies go to the bucket, which has dice of its own. */
  readonly inlineBytesMax: number;
  readonly bucketDice: Dice;
  /** The cron trigger looks after schedules, too. */
  readonly hasSchedules: boolean;
  /** Calls of many requests of an isolate go together. */
  readonly sharesCalls: boolean;
  readonly callDice: Dice;
}

const never = new Promise<never>(() => undefined);
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
  readonly #wakes: Wakes;
  readonly #scheduler: Wake;
  /** What each life of a queue keeps for calls that came together. */
  readonly #shared = new WeakMap<QueueRpc, Shared>();
  #brokers: Broker[] = [];
  /** Requests of an isolate that is gone are never answered. */
  #process = new Ending();

  constructor(host: Host, dice: Dice, ports: DeploymentPorts) {
    this.#host = host;
    this.#dice = dice;
    this.#ports = ports;
    this.bucket = new Bucket(host, ports.bucketDice);
    this.#wakes = new Wakes(host, dice, ports, {
      bucket: this.bucket,
      bodies: (clock) => this.#largeBodies(clock),
    });
    this.#scheduler = schedulerWake(host, dice, (firing) =>
      this.request((broker) => sendFiring(broker, firing)),
    );
    this.#boot();
  }

  #boot(): void {
    this.#process = new Ending();
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
    return this.#process.before(verb(this.#dice.pick(this.#brokers)));
  }

  /** What the Worker does for who wants a stream of a group that it knows. */
  openLine(opening: StreamOpening): Promise<Outcome<Line>> {
    const { namespace, topic, group } = opening;
    const opened = callObject(
      () => `gateway:${groupObjectName(namespace, topic, group)}`,
      (name) =>
        this.#host.call<GatewayVerbs, Outcome<Line>>(name, this.#wakes.gateways.wake, (gateway) =>
          gateway.open(opening),
        ),
      this.#options(),
    );
    return this.#process.before(opened);
  }

  /** SIGKILL: every isolate and every object. */
  crash(): void {
    this.#process.come(new Error("the process was killed"));
    this.#wakes.gateways.crash();
    this.#host.crash();
    this.#boot();
  }

  /** The cron trigger's round. */
  async watchdog(): Promise<void> {
    const objects = this.#objects();
    await objects.registry(NAMESPACE, async (registry) => accept(await registry.watchdog()));
    if (this.#ports.hasSchedules) await pokeScheduler(objects, NAMESPACE);
  }

  /** Bodies of some length go to the bucket, where the plan has one. */
  #largeBodies(clock: Clock): LargeBodies {
    return new LargeBodies(clock, this.bucket, this.#ports.inlineBytesMax);
  }

  // ------------------------------------------------------------ calls

  #options(repeat?: Repeat) {
    return {
      clock: {
        nowMs: () => this.#host.wallMs(),
        after: this.#host.clock.after.bind(this.#host.clock),
      },
      random: this.#dice.roll,
      log: quiet,
      ...(repeat === "never" ? { attemptsMax: 1 } : {}),
    };
  }

  #atQueue<T>(name: string, call: (queue: QueueRpc) => Promise<T>): Promise<T> {
    return this.#host.call<QueueRpc, T>(name, this.#wakes.queue, call);
  }

  /** Each verb is a call of its own. */
  #stubOf(name: string): QueueRpc {
    const verbs: Partial<Record<string, unknown>> = {};
    return new Proxy(verbs as unknown as QueueRpc, {
      get:
        (_, verb) =>
        (...parameters: unknown[]) =>
          this.#atQueue(name, (queue) => {
            const method = Reflect.get(queue, verb) as (...given: unknown[]) => Promise<unknown>;
            return Reflect.apply(method, queue, parameters);
          }),
    });
  }

  /** Trips of all isolates. */
  #trips = 0;

  /** One for each isolate. */
  #together(): SharedCalls {
    const { clock } = this.#host;
    return new SharedCalls({
      clock,
      alone: (name, call) => this.#atQueue(name, (queue) => callAlone(queue, call)),
      newId: () => `trip-${++this.#trips}`,
      together: (name, calls, trip) =>
        this.#atQueue(name, (queue) => this.#sharedOf(queue).answer(calls, trip)).then((answers) =>
          this.#ports.callDice.chance(this.#host.faults.lostTrips) ? never : answers,
        ),
      missed: (name, trip) => this.#atQueue(name, (queue) => this.#sharedOf(queue).missed(trip)),
      late: (name, ticket) => this.#atQueue(name, (queue) => this.#sharedOf(queue).late(ticket)),
      outlive: () => undefined,
    });
  }

  #sharedOf(queue: QueueRpc): Shared {
    const known = this.#shared.get(queue);
    if (known !== undefined) return known;
    const made = new Shared(queue, this.#host.clock, this.#dice.roll);
    this.#shared.set(queue, made);
    return made;
  }

  #objects(): Objects {
    const options = (repeat?: Repeat) => this.#options(repeat);
    const together = this.#ports.sharesCalls ? this.#together() : undefined;
    return {
      queue: ({ namespace, topic, queue }, call, repeat) =>
        callObject(
          () => queueObjectName(namespace, topic, queue),
          (name) =>
            together === undefined
              ? this.#atQueue(name, call)
              : call(sharing(this.#stubOf(name), (one) => together.ask(name, one))),
          options(repeat),
        ),
      registry: (namespace, call, repeat) =>
        callObject(
          () => `registry:${registryObjectName(namespace)}`,
          (name) =>
            this.#host.call<RegistryRpc, Awaited<ReturnType<typeof call>>>(
              name,
              this.#wakes.registry,
              call,
            ),
          options(repeat),
        ),
      pusher: ({ namespace, topic, group }, call) =>
        callObject(
          () => `pusher:${groupObjectName(namespace, topic, group)}`,
          (name) =>
            this.#host.call<PusherRpc, Awaited<ReturnType<typeof call>>>(
              name,
              this.#wakes.pusher,
              call,
            ),
          options(),
        ),
      scheduler: (namespace, call) =>
        callObject(
          () => `scheduler:${schedulerObjectName(namespace)}`,
          (name) =>
            this.#host.call<SchedulerRpc, Awaited<ReturnType<typeof call>>>(
              name,
              this.#scheduler,
              call,
            ),
          options(),
        ),
      openStream: () => Promise.reject(new Error("a Response carries no invented socket")),
      coordinator: ({ namespace, producerGroup }, call) =>
        callObject(
          () => `coordinator:${coordinatorObjectName(namespace, producerGroup)}`,
          (name) =>
            this.#host.call<CoordinatorRpc, Awaited<ReturnType<typeof call>>>(
              name,
              this.#wakes.coordinator,
              call,
            ),
          options(),
        ),
    };
  }
}
