/**
 * The Durable Object of one queue: a shell that gives the queue its storage, clock and ports.
 * Every public method answers over RPC, as verbs.ts has it; it decides nothing and holds no state of its own.
 */
import { DurableObject } from "cloudflare:workers";
import { largeBodiesOf } from "../bodies/large-bodies.ts";
import { systemClock } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { random } from "../platform/random.ts";
import {
  coordinatorObjectName,
  groupObjectName,
  queueObjectName,
  type CoordinatorRpc,
  type Env,
  type GatewayRpc,
  type PusherRpc,
  type QueueRpc,
} from "../protocol/rpc.ts";
import type { SharingRpc } from "../protocol/sharing.ts";
import { BOUNDS, type QueueBounds } from "./bounds.ts";
import { BlockMemory } from "./cold/block-memory.ts";
import { Queue, type QueuePorts } from "./queue.ts";
import { Shared } from "./shared.ts";
import { QueueVerbs } from "./verbs.ts";

type Rpc<K extends keyof QueueRpc> = ReturnType<QueueRpc[K]>;
type Args<K extends keyof QueueRpc> = Parameters<QueueRpc[K]>;

export class QueueObject extends DurableObject<Env> implements QueueRpc, SharingRpc {
  #queue!: Queue;
  #verbs!: QueueVerbs;
  #shared!: Shared;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const armedAt = (await ctx.storage.getAlarm()) ?? undefined;
      try {
        this.#queue = new Queue(ctx.storage.sql, portsOf(ctx, env, armedAt), systemClock, log);
      } catch (error) {
        // Whoever calls hears that it cannot be reached; what is wrong with its storage stands here.
        log.error("queue.unreadable", { object: ctx.id.name, error: textOf(error) });
        throw error;
      }
      this.#verbs = new QueueVerbs(this.#queue);
      this.#shared = new Shared(this.#verbs, systemClock, random);
    });
  }

  override alarm(): Promise<void> {
    return this.#queue.alarm();
  }

  shared(...args: Parameters<SharingRpc["shared"]>): ReturnType<SharingRpc["shared"]> {
    return this.#shared.answer(...args);
  }

  missed(...args: Parameters<SharingRpc["missed"]>): ReturnType<SharingRpc["missed"]> {
    return this.#shared.missed(...args);
  }

  late(...args: Parameters<SharingRpc["late"]>): ReturnType<SharingRpc["late"]> {
    return this.#shared.late(...args);
  }

  configure(...args: Args<"configure">): Rpc<"configure"> {
    return this.#verbs.configure(...args);
  }

  inUse(...args: Args<"inUse">): Rpc<"inUse"> {
    return this.#verbs.inUse(...args);
  }

  drop(...args: Args<"drop">): Rpc<"drop"> {
    return this.#verbs.drop(...args);
  }

  poke(...args: Args<"poke">): Rpc<"poke"> {
    return this.#verbs.poke(...args);
  }

  expectBodies(...args: Args<"expectBodies">): Rpc<"expectBodies"> {
    return this.#verbs.expectBodies(...args);
  }

  send(...args: Args<"send">): Rpc<"send"> {
    return this.#verbs.send(...args);
  }

  replay(...args: Args<"replay">): Rpc<"replay"> {
    return this.#verbs.replay(...args);
  }

  releaseKey(...args: Args<"releaseKey">): Rpc<"releaseKey"> {
    return this.#verbs.releaseKey(...args);
  }

  duplicates(...args: Args<"duplicates">): Rpc<"duplicates"> {
    return this.#verbs.duplicates(...args);
  }

  producers(...args: Args<"producers">): Rpc<"producers"> {
    return this.#verbs.producers(...args);
  }

  locate(...args: Args<"locate">): Rpc<"locate"> {
    return this.#verbs.locate(...args);
  }

  recall(...args: Args<"recall">): Rpc<"recall"> {
    return this.#verbs.recall(...args);
  }

  retime(...args: Args<"retime">): Rpc<"retime"> {
    return this.#verbs.retime(...args);
  }

  prepare(...args: Args<"prepare">): Rpc<"prepare"> {
    return this.#verbs.prepare(...args);
  }

  decide(...args: Args<"decide">): Rpc<"decide"> {
    return this.#verbs.decide(...args);
  }

  transaction(...args: Args<"transaction">): Rpc<"transaction"> {
    return this.#verbs.transaction(...args);
  }

  transactions(...args: Args<"transactions">): Rpc<"transactions"> {
    return this.#verbs.transactions(...args);
  }

  beginChecks(...args: Args<"beginChecks">): Rpc<"beginChecks"> {
    return this.#verbs.beginChecks(...args);
  }

  readChecks(...args: Args<"readChecks">): Rpc<"readChecks"> {
    return this.#verbs.readChecks(...args);
  }

  endCheck(...args: Args<"endCheck">): Rpc<"endCheck"> {
    return this.#verbs.endCheck(...args);
  }

  receive(...args: Args<"receive">): Rpc<"receive"> {
    return this.#verbs.receive(...args);
  }

  cancelWait(...args: Args<"cancelWait">): Rpc<"cancelWait"> {
    return this.#verbs.cancelWait(...args);
  }

  settle(...args: Args<"settle">): Rpc<"settle"> {
    return this.#verbs.settle(...args);
  }

  join(...args: Args<"join">): Rpc<"join"> {
    return this.#verbs.join(...args);
  }

  waitAtBell(...args: Args<"waitAtBell">): Rpc<"waitAtBell"> {
    return this.#verbs.waitAtBell(...args);
  }

  listen(...args: Args<"listen">): Rpc<"listen"> {
    return this.#verbs.listen(...args);
  }

  ring(...args: Args<"ring">): Rpc<"ring"> {
    return this.#verbs.ring(...args);
  }

  seek(...args: Args<"seek">): Rpc<"seek"> {
    return this.#verbs.seek(...args);
  }

  peek(...args: Args<"peek">): Rpc<"peek"> {
    return this.#verbs.peek(...args);
  }

  grown(...args: Args<"grown">): Rpc<"grown"> {
    return this.#verbs.grown(...args);
  }

  message(...args: Args<"message">): Rpc<"message"> {
    return this.#verbs.message(...args);
  }

  stats(...args: Args<"stats">): Rpc<"stats"> {
    return this.#verbs.stats(...args);
  }

  audit(...args: Args<"audit">): Rpc<"audit"> {
    return this.#verbs.audit(...args);
  }

  deadLetters(...args: Args<"deadLetters">): Rpc<"deadLetters"> {
    return this.#verbs.deadLetters(...args);
  }

  redrive(...args: Args<"redrive">): Rpc<"redrive"> {
    return this.#verbs.redrive(...args);
  }

  pacedRedrive(...args: Args<"pacedRedrive">): Rpc<"pacedRedrive"> {
    return this.#verbs.pacedRedrive(...args);
  }

  purgeDeadLetters(...args: Args<"purgeDeadLetters">): Rpc<"purgeDeadLetters"> {
    return this.#verbs.purgeDeadLetters(...args);
  }

  blocked(...args: Args<"blocked">): Rpc<"blocked"> {
    return this.#verbs.blocked(...args);
  }

  decideHeld(...args: Args<"decideHeld">): Rpc<"decideHeld"> {
    return this.#verbs.decideHeld(...args);
  }

  forward(...args: Args<"forward">): Rpc<"forward"> {
    return this.#verbs.forward(...args);
  }

  drained(...args: Args<"drained">): Rpc<"drained"> {
    return this.#verbs.drained(...args);
  }
}

