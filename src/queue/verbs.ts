/**
 * The verbs that others may call on a queue, each as one command of its group commit: it looks at who asks, then lets the
 * rules decide. object.ts gives them to RPC, a test or a simulated network calls them as they are. They hold no state.
 */
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { QueueRpc, Stored } from "../protocol/rpc.ts";
import { blocked, decideHeld } from "./blocked.ts";
import { beginChecks, checkContent, endCheck } from "./checking.ts";
import { peek, settle, stats } from "./consuming.ts";
import { prepare } from "./deciding.ts";
import { locate, message, recall, retime } from "./finding.ts";
import { deadLetters, purgeDeadLetters, redrive, seek } from "./operating.ts";
import type { Queue } from "./queue.ts";
import { producerSeats } from "./sequences.ts";
import { mayBeLost } from "./soft.ts";
import { answered, duplicates, releaseKey, send, takeForwarded } from "./sending.ts";
import { list, view } from "./transaction-view.ts";

type Rpc<K extends keyof QueueRpc> = ReturnType<QueueRpc[K]>;
type Args<K extends keyof QueueRpc> = Parameters<QueueRpc[K]>;

const noTransaction = refuse("transaction_not_found", "There is no such transaction.");
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
    return this.#queue.inUse(incarnation, hold);
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

  endCheck(...[incarnation, position, attempt, resolution]: Args<"endCheck">): Rpc<"endCheck"> {
    return this.#queue.run((nowMs) =>
      this.#is(incarnation)
        ? endCheck(this.#queue.store, { position, attempt, resolution }, nowMs)
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
    return this.#queue.grouped(call.stamp, call.group, (group, nowMs) =>
      accept(settle(this.#queue.store, group, call, nowMs)),
    );
  }

  waitAtBell(...[call]: Args<"waitAtBell">): Rpc<"waitAtBell"> {
    return this.#queue.waits.waitAtBell(call);
  }

  listen(...[stamp, name]: Args<"listen">): Rpc<"listen"> {
    return this.#queue.grouped(stamp, name, (group) => {
      this.#queue.attendants.listen(group.route.number);
      return accept({ listening: true });
    });
  }

  async ring(...[incarnation, group, queue, count]: Args<"ring">): Promise<number> {
    return this.#is(incarnation) ? this.#queue.waits.ring(group, queue, count) : 0;
  }

  seek(...[stamp, name, to]: Args<"seek">): Rpc<"seek"> {
    return this.#queue.grouped(stamp, name, (group, nowMs) =>
      accept(seek(this.#queue.store, group, to, nowMs)),
    );
  }

  peek(...[call]: Args<"peek">): Rpc<"peek"> {
    const read = this.#reading(() => accept(peek(this.#queue.store, call)));
    return this.#queue.stamped(call.stamp, read);
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
    return this.#queue.stamped(call.stamp, (nowMs) => message(this.#queue.store, call, nowMs));
  }

  stats(stamp: Args<"stats">[0]): Rpc<"stats"> {
    return this.#queue.stamped(stamp, (nowMs) => accept(stats(this.#queue.store, nowMs)));
  }

  deadLetters(...[stamp, name, query]: Args<"deadLetters">): Rpc<"deadLetters"> {
    return this.#queue.grouped(stamp, name, (group) =>
      this.#reading(() => accept(deadLetters(this.#queue.store, group, query)))(),
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

  blocked(...[stamp, name, query]: Args<"blocked">): Rpc<"blocked"> {
    return this.#queue.grouped(stamp, name, (group, nowMs) =>
      accept(blocked(this.#queue.store, group, query, nowMs)),
    );
  }

  decideHeld(...[stamp, name, decision]: Args<"decideHeld">): Rpc<"decideHeld"> {
    return this.#queue.grouped(stamp, name, (group, nowMs) =>
      accept(decideHeld(this.#queue.store, group, decision, nowMs)),
    );
  }

  forward(...[call]: Args<"forward">): Rpc<"forward"> {
    return this.#queue.run(
      (nowMs) =>
        this.#is(call.incarnation)
          ? (this.#queue.held(nowMs) ?? takeForwarded(this.#queue.store, call, nowMs))
          : noTopic,
      call.entries.length,
    );
  }

  async drained(...[incarnation, number, from]: Args<"drained">): Rpc<"drained"> {
    const heard = await this.#queue.run(() => {
      const groups = this.#is(incarnation) ? [...this.#queue.store.groups.values()] : [];
      const group = groups.find(({ route }) => route.number === number);
      group?.releaseHeld(from);
      return accept(group !== undefined);
    });
    return heard.ok && heard.value;
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
