/**
 * Long polls as one queue holds them: those that wait here for a group of its own, and, at queue 0, those that wait for any
 * queue of the topic to ring. A poll leases nothing by itself: what it gets is the receive command's, run inside a flush.
 * In memory only: a poll that is lost with the object is asked again by its client.
 */
import type { Clock } from "../platform/clock.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { BellCall, Delivered, ReceiveCall, Stamp, TopicRoute } from "../protocol/rpc.ts";
import type { Attendants } from "./attendants.ts";
import { Bell } from "./bell.ts";
import { nothing, receive, type Received } from "./consuming.ts";
import type { Group } from "./delivery/group.ts";
import { Polls } from "./polls.ts";
import type { QueueStore } from "./store.ts";
import { Tails } from "./tails.ts";

const RING_AGAIN_MS = 50;
/** A ring that was not answered is repeated after this. */
const RING_LOST_MS = 1_000;

export interface WaitsPorts {
  readonly clock: Clock;
  readonly attendants: Attendants;
  readonly store: () => QueueStore;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
  grouped<T>(
    stamp: Stamp,
    name: string,
    command: (group: Group, nowMs: number) => Outcome<T>,
  ): Promise<Outcome<T>>;
  stale(stamp: Stamp): Refusal | undefined;
  /** Something to do once the flush under way is applied. */
  after(effect: () => void): void;
  /** What the answers of a flush may carry. */
  readonly answers: { readonly hasRoom: boolean; spend(bytes: number): void };
  ring(route: TopicRoute, group: number, queue: number, count: number): Promise<number>;
}

export class Waits {
  readonly #ports: WaitsPorts;
  readonly tails: Tails;
  readonly #polls: Polls;
  readonly #bell: Bell;
  /** Groups whose ring found nobody waiting: no further ring until somebody found them empty. */
  readonly #rung = new Set<number>();

  constructor(ports: WaitsPorts) {
    this.#ports = ports;
    this.tails = new Tails(ports.clock);
    this.#bell = new Bell(ports.clock);
    this.#polls = new Polls(ports.clock);
  }

  /** Whoever has something rings again: another topic begins in this object, or it is time to repeat. */
  forgetRings(): void {
    this.#rung.clear();
  }

  /** All polls of this queue's groups end with a refusal; the returned call tells them. */
  turnAway(refusal: Refusal): () => void {
    return this.#polls.turnAway(refusal);
  }

  /** Nobody will ever have anything for the group again: all who wait for it are told why by the returned call. */
  close({ route }: Group, why: Refusal): () => void {
    const { name, number } = route;
    const tell = this.#polls.turnAway(why, name);
    const tellStream = this.#ports.attendants.forget(this.#store.route, route);
    this.#rung.delete(number);
    return () => {
      tell();
      tellStream();
      this.#bell.close(number, why);
    };
  }

  // ------------------------------------------------------------ receiving

  receive(call: ReceiveCall): Promise<Outcome<Delivered>> {
    return new Promise((resolve) => {
      const turn = (): void => {
        const answer = this.#ports.grouped<Received>(call.stamp, call.group, (group, nowMs) =>
          accept(
            this.#polls.isCancelled(call.waitId)
              ? { is: "empty", paused: group.route.paused }
              : this.#receive(group, call, nowMs),
          ),
        );
        void answer.then((outcome) => {
          if (!outcome.ok) resolve(outcome);
          else if (outcome.value.is === "delivered") resolve(accept(outcome.value.delivered));
          else if (outcome.value.is === "unfinished") turn();
          else this.#wait(call, outcome.value.paused, resolve);
        });
      };
      turn();
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
    if (!group.mayHave) this.#rung.delete(group.route.number);
    return received;
  }

  #wait(call: ReceiveCall, paused: boolean, answer: (outcome: Outcome<Delivered>) => void): void {
    const isOver = call.waitMs <= 0 || this.#polls.isCancelled(call.waitId);
    if (isOver || call.replayOnly === true) {
      answer(accept(nothing(paused)));
      return;
    }
    // The topic may have changed between the flush that found nothing and this.
    const changed = this.#goneOrStale(call);
    if (changed !== undefined) {
      answer(changed);
      return;
    }
    const groupNow = (): Group | undefined => this.#store.groups.get(call.group);
    this.#polls.wait(call, () => groupNow()?.route.paused ?? false, answer);
    // Something may have come between the look and the wait.
    if (groupNow()?.mayHave === true) void this.#ports.run(() => accept(undefined));
  }

