/**
 * The verbs that others may call on a queue, each as one command of its group commit: it looks at who asks, then lets the
 * rules decide. object.ts gives them to RPC, a test or a simulated network calls them as they are. They hold no state.
 */
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { QueueRpc, Stamp, Stored } from "../protocol/rpc.ts";
import { blocked, decideHeld } from "./reading/blocked.ts";
import { expectBodies } from "./bodies/keeping.ts";
import { beginChecks, checkContent, endCheck } from "./checking.ts";
import { peek } from "./consuming.ts";
import { prepare } from "./deciding.ts";
import type { Group } from "./delivery/group.ts";
import { locate, message, recall, retime } from "./reading/finding.ts";
import { deadLetters, purgeDeadLetters, redrive, seek } from "./operating.ts";
import type { Queue } from "./queue.ts";
import { producerSeats } from "./duplicates/sequences.ts";
import { mayBeLost } from "./soft.ts";
import { answered, duplicates, releaseKey, send, takeForwarded } from "./sending.ts";
import { settle } from "./settling.ts";
import { audit } from "./reading/audit.ts";
import { stats } from "./reading/stats.ts";
import { list, view } from "./halves/transaction-view.ts";

type Rpc<K extends keyof QueueRpc> = ReturnType<QueueRpc[K]>;
type Args<K extends keyof QueueRpc> = Parameters<QueueRpc[K]>;

const noTransaction = refuse("transaction_not_found", "There is no such transaction.");
const NOTHING = new Uint8Array();
const noTopic = refuse("topic_not_found", "The topic is gone.");

const TOO_MANY = refuse("too_many_waiters", "Too many tails wait here.", {
  limit: LIMITS.waitersMax,
});

export class QueueVerbs implements QueueRpc {
  readonly #queue: Queue;

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  configure(...[route, queue]: Args<"configure">): Rpc<"configure"> {
    return this.#andWake(this.#queue.configure(route, queue));
  }

