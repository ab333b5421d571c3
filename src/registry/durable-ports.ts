/**
 * A registry's ports over the deployment's Durable Objects. Every call here is safe to repeat, and bounded in time: an
 * object that does not answer must not hold its topic for ever.
 */
import { systemClock } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { randomBytes } from "../platform/random.ts";
import { callObject } from "../platform/stub.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import {
  coordinatorObjectName,
  type CoordinatorRpc,
  DEFAULT_NAMESPACE,
  type Env,
  groupObjectName,
  type PusherRpc,
  queueObjectName,
  type QueueRpc,
  registryObjectName,
  type RegistryRpc,
} from "../protocol/rpc.ts";
import type { Ports, QueueAddress } from "./ground.ts";

const CALL_TIMEOUT_MS = 10_000;

export function durablePorts(env: Env, namespace: string, armAlarm: (atMs: number) => void): Ports {
  const queueStub = ({ topic, queue }: QueueAddress): QueueRpc => {
    const stub: unknown = env.QUEUE.getByName(queueObjectName(namespace, topic, queue));
    return stub as QueueRpc;
  };
  const coordinatorStub = (group: string): CoordinatorRpc => {
    const stub: unknown = env.COORDINATOR.getByName(coordinatorObjectName(namespace, group));
    return stub as CoordinatorRpc;
  };
  const onQueue = <T>(
    at: QueueAddress,
    call: (stub: QueueRpc) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> => callObject(() => queueStub(at), call, { timeoutMs: CALL_TIMEOUT_MS });
  return {
    namespace,
    configureQueue: (route, queue) =>
      onQueue({ topic: route.topic, queue }, (stub) => stub.configure(route, queue)),
    queueInUse: (at, incarnation, hold) => onQueue(at, (stub) => stub.inUse(incarnation, hold)),
    dropQueue: (at, incarnation) => onQueue(at, (stub) => stub.drop(incarnation)),
    pokeQueue: (at) => onQueue(at, async (stub) => accept(await stub.poke())),
    configureCoordinator: (group, record) =>
      callObject(
        () => coordinatorStub(group),
        async (stub) => accept(await stub.configure(record)),
        { timeoutMs: CALL_TIMEOUT_MS },
      ),
    enterNamespace: () =>
      callObject(
        () => env.REGISTRY.getByName(registryObjectName(DEFAULT_NAMESPACE)) as RegistryRpc,
        (registry) => registry.enterNamespace(namespace),
        { timeoutMs: CALL_TIMEOUT_MS },
      ),
    configurePusher: ({ topic, group }, record, upTo) =>
      callObject(
        () => env.PUSHER.getByName(groupObjectName(namespace, topic, group)) as PusherRpc,
        async (stub) => accept(await stub.configure(record, upTo)),
        { timeoutMs: CALL_TIMEOUT_MS },
      ),
    armAlarm,
    randomBytes,
    clock: systemClock,
    log,
  };
}
