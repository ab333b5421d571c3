/**
 * Long polls as one queue holds them: those that wait here for a group of its own, and, at queue 0, those that wait for any
 * queue of the topic to ring. A poll leases nothing by itself: what it gets is the receive command's, run inside a flush.
 * In memory only: a poll that is lost with the object is asked again by its client.
 */
import { COLD_UNAVAILABLE } from "../../bodies/bucket.ts";
import type { Clock } from "../../platform/clock.ts";
import { accept, refuse, type Outcome, type Refusal } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type {
  BellCall,
  Delivered,
  GroupRoute,
  ReceiveCall,
  RingCall,
  Rung,
  Stamp,
} from "../../protocol/rpc.ts";
import type { Attendants } from "./attendants.ts";
import { Bell } from "./bell.ts";
import type { Block } from "../cold/block.ts";
import { nothing, receive, type Received } from "../consuming.ts";
import type { Group } from "../delivery/group.ts";
import { Polls } from "./polls.ts";
import { Rings, type RingPort } from "./rings.ts";
import type { QueueStore } from "../store.ts";
import { Tails } from "./tails.ts";

/** A receive that finds nothing in what is fetched for it ends after so much more than its own wait. */
const COLD_MS = 10_000;

export interface WaitsPorts {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly attendants: Attendants;
  readonly store: () => QueueStore;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
  grouped<T>(
    stamp: Stamp,
    name: string,
    command: (route: GroupRoute, nowMs: number) => Outcome<T>,
  ): Promise<Outcome<T>>;
  stale(stamp: Stamp): Refusal | undefined;
  /** Something to do once the flush under way is applied. */
  after(effect: () => void): void;
  /** What the answers of a flush may carry. */
  readonly answers: { readonly hasRoom: boolean; spend(bytes: number): void };
  readonly ring: RingPort;
  /** Fulfilled when what is in the block may be looked at again; false: the bucket is out of reach. */
  arrival(block: Block): Promise<boolean>;
}

export class Waits {
  readonly #ports: WaitsPorts;
  readonly tails: Tails;
  readonly #polls: Polls;
  readonly #bell: Bell;
  readonly #rings: Rings;
  /** Delivery states whose polls wait for a block. */
  readonly #fetchedFor = new Set<number>();

