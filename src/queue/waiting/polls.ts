/**
 * Long polls that one queue holds open itself: callers that found nothing wait here until a flush leaves something for
 * their group. In memory only: a poll that is lost with the object is asked again by its client. It never leases by
 * itself: what a poll gets is the receive command's, run inside the flush.
 */
import type { Clock } from "../../platform/clock.ts";
import { accept, refuse, type Outcome, type Refusal } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { Delivered, ReceiveCall } from "../../protocol/rpc.ts";
import type { Block } from "../cold/block.ts";
import { nothing, type Received } from "../consuming.ts";

/** Ends of waits that came before their wait; each is of use for milliseconds. */
const CANCELLED_MAX = 1_000;

type Answer = (outcome: Outcome<Delivered>) => void;

interface Poll {
  readonly call: ReceiveCall;
  readonly answer: Answer;
  readonly cancel: () => void;
}

export class Polls {
  readonly #clock: Clock;
  /** By the number of the delivery state. */
  readonly #waiting = new Map<number, Poll[]>();
  /** Of all groups. */
  #size = 0;
  /** Waits whose client was gone before they began. */
  readonly #cancelled = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lets the call wait for its time, then answers it empty. `isPaused` is asked then. */
  wait(group: number, call: ReceiveCall, isPaused: () => boolean, answer: Answer): void {
    const polls = this.#waiting.get(group) ?? [];
    this.#waiting.set(group, polls);
    if (this.#size >= LIMITS.waitersMax) {
      answer(
        refuse("too_many_waiters", "Too many long polls wait here.", { limit: LIMITS.waitersMax }),
      );
      return;
    }
    const poll: Poll = {
      call,
      answer,
      cancel: this.#clock.after(call.waitMs, () => {
        const index = polls.indexOf(poll);
        if (index < 0) return;
        polls.splice(index, 1);
        this.#size--;
        answer(accept(nothing(isPaused())));
      }),
    };
    polls.push(poll);
    this.#size++;
  }

  /** Groups that somebody waits for. */
  groups(): Iterable<number> {
    return this.#waiting.keys();
  }

  /**
   * Tries the group's polls, oldest first, as long as `receive` has something. Answers what to tell whom once the flush
   * is applied, whether a scan stopped half-way and wants another flush, and which block must be fetched first.
   */
  serve(
    group: number,
    receive: (call: ReceiveCall) => Received | undefined,
  ): { answers: (() => void)[]; unfinished: boolean; cold: Block | undefined } {
    const answers: (() => void)[] = [];
    const polls = this.#waiting.get(group) ?? [];
    for (;;) {
      const [poll] = polls;
      const received = poll === undefined ? undefined : receive(poll.call);
      if (poll === undefined || received?.is !== "delivered")
        return {
          answers,
          unfinished: received?.is === "unfinished",
          cold: received?.is === "cold" ? received.block : undefined,
        };
      polls.shift();
      this.#size--;
      poll.cancel();
      answers.push(() => poll.answer(accept(received.delivered)));
    }
  }

  /** The client is gone: its poll ends with nothing. False when nobody waits here under that id. */
  cancel(waitId: string): boolean {
    for (const polls of this.#waiting.values()) {
      const index = polls.findIndex(({ call }) => call.waitId === waitId);
      if (index < 0) continue;
      for (const poll of polls.splice(index, 1)) {
        this.#size--;
        poll.cancel();
        poll.answer(accept(nothing(false)));
      }
      return true;
    }
    return false;
  }

  /** A cancel may overtake its wait, here or at the bell: that one must not begin. */
  rememberCancelled(waitId: string): void {
    this.#cancelled.add(waitId);
    for (const oldest of this.#cancelled) {
      if (this.#cancelled.size <= CANCELLED_MAX) break;
      this.#cancelled.delete(oldest);
    }
  }

  isCancelled(waitId: string | undefined): boolean {
    return waitId !== undefined && this.#cancelled.has(waitId);
  }

  /** All polls, or one group's, end with a refusal; the returned call tells them. */
  turnAway(refusal: Refusal, group?: number): () => void {
    const ended: Poll[] = [];
    for (const [number, polls] of this.#waiting) {
      if (group === undefined || number === group) ended.push(...polls.splice(0));
    }
    if (group !== undefined) this.#waiting.delete(group);
    this.#size -= ended.length;
    for (const poll of ended) poll.cancel();
    return () => {
      for (const poll of ended) poll.answer(refusal);
    };
  }
}
