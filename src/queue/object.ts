/**
 * The Durable Object of one queue: a shell that gives the queue its storage, clock and ports.
 * Every public method answers over RPC; it decides nothing and holds no state of its own.
 */
import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { accept, refuse } from "../protocol/errors.ts";
import {
  coordinatorObjectName,
  queueObjectName,
  type CoordinatorRpc,
  type Env,
  type QueueRpc,
  type SentMessage,
} from "../protocol/rpc.ts";
import { peek, settle, stats } from "./consuming.ts";
import { beginChecks, checkContent, endCheck } from "./checking.ts";
import { list, view } from "./transaction-view.ts";
import { prepare } from "./deciding.ts";
import { locate, message, recall, retime } from "./finding.ts";
import { Queue, type QueuePorts } from "./queue.ts";
import { answered, duplicates, send, takeForwarded } from "./sending.ts";
import { deadLetters, purgeDeadLetters, redrive, seek } from "./operating.ts";

type Rpc<K extends keyof QueueRpc> = ReturnType<QueueRpc[K]>;
type Args<K extends keyof QueueRpc> = Parameters<QueueRpc[K]>;

const noTransaction = refuse("transaction_not_found", "There is no such transaction.");
const noTopic = refuse("topic_not_found", "The topic is gone.");

export class QueueObject extends DurableObject<Env> implements QueueRpc {
  #queue!: Queue;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const armedAt = (await ctx.storage.getAlarm()) ?? undefined;
      this.#queue = new Queue(ctx.storage.sql, portsOf(ctx, env, armedAt), systemClock, log);
    });
  }

  override alarm(): Promise<void> {
    return this.#queue.alarm();
  }

  configure(...[route, queue]: Args<"configure">): Rpc<"configure"> {
    return this.#queue.configure(route, queue);
  }

  inUse(...[incarnation, hold]: Args<"inUse">): Rpc<"inUse"> {
    return this.#queue.inUse(incarnation, hold);
  }

  drop(incarnation: number): Rpc<"drop"> {
    return this.#queue.drop(incarnation);
  }

  async poke(): Promise<void> {
    await this.#queue.run(() => accept(undefined));
  }

  send(...[call]: Args<"send">): Rpc<"send"> {
    return this.#queue.adding(call.stamp, (nowMs) => send(this.#queue.store, call, nowMs));
  }

  replay(...[stamp, keyed]: Args<"replay">): Rpc<"replay"> {
    return this.#queue.stamped(stamp, (nowMs) => {
      const found = answered<SentMessage[]>(this.#queue.store, keyed, nowMs);
      if (!found.ok) return found;
      return accept(
        found.value === undefined ? undefined : { messages: found.value, replayed: true },
      );
    });
  }

  duplicates(...[stamp, asked]: Args<"duplicates">): Rpc<"duplicates"> {
    return this.#queue.stamped(stamp, (nowMs) =>
      accept(duplicates(this.#queue.store, asked, nowMs)),
    );
  }

  locate(...[call]: Args<"locate">): Rpc<"locate"> {
    return this.#queue.stamped(call.stamp, (nowMs) => locate(this.#queue.store, call, nowMs));
  }

  recall(...[call]: Args<"recall">): Rpc<"recall"> {
    return this.#queue.stamped(call.stamp, (nowMs) => recall(this.#queue.store, call, nowMs));
  }

  retime(...[call, deliverAt]: Args<"retime">): Rpc<"retime"> {
    return this.#queue.stamped(call.stamp, (nowMs) =>
      retime(this.#queue.store, call, deliverAt, nowMs),
    );
  }

  prepare(...[call]: Args<"prepare">): Rpc<"prepare"> {
    return this.#queue.adding(call.stamp, (nowMs) => prepare(this.#queue.store, call, nowMs));
  }

  decide(...[call]: Args<"decide">): Rpc<"decide"> {
    return this.#queue.decide(call);
  }

  transaction(...[stamp, position]: Args<"transaction">): Rpc<"transaction"> {
    return this.#queue.stamped(stamp, () => {
      const found = view(this.#queue.store, position);
      return found === undefined ? noTransaction : accept(found);
    });
  }

  transactions(...[stamp, query]: Args<"transactions">): Rpc<"transactions"> {
    return this.#queue.stamped(stamp, () => accept(list(this.#queue.store, query)));
  }

  beginChecks(...[incarnation, checks, withContent]: Args<"beginChecks">): Rpc<"beginChecks"> {
    return this.#queue.run((nowMs) =>
      this.#is(incarnation)
        ? accept(beginChecks(this.#queue.store, checks, withContent, nowMs))
        : accept([]),
    );
  }

  readChecks(...[incarnation, positions]: Args<"readChecks">): Rpc<"readChecks"> {
    return this.#queue.run(() => {
      if (!this.#is(incarnation)) return accept([]);
      const { store } = this.#queue;
      return accept(
        positions.flatMap((position) => {
          const open = store.halves.open.get(position);
          return open === undefined ? [] : (checkContent(store, open, true) ?? []);
        }),
      );
    });
  }

  endCheck(...[incarnation, position, attempt, resolution]: Args<"endCheck">): Rpc<"endCheck"> {
    return this.#queue.run((nowMs) =>
      this.#is(incarnation)
        ? endCheck(this.#queue.store, { position, attempt, resolution }, nowMs)
        : noTransaction,
    );
  }

  receive(...[call]: Args<"receive">): Rpc<"receive"> {
    return this.#queue.receive(call);
  }

  async cancelWait(waitId: string): Rpc<"cancelWait"> {
    return accept({ cancelled: this.#queue.cancelWait(waitId) });
  }

  settle(...[call]: Args<"settle">): Rpc<"settle"> {
    return this.#queue.grouped(call.stamp, call.group, (group, nowMs) =>
      accept(settle(this.#queue.store, group, call, nowMs)),
    );
  }

  waitAtBell(...[call]: Args<"waitAtBell">): Rpc<"waitAtBell"> {
    return this.#queue.waitAtBell(call);
  }

  async ring(...[incarnation, group, queue, count]: Args<"ring">): Promise<number> {
    return this.#is(incarnation) ? this.#queue.ring(group, queue, count) : 0;
  }

  seek(...[stamp, name, to]: Args<"seek">): Rpc<"seek"> {
    return this.#queue.grouped(stamp, name, (group, nowMs) =>
      accept(seek(this.#queue.store, group, to, nowMs)),
    );
  }

  peek(...[call]: Args<"peek">): Rpc<"peek"> {
    return this.#queue.stamped(call.stamp, () => accept(peek(this.#queue.store, call)));
  }

  message(...[call]: Args<"message">): Rpc<"message"> {
    return this.#queue.stamped(call.stamp, (nowMs) => message(this.#queue.store, call, nowMs));
  }

  stats(stamp: Args<"stats">[0]): Rpc<"stats"> {
    return this.#queue.stamped(stamp, (nowMs) => accept(stats(this.#queue.store, nowMs)));
  }

  deadLetters(...[stamp, name, query]: Args<"deadLetters">): Rpc<"deadLetters"> {
    return this.#queue.grouped(stamp, name, (group) =>
      accept(deadLetters(this.#queue.store, group, query)),
    );
  }

  redrive(...[stamp, name, ids]: Args<"redrive">): Rpc<"redrive"> {
    return this.#queue.grouped(stamp, name, (group, nowMs) =>
      accept(redrive(this.#queue.store, group, ids, nowMs)),
    );
  }

  purgeDeadLetters(...[stamp, name]: Args<"purgeDeadLetters">): Rpc<"purgeDeadLetters"> {
    return this.#queue.grouped(stamp, name, (group) =>
      accept(purgeDeadLetters(this.#queue.store, group)),
    );
  }

  forward(...[call]: Args<"forward">): Rpc<"forward"> {
    return this.#queue.run((nowMs) =>
      this.#is(call.incarnation)
        ? (this.#queue.held(nowMs) ?? takeForwarded(this.#queue.store, call, nowMs))
        : noTopic,
    );
  }

  async drained(...[incarnation, name, from]: Args<"drained">): Rpc<"drained"> {
    await this.#queue.run(() => {
      if (this.#is(incarnation)) this.#queue.store.groups.get(name)?.releaseHeld(from);
      return accept(undefined);
    });
  }

  #is(incarnation: number): boolean {
    const { identity } = this.#queue.store;
    return identity?.route.incarnation === incarnation && identity.dropping !== true;
  }
}

function portsOf(ctx: DurableObjectState, env: Env, armedAt: number | undefined): QueuePorts {
  const queueOf = (namespace: string, topic: string, queue: number): QueueRpc =>
    env.QUEUE.getByName(queueObjectName(namespace, topic, queue)) as QueueRpc;
  return {
    armedAt,
    transaction: (run) => ctx.storage.transactionSync(run),
    synced: () => ctx.storage.sync(),
    abort: (cause) => {
      log.error("queue.aborted", {
        error: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause),
      });
      ctx.abort("flush failed");
    },
    setAlarm: (atMs) => void ctx.storage.setAlarm(atMs),
    // A deleted topic leaves nothing, its alarm included.
    deleteAll: () => void ctx.storage.deleteAll(),
    offer: (namespace, producerGroup, offers) => {
      const stub = env.COORDINATOR.getByName(
        coordinatorObjectName(namespace, producerGroup),
      ) as CoordinatorRpc;
      return stub.offer(namespace, producerGroup, offers);
    },
    forward: (namespace, target, call) =>
      queueOf(namespace, target.topic, target.queue).forward(call),
    ring: (route, group, queue, count) =>
      queueOf(route.namespace, route.topic, 0).ring(route.incarnation, group, queue, count),
    drained: (route, group, from, to) =>
      queueOf(route.namespace, route.topic, to).drained(route.incarnation, group, from),
  };
}