const textOf = (cause: unknown): string =>
  cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);

/** All queues of this process or isolate share its memory. */
const blockMemory = new BlockMemory();

/** The product's own numbers, but for what the deployment says. */
function boundsOf({ HALFMQ_QUEUE_BYTES, HALFMQ_COLD_AFTER_MS }: Env): QueueBounds {
  return {
    ...BOUNDS,
    ...(Number(HALFMQ_QUEUE_BYTES) > 0 ? { storedBytesMax: Number(HALFMQ_QUEUE_BYTES) } : {}),
    ...(Number(HALFMQ_COLD_AFTER_MS) > 0 ? { coldAfterMs: Number(HALFMQ_COLD_AFTER_MS) } : {}),
  };
}

function portsOf(ctx: DurableObjectState, env: Env, armedAt: number | undefined): QueuePorts {
  const queueOf = (namespace: string, topic: string, queue: number): QueueRpc =>
    env.QUEUE.getByName(queueObjectName(namespace, topic, queue)) as QueueRpc;
  const { store } = largeBodiesOf(env);
  return {
    armedAt,
    bounds: boundsOf(env),
    storedBytes: () => ctx.storage.sql.databaseSize,
    transaction: (run) => ctx.storage.transactionSync(run),
    synced: () => ctx.storage.sync(),
    abort: (cause) => {
      log.error("queue.aborted", { object: ctx.id.name, error: textOf(cause) });
      ctx.abort("flush failed");
    },
    random,
    setAlarm: (atMs) => void ctx.storage.setAlarm(atMs),
    // A deleted topic leaves nothing, its alarm included.
    deleteAll: () => void ctx.storage.deleteAll(),
    bucket: store,
    blockMemory,
    offer: (namespace, producerGroup, offers) => {
      const stub = env.COORDINATOR.getByName(
        coordinatorObjectName(namespace, producerGroup),
      ) as CoordinatorRpc;
      return stub.offer(namespace, producerGroup, offers);
    },
    forward: (namespace, target, call) =>
      queueOf(namespace, target.topic, target.queue).forward(call),
    push: ({ namespace, topic, incarnation }, { name, number }, queue) => {
      const stub = env.PUSHER.getByName(groupObjectName(namespace, topic, name)) as PusherRpc;
      return stub.ring(incarnation, number, queue);
    },
    stream: ({ namespace, topic, incarnation }, { name, number }, queue) => {
      const stub = env.GATEWAY.getByName(groupObjectName(namespace, topic, name)) as GatewayRpc;
      return stub.ring(incarnation, number, queue);
    },
    streamEnded: ({ namespace, topic, incarnation }, { name, number }) => {
      const stub = env.GATEWAY.getByName(groupObjectName(namespace, topic, name)) as GatewayRpc;
      return stub.ended(incarnation, number);
    },
    ring: ({ namespace, topic, incarnation }, ring) =>
      queueOf(namespace, topic, 0).ring({ ...ring, incarnation }),
    drained: ({ namespace, topic, incarnation }, drained, to) =>
      queueOf(namespace, topic, to).drained({ ...drained, incarnation }),
  };
}