  constructor(ports: WaitsPorts) {
    this.#ports = ports;
    this.tails = new Tails(ports.clock);
    this.#bell = new Bell(ports.clock, Math.floor(ports.random() * 2 ** 48));
    this.#polls = new Polls(ports.clock);
    this.#rings = new Rings({
      clock: ports.clock,
      store: ports.store,
      ring: (route, ring) => (ring.queue === 0 ? this.ring(ring) : ports.ring(route, ring)),
    });
  }

  /** Whoever has something rings again: another topic begins in this object, or it is time to repeat. */
  forgetRings(): void {
    this.#rings.clear();
  }

  /** All polls of this queue's groups end with a refusal; the returned call tells them. */
  turnAway(refusal: Refusal): () => void {
    return this.#polls.turnAway(refusal);
  }

  /** The delivery state is gone: all who wait for it are told why by the returned call. */
  close({ number, route }: Group, why: Refusal): () => void {
    const tell = this.#polls.turnAway(why, number);
    this.#rings.forget(number);
    // A consumer that was silent for a day waits nowhere; its group is there.
    if (this.#store.groups.route(route.name)?.number === route.number) return tell;
    const tellStream = this.#ports.attendants.forget(this.#store.route, route);
    return () => {
      tell();
      tellStream();
      this.#bell.close(route.number, why);
    };
  }

  // ------------------------------------------------------------ receiving

  receive(call: ReceiveCall): Promise<Outcome<Delivered>> {
    const until = this.#ports.clock.nowMs() + call.waitMs + COLD_MS;
    return new Promise((resolve) => {
      const turn = (): void => {
        const answer = this.#ports.grouped<Received>(call.stamp, call.group, (route, nowMs) => {
          if (this.#polls.isCancelled(call.waitId))
            return accept({ is: "empty", paused: route.paused, more: true });
          const group = this.#store.groups.get(call.group, call.consumerId);
          // The caller lets the consumer join, and comes again.
          if (group === undefined) return refuse("stale_route", "The consumer is not known here.");
          return accept(this.#receive(group, call, nowMs));
        });
        void answer.then((outcome) => {
          if (!outcome.ok) resolve(outcome);
          else if (outcome.value.is === "delivered") resolve(accept(outcome.value.delivered));
          else if (outcome.value.is === "unfinished") turn();
          else if (outcome.value.is === "cold")
            this.#fetch(outcome.value.block, until, turn, resolve);
          else this.#wait(call, outcome.value, resolve);
        });
      };
      turn();
    });
  }

  /** What comes next is in the bucket. Who has waited long enough is told to come again: the scan stays where it is. */
  #fetch(
    block: Block,
    until: number,
    turn: () => void,
    answer: (outcome: Outcome<Delivered>) => void,
  ): void {
    if (this.#ports.clock.nowMs() >= until) {
      answer(accept(nothing(false, true)));
      return;
    }
    void this.#ports.arrival(block).then((isSettled) => {
      if (isSettled) turn();
      else answer(COLD_UNAVAILABLE);
    });
  }

  /**
   * Leases nothing that this flush's answers could not carry: the call goes on in the next one. Whoever leaves the group
   * empty must be told of what comes next, even if that comes in the same flush.
   */
  #receive(group: Group, call: ReceiveCall, nowMs: number): Received {
    const { answers } = this.#ports;
    if (!answers.hasRoom) return { is: "unfinished" };
    const received = receive(this.#store, group, call, nowMs);
    if (received.is === "delivered") answers.spend(received.delivered.entries.length);
    if (!group.mayHave) this.#rings.forget(group.number);
    return received;
  }

  #wait(
    call: ReceiveCall,
    { paused, more }: Received & { readonly is: "empty" },
    answer: (outcome: Outcome<Delivered>) => void,
  ): void {
    const isOver = call.waitMs <= 0 || this.#polls.isCancelled(call.waitId);
    if (isOver || call.replayOnly === true) {
      answer(accept(nothing(paused, more)));
      return;
    }
    // The topic may have changed between the flush that found nothing and this.
    const changed = this.#goneOrStale(call);
    if (changed !== undefined) {
      answer(changed);
      return;
    }
    const groupNow = (): Group | undefined => this.#store.groups.get(call.group, call.consumerId);
    const { number = 0, mayHave = false } = groupNow() ?? {};
    this.#polls.wait(number, call, () => groupNow()?.route.paused ?? false, answer);
    // Something may have come between the look and the wait.
    if (mayHave) void this.#ports.run(() => accept(undefined));
  }

  /** What a call that found its group is told when it is no more. */
  #goneOrStale({ stamp, group, consumerId }: ReceiveCall): Refusal | undefined {
    const { identity } = this.#store;
    const isHere = identity?.route.incarnation === stamp.incarnation && identity.dropping !== true;
    if (!isHere) return TOPIC_GONE;
    const isThere = this.#store.groups.get(group, consumerId) !== undefined;
    return isThere ? this.#ports.stale(stamp) : groupGone(group);
  }

  /** The end of a flush: whoever waits gets what there is by now. */
  serve(nowMs: number): void {
    const tell = this.tails.grown(this.#store.messages.next);
    if (tell !== undefined) this.#ports.after(tell);
    for (const number of this.#polls.groups()) this.#serveGroup(number, nowMs);
  }

  #serveGroup(number: number, nowMs: number): void {
    const group = this.#store.groups.number(number);
    if (group === undefined) return;
    const { answers, unfinished, cold } = this.#polls.serve(number, (call) =>
      group.mayHave ? this.#receive(group, call, nowMs) : undefined,
    );
    // After the flush, like every other answer: a throw must not have answered anybody.
    for (const answer of answers) this.#ports.after(answer);
    if (unfinished) this.#ports.after(() => void this.#ports.run(() => accept(undefined)));
    if (cold !== undefined) this.#ports.after(() => this.#fetchFor(number, cold));
  }

  /** Polls of the group have waited for what is in the bucket. */
  #fetchFor(number: number, block: Block): void {
    // Every flush until then finds the same.
    if (this.#fetchedFor.has(number)) return;
    this.#fetchedFor.add(number);
    void this.#ports.arrival(block).then((isSettled) => {
      this.#fetchedFor.delete(number);
      if (isSettled) void this.#ports.run(() => accept(undefined));
      else this.#polls.turnAway(COLD_UNAVAILABLE, number)();
    });
  }

  /** The client is gone: its long poll here or at the bell ends, so that nothing is leased to it. */
  cancelWait(waitId: string): boolean {
    const wasWaiting = this.#polls.cancel(waitId) || this.#bell.cancel(waitId);
    if (!wasWaiting) this.#polls.rememberCancelled(waitId);
    return wasWaiting;
  }

  /** After a flush: tells the bell of the topic of those groups that it is wanted for. */
  ringFor(isWanted: (route: GroupRoute) => boolean): void {
    this.#rings.ringFor(isWanted);
  }

  // ------------------------------------------------------------ the bell

  async waitAtBell(call: BellCall): Promise<Outcome<Rung>> {
    const { group, waitMs, waitId, consumerId, askedAt, after } = call;
    const route = this.#store.groups.route(group);
    const stale = this.#ports.stale(call.stamp);
    if (stale !== undefined) return stale;
    if (route === undefined) return refuse("stale_route", "The group is not known here.");
    if (this.#polls.isCancelled(waitId)) return accept(this.#bell.nothing);
    const isOne = consumerId !== undefined && route.settings.mode === "broadcast";
    const rung = this.#bell.wait(route.number, waitMs, {
      askedAt,
      ...(after === undefined ? {} : { after }),
      ...(waitId === undefined ? {} : { waitId }),
      ...(isOne ? { consumerId } : {}),
    });
    if (rung !== undefined) return rung;
    return refuse("too_many_waiters", "Too many long polls wait here.", {
      limit: LIMITS.waitersMax,
    });
  }

  /** A queue has something: who waits or delivers is told. Answers how many polls might be woken still. */
  async ring(ring: Omit<RingCall, "incarnation">): Promise<number> {
    const waiting = this.#bell.ring(ring);
    const { identity, groups } = this.#store;
    const route = [...groups.routes()].find(({ number }) => number === ring.group);
    if (identity !== undefined && route !== undefined)
      await this.#ports.attendants.tell(identity.route, route, ring.queue);
    return waiting;
  }

  get #store(): QueueStore {
    return this.#ports.store();
  }
}

export const TOPIC_GONE = refuse("topic_not_found", "The topic was deleted");

export const groupGone = (group: string): Refusal =>
  refuse("group_not_found", "The group was deleted", { group });