  /** What a call that found its group is told when it is no more. */
  #goneOrStale({ stamp, group }: ReceiveCall): Refusal | undefined {
    const { identity } = this.#store;
    const isHere = identity?.route.incarnation === stamp.incarnation && identity.dropping !== true;
    if (!isHere) return TOPIC_GONE;
    return this.#store.groups.has(group) ? this.#ports.stale(stamp) : groupGone(group);
  }

  /** The end of a flush: whoever waits gets what there is by now. */
  serve(nowMs: number): void {
    const tell = this.tails.grown(this.#store.messages.next);
    if (tell !== undefined) this.#ports.after(tell);
    for (const name of this.#polls.groups()) this.#serveGroup(name, nowMs);
  }

  #serveGroup(name: string, nowMs: number): void {
    const group = this.#store.groups.get(name);
    if (group === undefined) return;
    const { answers, unfinished } = this.#polls.serve(name, (call) =>
      group.mayHave ? this.#receive(group, call, nowMs) : undefined,
    );
    // After the flush, like every other answer: a throw must not have answered anybody.
    for (const answer of answers) this.#ports.after(answer);
    if (unfinished) this.#ports.after(() => void this.#ports.run(() => accept(undefined)));
  }

  /** The client is gone: its long poll here or at the bell ends, so that nothing is leased to it. */
  cancelWait(waitId: string): boolean {
    const wasWaiting = this.#polls.cancel(waitId) || this.#bell.cancel(waitId);
    if (!wasWaiting) this.#polls.rememberCancelled(waitId);
    return wasWaiting;
  }

  // ------------------------------------------------------------ the bell

  async waitAtBell(call: BellCall): Promise<Outcome<{ queues: readonly number[] }>> {
    const group = this.#store.groups.get(call.group);
    const stale = this.#ports.stale(call.stamp);
    if (stale !== undefined) return stale;
    if (group === undefined) return refuse("stale_route", "The group is not known here.");
    if (this.#polls.isCancelled(call.waitId)) return accept({ queues: [] });
    const rung = this.#bell.wait(group.route.number, call.waitMs, call.waitId);
    if (rung !== undefined) return rung;
    return refuse("too_many_waiters", "Too many long polls wait here.", {
      limit: LIMITS.waitersMax,
    });
  }

  /** Another queue has something: who waits or delivers is told. Answers how many polls still wait. */
  async ring(number: number, queue: number, count: number): Promise<number> {
    const waiting = this.#bell.ring(number, queue, count);
    const { identity, groups } = this.#store;
    const group = [...groups.values()].find(({ route }) => route.number === number);
    if (identity !== undefined && group !== undefined)
      await this.#ports.attendants.tell(identity.route, group.route, queue);
    return waiting;
  }

  /** After a flush: tells the bell when the group went from nothing visible to something. */
  ringFor(group: Group): void {
    const { number } = group.route;
    if (!group.mayHave) {
      this.#rung.delete(number);
      return;
    }
    if (this.#rung.has(number)) return;
    this.#rung.add(number);
    const { route, queue } = this.#store;
    const told =
      queue === 0
        ? this.ring(number, 0, group.visibleCount)
        : this.#ports.ring(route, number, queue, group.visibleCount);
    told.then(
      // Whoever was woken may be gone by now: while something stays visible, one more is woken every 50 ms.
      (waiting) => waiting > 0 && this.#ringLater(group, RING_AGAIN_MS),
      () => this.#ringLater(group, RING_LOST_MS),
    );
  }

  #ringLater(group: Group, delayMs: number): void {
    this.#ports.clock.after(delayMs, () => {
      this.#rung.delete(group.route.number);
      if (this.#store.groups.get(group.route.name) === group) this.ringFor(group);
    });
  }

  get #store(): QueueStore {
    return this.#ports.store();
  }
}

export const TOPIC_GONE = refuse("topic_not_found", "The topic was deleted");

export const groupGone = (group: string): Refusal =>
  refuse("group_not_found", "The group was deleted", { group });
