/**
 * Calls that came together: each is made as if it had come by itself, and all are answered together, but for those that
 * take longer than a flush and those whose answers are long, which are kept until they are fetched. In memory only: an
 * answer that is lost with the object is lost as any other on its way. It decides nothing.
 */
import { within, type Clock } from "../platform/clock.ts";
import type { QueueRpc } from "../protocol/rpc.ts";
import type { Fault, SharedAnswer, SharedCall, SharedVerb, Trip } from "../protocol/sharing.ts";
import { Trips } from "./trips.ts";

/** So long after the flush that they share, others are held up no longer by one that waits for a bucket or another queue. */
const AFTER_FLUSH_MS = 10;
/** And so long while the flush waits for the commit before it. */
const LATE_MS = 100;
/** Bytes of messages that go out together; an answer over RPC has 32 MiB. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** An answer that nobody fetches: its Worker is gone. */
const KEPT_MS = 60_000;
const KEPT_MAX = 10_000;

interface Kept {
  readonly answer: Promise<SharedAnswer>;
  readonly atMs: number;
}

const GONE: SharedAnswer = {
  is: "failed",
  fault: { message: "no answer is kept under the ticket" },
};

type Verbs = Pick<QueueRpc, SharedVerb | "poke">;

export class Shared {
  readonly #verbs: Verbs;
  readonly #clock: Clock;
  /** Tickets of an object that is gone find nothing in the next. */
  readonly #life: string;
  #count = 0;
  readonly #kept = new Map<string, Kept>();
  readonly #trips = new Trips();

  /** `random`: from 0 to below 1. */
  constructor(verbs: Verbs, clock: Clock, random: () => number) {
    this.#verbs = verbs;
    this.#clock = clock;
    this.#life = Math.floor(random() * 2 ** 48).toString(36);
  }

  /** An answer for each call, in order. */
  answer(calls: readonly SharedCall[], trip: Trip): Promise<readonly SharedAnswer[]> {
    const answers = this.#makeAll(calls);
    this.#trips.begin(trip, answers, bytesOf, this.#clock.nowMs());
    return answers;
  }

  /** The same again, while it is kept. */
  missed(trip: string): Promise<readonly SharedAnswer[] | undefined> {
    return this.#trips.answers(trip);
  }

  async #makeAll(calls: readonly SharedCall[]): Promise<readonly SharedAnswer[]> {
    const answers: (SharedAnswer | undefined)[] = calls.map(() => undefined);
    let bytesLeft = ANSWER_BYTES_MAX;
    this.#forgetOld();
    const open = calls.map(async (call, index) => {
      const answer = await this.#make(call);
      const bytes = bytesOf(answer);
      if (bytes <= bytesLeft) {
        bytesLeft -= bytes;
        answers[index] = answer;
      }
      return answer;
    });
    await this.#others(Promise.all(open));
    return open.map((promise, index) => answers[index] ?? this.#keep(promise));
  }

  /** Until all are there, or those that are not take longer than a flush. */
  async #others(all: Promise<unknown>): Promise<void> {
    const ended = all.then(() => "ended" as const);
    const first = await within(this.#clock, LATE_MS, Promise.race([ended, this.#flushed(ended)]));
    if (first === "flushed") await within(this.#clock, AFTER_FLUSH_MS, ended);
  }

  /**
   * A command behind all of them is through with the flush of those that wait for one. It comes a turn later, so that calls which
   * wait for none, or whose flush is that turn's, cause no other.
   */
  #flushed(ended: Promise<unknown>): Promise<"flushed"> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(0, () => {
        void this.#verbs.poke().then(() => resolve("flushed"));
      });
      void ended.then(cancel);
    });
  }

  /** The answer under the ticket, once it is there; it is kept no longer. */
  async late(ticket: string): Promise<SharedAnswer> {
    const kept = this.#kept.get(ticket);
    this.#kept.delete(ticket);
    return kept === undefined ? GONE : kept.answer;
  }

  async #make({ verb, call }: SharedCall): Promise<SharedAnswer> {
    try {
      // Each verb takes its own call; the two come from one place.
      const make = this.#verbs[verb] as (call: unknown) => Promise<unknown>;
      return { is: "answered", outcome: await make.call(this.#verbs, call) };
    } catch (error) {
      const { message } = (typeof error === "object" && error !== null ? error : {}) as Fault;
      return { is: "failed", fault: message === undefined ? {} : { message } };
    }
  }

  #keep(answer: Promise<SharedAnswer>): SharedAnswer {
    this.#forgetOld();
    const ticket = `${this.#life}-${++this.#count}`;
    this.#kept.set(ticket, { answer, atMs: this.#clock.nowMs() });
    return { is: "late", ticket };
  }

  #forgetOld(): void {
    if (this.#kept.size === 0) return;
    const nowMs = this.#clock.nowMs();
    for (const [ticket, { atMs }] of this.#kept) {
      if (nowMs - atMs <= KEPT_MS && this.#kept.size < KEPT_MAX) break;
      this.#kept.delete(ticket);
    }
  }

  /** How many answers wait to be fetched. */
  get kept(): number {
    return this.#kept.size;
  }
}

/** The bytes of the messages in an answer; everything else is short. */
function bytesOf(answer: SharedAnswer): number {
  if (answer.is !== "answered") return 0;
  const { value } = answer.outcome as { value?: { entries?: Uint8Array } };
  return value?.entries?.length ?? 0;
}
