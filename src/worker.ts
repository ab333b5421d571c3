/**
 * The Worker's entry: exports the Durable Object classes, answers fetch and runs the watchdog. Wiring only; it never
 * decides anything.
 */
import { WorkerEntrypoint, waitUntil } from "cloudflare:workers";
import { cloudEventsDoor } from "./adapters/cloudevents/door.ts";
import { cloudflareQueuesDoor } from "./adapters/cloudflare-queues/door.ts";
import { type Door, doorOf } from "./adapters/door.ts";
import { rocketmqDoor } from "./adapters/rocketmq/door.ts";
import { sqsDoor } from "./adapters/sqs/door.ts";
import { createApp } from "./api/app.ts";
import type { Edge } from "./api/operation.ts";
import { authenticate } from "./auth/authenticate.ts";
import { sendGate } from "./auth/send-limits.ts";
import { signedRequest } from "./auth/signed.ts";
import { signerOf, signingPair } from "./auth/signing-keys.ts";
import { largeBodiesOf } from "./bodies/large-bodies.ts";
import { createBroker } from "./broker/durable-broker.ts";
import { durableObjects } from "./broker/durable-objects.ts";
import { sendFiring } from "./broker/schedules.ts";
import { watchdogRound } from "./broker/watchdog.ts";
import { pause, systemClock } from "./platform/clock.ts";
import { unboundRefusal } from "./platform/bound-worker.ts";
import { type CrossOrigin, crossOrigin, wrongOrigins } from "./platform/cross-origin.ts";
import { log } from "./platform/log.ts";
import { idSource, random } from "./platform/random.ts";
import { targetPolicy, wrongTargets } from "./platform/target.ts";
import type { Broker } from "./broker/broker.ts";
import { entrypointOver } from "./rpc/entrypoint.ts";
import { LIMITS } from "./protocol/limits.ts";
import type { Env, Firing, ScheduleSenderRpc } from "./protocol/rpc.ts";

export { CoordinatorObject } from "./coordinator/object.ts";
export { GatewayObject } from "./gateway/object.ts";
export { PushCaller, PusherObject } from "./push/object.ts";
export { QueueObject } from "./queue/object.ts";
export { RegistryObject } from "./registry/object.ts";
export { SchedulerObject } from "./scheduler/object.ts";

const nowMs = (): number => systemClock.nowMs();

interface Entry {
  readonly app: ReturnType<typeof createApp>;
  readonly doors: readonly Door[];
  readonly crossOrigin: CrossOrigin;
}

/** One of each per isolate, which has one env: they hold routes and cached values, nothing of a request. */
let broker: Broker | undefined;
let edge: Edge | undefined;
let entry: Entry | undefined;

function brokerOf(env: Env): Broker {
  return (broker ??= createBroker({
    objects: durableObjects(env, waitUntil),
    nowMs,
    pause: (delayMs) => pause(systemClock, delayMs),
    random,
    autoCreate: env.HALFMQ_AUTO_CREATE !== "off",
    bodies: largeBodiesOf(env),
  }));
}

function makeEdge(env: Env): Edge {
  const gate = sendGate(env);
  for (const wrong of wrongTargets(env.HALFMQ_ALLOWED_TARGETS))
    log.error("allowed.target.ignored", { entry: wrong });
  return {
    broker: brokerOf(env),
    authenticate: (request) => authenticate(request.headers, env),
    admit: (caller, messages) => gate.admit(caller, messages),
    signingPair: (caller) => signingPair(caller, env.HALFMQ_ROOT_KEY ?? ""),
    nowMs,
    newRequestId: idSource(),
    log,
    targets: targetPolicy(env),
    bound: (binding, field) => unboundRefusal(env, binding, field),
    bodyBytesMax: env.BODIES === undefined ? LIMITS.bodyBytesMax : LIMITS.largeBodyBytesMax,
    version: env.HALFMQ_VERSION ?? "dev",
  };
}

const edgeOf = (env: Env): Edge => (edge ??= makeEdge(env));

function makeEntry(env: Env): Entry {
  const own = edgeOf(env);
  const origins = env.HALFMQ_ALLOWED_ORIGINS;
  for (const wrong of wrongOrigins(origins)) log.error("allowed.origin.ignored", { entry: wrong });
  const outside = { ...own, clock: systemClock };
  return {
    crossOrigin: crossOrigin(origins),
    app: createApp(own),
    doors: [
      sqsDoor(outside, (request) => signedRequest(request, env)),
      cloudEventsDoor(outside, (request) => own.authenticate(request)),
      cloudflareQueuesDoor(outside, (headers) => authenticate(headers, env)),
      rocketmqDoor(outside, (accessKeyId) => signerOf(accessKeyId, env, systemClock)),
    ],
  };
}

/** The scheduler's way to the queues: it is an object, which knows no other. */
export class ScheduleSender extends WorkerEntrypoint<Env> implements ScheduleSenderRpc {
  send(firing: Firing): ReturnType<ScheduleSenderRpc["send"]> {
    return sendFiring(brokerOf(this.env), firing);
  }
}

/** For other Workers of the account, which bind it as a service. */
export class HalfMQEntrypoint extends entrypointOver(edgeOf) {}

export default {
  fetch(request: Request, env: Env, context: ExecutionContext): Response | Promise<Response> {
    const own = (entry ??= makeEntry(env));
    return own.crossOrigin(request, () => {
      const door = doorOf(own.doors, request);
      if (door === undefined) return own.app.fetch(request, env, context);
      return door.answer(request, (work) => context.waitUntil(work));
    });
  },

  /** Queues whose alarm the platform lost are woken; the alarm itself is what normally runs them. */
  async scheduled(_event: ScheduledController, env: Env): Promise<void> {
    log.info("watchdog", await watchdogRound(durableObjects(env, waitUntil), nowMs()));
  },
};
