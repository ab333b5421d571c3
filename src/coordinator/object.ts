/**
 * The Durable Object of one producer group: a shell that gives the coordinator its storage, clock and ports.
 * Every public method answers over RPC; it never holds state of its own.
 */
import { DurableObject } from "cloudflare:workers";
import { largeBodiesOf } from "../bodies/large-bodies.ts";
import { boundWorker } from "../platform/bound-worker.ts";
import { systemClock } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { isPrivate, targetPolicy } from "../platform/target.ts";
import { type Fetch, postSigned } from "../platform/webhook.ts";
import {
  type CheckOffer,
  type CoordinatorRpc,
  type Env,
  type ProducerGroupRecord,
  queueObjectName,
} from "../protocol/rpc.ts";
import { Coordinator } from "./coordinator.ts";
import type { CheckWorker, Ports, QueuePort } from "./ports.ts";

/** An answer to a check is a few dozen bytes. */
const ANSWER_BYTES_MAX = 64 * 1024;

/** Bindings beside the deployment's own: Workers that answer checks, and plain workerd's open network. */
type Bindings = Env & { readonly HALFMQ_PRIVATE?: { fetch: Fetch } };

export class CoordinatorObject extends DurableObject<Bindings> implements CoordinatorRpc {
  readonly #coordinator: Coordinator;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#coordinator = new Coordinator(ctx.storage.sql, portsOf(env));
  }

  configure(record: ProducerGroupRecord | undefined): ReturnType<CoordinatorRpc["configure"]> {
    return this.#coordinator.configure(record);
  }

  offer(
    namespace: string,
    producerGroup: string,
    offers: readonly CheckOffer[],
  ): ReturnType<CoordinatorRpc["offer"]> {
    return this.#coordinator.offer(namespace, producerGroup, offers);
  }

  poll(
    namespace: string,
    producerGroup: string,
    query: Parameters<CoordinatorRpc["poll"]>[2],
  ): ReturnType<CoordinatorRpc["poll"]> {
    return this.#coordinator.poll(namespace, producerGroup, query);
  }

  cancelPoll(waitId: string): ReturnType<CoordinatorRpc["cancelPoll"]> {
    return this.#coordinator.cancelPoll(waitId);
  }

  seen(): ReturnType<CoordinatorRpc["seen"]> {
    return this.#coordinator.seen();
  }
}

function portsOf(env: Bindings): Ports {
  const policy = targetPolicy(env);
  // Why two networks: src/platform/target.ts. Without the binding there is only one.
  const call: Fetch = (url, init) => {
    const open = isPrivate(new URL(url), policy) ? env.HALFMQ_PRIVATE : undefined;
    return open === undefined ? fetch(url, init) : open.fetch(url, init);
  };
  return {
    clock: systemClock,
    log,
    queue: (namespace, topic, queue) =>
      env.QUEUE.getByName(queueObjectName(namespace, topic, queue)) as QueuePort,
    worker: (binding) => boundWorker<CheckWorker>(env, binding, "checkTransaction"),
    bodies: largeBodiesOf(env),
    post: (question) =>
      postSigned({
        ...question,
        policy,
        responseBytesMax: ANSWER_BYTES_MAX,
        nowMs: systemClock.nowMs(),
        fetch: call,
      }),
  };
}