  inUse(...[incarnation, hold]: Args<"inUse">): Rpc<"inUse"> {
    return this.#queue.run((nowMs) => {
      const { store } = this.#queue;
      if (store.identity?.route.incarnation !== incarnation)
        return accept({ prepared: 0, delayed: 0, forwarding: 0 });
      if (hold) this.#queue.hold.begin(nowMs);
      else this.#queue.hold.end();
      return accept(store.usage);
    });
  }

  drop(incarnation: number): Rpc<"drop"> {
    return this.#andWake(this.#queue.drop(incarnation));
  }

  /** Who follows the log looks again: the topic may be another one, or have more queues. */
  async #andWake<T>(done: Promise<T>): Promise<T> {
    const outcome = await done;
    this.#queue.waits.tails.wakeAll();
    return outcome;
  }

  async poke(): Promise<void> {
    await this.#queue.run(() => accept(undefined));
  }

  expectBodies(...[stamp, keys]: Args<"expectBodies">): Rpc<"expectBodies"> {
    return this.#queue.adding({ stamp, records: NOTHING }, (nowMs) =>
      expectBodies(this.#queue.store, keys, nowMs),
    );
  }

  send(...[call]: Args<"send">): Rpc<"send"> {
    const command = (nowMs: number) => send(this.#queue.store, call, nowMs);
    return this.#queue.adding(call, command, mayBeLost(this.#queue.store.identity?.route, call));
  }

  replay(...[stamp, keyed]: Args<"replay">): Rpc<"replay"> {
    return this.#queue.stamped(stamp, (nowMs) => {
      const found = answered<Stored["stored"]>(this.#queue.store, keyed, nowMs);
      if (!found.ok) return found;
      return accept(
        found.value === undefined ? undefined : { stored: found.value, replayed: true },
      );
    });
  }

  releaseKey(...[stamp, keyed]: Args<"releaseKey">): Rpc<"releaseKey"> {
    return this.#queue.stamped(stamp, (nowMs) =>
      accept({ released: releaseKey(this.#queue.store, keyed, nowMs) }),
    );
  }

  duplicates(...[stamp, asked]: Args<"duplicates">): Rpc<"duplicates"> {
    return this.#queue.stamped(stamp, (nowMs) =>
      accept(duplicates(this.#queue.store, asked, nowMs)),
    );
  }

  producers(...[stamp, asked]: Args<"producers">): Rpc<"producers"> {
    return this.#queue.stamped(stamp, (nowMs) =>
      accept(producerSeats(this.#queue.store, asked, nowMs)),
    );
  }

  locate(...[call]: Args<"locate">): Rpc<"locate"> {
    return this.#look(call.stamp, (nowMs) => locate(this.#queue.store, call, nowMs));
  }

  recall(...[call]: Args<"recall">): Rpc<"recall"> {
    return this.#look(call.stamp, (nowMs) => recall(this.#queue.store, call, nowMs));
  }

  retime(...[call, deliverAt]: Args<"retime">): Rpc<"retime"> {
    return this.#look(call.stamp, (nowMs) => retime(this.#queue.store, call, deliverAt, nowMs));
  }

  prepare(...[call]: Args<"prepare">): Rpc<"prepare"> {
    return this.#queue.adding(call, (nowMs) => prepare(this.#queue.store, call, nowMs));
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

  endCheck(
    ...[incarnation, position, attempt, resolution, why]: Args<"endCheck">
  ): Rpc<"endCheck"> {
    return this.#queue.run((nowMs) =>
      this.#is(incarnation)
        ? endCheck(this.#queue.store, { position, attempt, resolution, why }, nowMs)
        : noTransaction,
    );
  }

  receive(...[call]: Args<"receive">): Rpc<"receive"> {
    return this.#queue.waits.receive(call);
  }

  async cancelWait(waitId: string): Rpc<"cancelWait"> {
    return accept({ cancelled: this.#queue.waits.cancelWait(waitId) });
  }

  settle(...[call]: Args<"settle">): Rpc<"settle"> {
    return this.#queue.grouped(call.stamp, call.group, (_, nowMs) =>
      accept(settle(this.#queue.store, call, nowMs)),
    );
  }

  join(...[call]: Args<"join">): Rpc<"join"> {
    const { consumerId, membership } = call;
    return this.#queue.grouped(call.stamp, call.group, (route, nowMs) => {
      const { groups, queue, route: topic } = this.#queue.store;
      const { queues } = topic.settings;
      const asked = { queue, queues, ...(membership && { membership }) };
      return groups.join(route, consumerId, asked, nowMs);
    });
  }

  waitAtBell(...[call]: Args<"waitAtBell">): Rpc<"waitAtBell"> {
    return this.#queue.waits.waitAtBell(call);
  }

  listen(...[stamp, name]: Args<"listen">): Rpc<"listen"> {
    return this.#queue.grouped(stamp, name, (route) => {
      this.#queue.attendants.listen(route.number);
      return accept({ listening: true });
    });
  }

  async ring(...[call]: Args<"ring">): Promise<number> {
    return this.#is(call.incarnation) ? this.#queue.waits.ring(call) : 0;
  }

  seek(...[stamp, name, to, consumerId]: Args<"seek">): Rpc<"seek"> {
    return this.#queue.grouped(stamp, name, (_, nowMs) =>
      accept(seek(this.#queue.store, this.#of(name, consumerId), to, nowMs)),
    );
  }

  peek(...[call]: Args<"peek">): Rpc<"peek"> {
    return this.#look(
      call.stamp,
      this.#reading(() => accept(peek(this.#queue.store, call))),
    );
  }

  async grown(...[stamp, offset, waitMs]: Args<"grown">): Rpc<"grown"> {
    const look = () =>
      this.#queue.stamped(stamp, () => accept({ next: this.#queue.store.messages.next }));
    const now = await look();
    if (!now.ok || now.value.next > offset || waitMs <= 0) return now;
    const waited = this.#queue.waits.tails.wait(offset, waitMs);
    if (waited === undefined) return TOO_MANY;
    // What came between the look and the wait is seen by the second look at the latest.
    await waited;
    return look();
  }

  message(...[call]: Args<"message">): Rpc<"message"> {
    return this.#look(call.stamp, (nowMs) => message(this.#queue.store, call, nowMs));
  }

  stats(stamp: Args<"stats">[0]): Rpc<"stats"> {
    return this.#queue.stamped(stamp, (nowMs) => accept(stats(this.#queue.store, nowMs)));
  }

  audit(...[stamp, query]: Args<"audit">): Rpc<"audit"> {
    return this.#queue.stamped(stamp, (nowMs) => audit(this.#queue.store, query, nowMs));
  }

  deadLetters(...[stamp, name, query]: Args<"deadLetters">): Rpc<"deadLetters"> {
    return this.#queue.grouped(stamp, name, () =>
      this.#reading(() =>
        accept(deadLetters(this.#queue.store, this.#of(name, query.consumerId), query)),
      )(),
    );
  }

  redrive(...[stamp, name, ids]: Args<"redrive">): Rpc<"redrive"> {
    return this.#queue.grouped(stamp, name, (_, nowMs) =>
      accept(redrive(this.#queue.store, this.#of(name), ids, nowMs)),
    );
  }

  pacedRedrive(...[stamp, name, order]: Args<"pacedRedrive">): Rpc<"pacedRedrive"> {
    return this.#queue.grouped(stamp, name, ({ number }, nowMs) =>
      accept(this.#queue.redrives.order(number, order, nowMs)),
    );
  }

  purgeDeadLetters(
    ...[stamp, name, { consumerId, ids }]: Args<"purgeDeadLetters">
  ): Rpc<"purgeDeadLetters"> {
    return this.#queue.grouped(stamp, name, () =>
      accept(purgeDeadLetters(this.#queue.store, this.#of(name, consumerId), ids)),
    );
  }

  blocked(...[stamp, name, query]: Args<"blocked">): Rpc<"blocked"> {
    return this.#queue.bucketWork.look(
      (look) => this.#queue.grouped(stamp, name, (_, nowMs) => look(nowMs)),
      (nowMs) => accept(blocked(this.#queue.store, this.#of(name), query, nowMs)),
    );
  }

  decideHeld(...[stamp, name, decision]: Args<"decideHeld">): Rpc<"decideHeld"> {
    return this.#queue.grouped(stamp, name, (_, nowMs) => {
      const groups = this.#of(name, decision.consumerId);
      return accept(decideHeld(this.#queue.store, groups, decision, nowMs));
    });
  }

  forward(...[call]: Args<"forward">): Rpc<"forward"> {
    return this.#queue.run(
      (nowMs) =>
        this.#is(call.incarnation)
          ? (this.#queue.hold.refusal(nowMs) ?? takeForwarded(this.#queue.store, call, nowMs))
          : noTopic,
      call.entries.length,
    );
  }

  async drained(...[call]: Args<"drained">): Rpc<"drained"> {
    const { incarnation, group, from, consumerId } = call;
    const heard = await this.#queue.run(() => {
      const { groups } = this.#queue.store;
      const found = this.#is(incarnation) ? groups.member(group, consumerId) : undefined;
      found?.releaseHeld(from);
      return accept(found !== undefined);
    });
    return heard.ok && heard.value;
  }

  /** The delivery states of a group, or of the named consumer. */
  #of(name: string, consumerId?: string): readonly Group[] {
    return this.#queue.store.groups.of(name, consumerId);
  }

  /** A command that changes nothing where it looks at messages, which may have to be fetched for it. */
  #look<T>(stamp: Stamp, look: (nowMs: number) => Outcome<T>): Promise<Outcome<T>> {
    return this.#queue.bucketWork.look((again) => this.#queue.stamped(stamp, again), look);
  }

  /** A command whose answer carries messages; refused when those of the flush carry enough. */
  #reading<T extends { readonly entries: Uint8Array }>(read: () => Outcome<T>): () => Outcome<T> {
    return () => {
      const { answers } = this.#queue;
      if (!answers.hasRoom)
        return refuse("overloaded", "The queue has more to read out than it can hold.");
      const outcome = read();
      if (outcome.ok) answers.spend(outcome.value.entries.length);
      return outcome;
    };
  }

  #is(incarnation: number): boolean {
    const { identity } = this.#queue.store;
    return identity?.route.incarnation === incarnation && identity.dropping !== true;
  }
}
