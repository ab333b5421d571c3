/**
 * The Durable Object of a group that pushes: a shell that gives the pusher its storage, clock and ports, and the caller that
 * its calls go out through. Every public method answers over RPC; it never holds state of its own.
 */
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import { largeBodiesOf } from "../bodies/large-bodies.ts";
import { boundWorker } from "../platform/bound-worker.ts";
import { systemClock } from "../platform/clock.ts";
import { askPermission, type Permission } from "../platform/handshake.ts";
import { log } from "../platform/log.ts";
import { base64url, random, randomBytes } from "../platform/random.ts";
import { callObject } from "../platform/stub.ts";
import { isPrivate, type TargetPolicy, targetPolicy } from "../platform/target.ts";
import { type Fetch, type PostAnswer, postSigned } from "../platform/webhook.ts";
import {
  type Env,
  type PusherRpc,
  queueObjectName,
  type QueueRpc,
  registryObjectName,
  type RegistryRpc,
} from "../protocol/rpc.ts";
import type { Ports, PushPost, PushQuestion } from "./ports.ts";
import { Pusher } from "./pusher.ts";
import type { QueueWorker } from "./worker-batch.ts";

/** Room for the results of a thousand receipts; more is read of no answer. */
const ANSWER_BYTES_MAX = 256 * 1024;
const CALL_TIMEOUT_MS = 10_000;
const ID_BYTES = 18;

/** Bindings beside the deployment's own: Workers that take messages, and plain workerd's open network. */
type Bindings = Env & { readonly HALFMQ_PRIVATE?: { fetch: Fetch } };
type Rpc<K extends keyof PusherRpc> = ReturnType<PusherRpc[K]>;
type Args<K extends keyof PusherRpc> = Parameters<PusherRpc[K]>;

/**
 * Makes the calls: each is an invocation of its own, because one invocation has six connections, which an object shares
 * among all that it does.
 */
export class PushCaller extends WorkerEntrypoint<Bindings> {
  post(post: PushPost): Promise<PostAnswer> {
    return postSigned({
      ...post,
      ...this.#network(),
      responseBytesMax: ANSWER_BYTES_MAX,
      nowMs: systemClock.nowMs(),
    });
  }

  ask(question: PushQuestion): Promise<Permission> {
    return askPermission({ ...question, ...this.#network(), clock: systemClock });
  }

  #network(): { readonly policy: TargetPolicy; readonly fetch: Fetch } {
    const policy = targetPolicy(this.env);
    // Why two networks: src/platform/target.ts. Without the binding there is only one.
    const call: Fetch = (url, init) => {
      const open = isPrivate(new URL(url), policy) ? this.env.HALFMQ_PRIVATE : undefined;
      return open === undefined ? fetch(url, init) : open.fetch(url, init);
    };
    return { policy, fetch: call };
  }
}

export class PusherObject extends DurableObject<Bindings> implements PusherRpc {
  #pusher!: Pusher;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const armedAt = (await ctx.storage.getAlarm()) ?? undefined;
      this.#pusher = new Pusher(portsOf(ctx, env, armedAt));
    });
  }

  override alarm(): Promise<void> {
    return this.#pusher.alarm();
  }

  configure(...args: Args<"configure">): Rpc<"configure"> {
    return this.#pusher.configure(...args);
  }

  ring(...args: Args<"ring">): Rpc<"ring"> {
    return this.#pusher.ring(...args);
  }

  state(): Rpc<"state"> {
    return this.#pusher.state();
  }
}

function portsOf(ctx: DurableObjectState, env: Bindings, armedAt: number | undefined): Ports {
  const registryOf = (namespace: string) => () =>
    env.REGISTRY.getByName(registryObjectName(namespace)) as RegistryRpc;
  const { kv } = ctx.storage;
  return {
    queue: ({ namespace, topic }, queue, call) =>
      callObject(
        () => env.QUEUE.getByName(queueObjectName(namespace, topic, queue)) as QueueRpc,
        call,
        { timeoutMs: CALL_TIMEOUT_MS },
      ),
    bodies: largeBodiesOf(env),
    record: ({ namespace, topic, group, stamp }) =>
      callObject(
        registryOf(namespace),
        (registry) => registry.pushRecord(topic, group.name, stamp.incarnation),
        { timeoutMs: CALL_TIMEOUT_MS },
      ),
    disable: ({ namespace, topic, group, stamp: { incarnation }, version }, reason) =>
      callObject(registryOf(namespace), (registry) =>
        registry.disablePush(topic, group.name, { incarnation, version, reason }),
      ),
    post: async (post) => {
      try {
        return await ctx.exports.PushCaller.post(post);
      } catch {
        return { status: 0, failure: "network" };
      }
    },
    ask: async (question) => {
      try {
        return await ctx.exports.PushCaller.ask(question);
      } catch {
        return { is: "refused", reason: "handshake_unreachable" };
      }
    },
    worker: (binding) => boundWorker<QueueWorker>(env, binding, "queue"),
    kept: {
      get: (name) => kv.get(name),
      put: (name, value) => kv.put(name, value),
    },
    armedAt,
    setAlarm: (atMs) => void ctx.storage.setAlarm(atMs),
    erase: () => void ctx.storage.deleteAll(),
    clock: systemClock,
    log,
    random,
    newId: () => base64url(randomBytes(ID_BYTES)),
  };
}
