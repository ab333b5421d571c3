/**
 * A call to a Durable Object: a fresh stub per attempt (an exception breaks the old one), a second attempt only where the
 * platform says that it can help, and a refusal instead of an exception at the end. It never repeats what an object
 * refused: a refusal is an answer. A lost answer may hide a call that was carried out, so a call must be safe to repeat,
 * or ask for one attempt.
 */
import { refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { systemClock, type Clock } from "./clock.ts";
import { log as systemLog, type Log } from "./log.ts";
import { Outages } from "./outages.ts";

const ATTEMPTS_MAX = 4;
const FIRST_PAUSE_MS = 20;
const PAUSE_MS_MAX = 500;

interface CallOptions {
  /** Which one it is, for the log. */
  readonly object?: string;
  /** 1: never repeated. */
  readonly attemptsMax?: number;
  /** After that long an attempt counts as lost, and is not repeated: it may still be at work. Absent: no bound. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  /** From 0 to below 1. */
  readonly random?: () => number;
  readonly log?: Log;
  /** Absent: those of this process or isolate. */
  readonly outages?: Outages;
}

const allOutages = new Outages();

/** What workerd says of an exception from a stub. */
interface StubError {
  readonly message?: string;
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
}

const TIMED_OUT: StubError = { message: "timed out" };

/** Calls an object; never throws. */
export async function callObject<S, T>(
  getStub: () => S,
  call: (stub: S) => Promise<Outcome<T>>,
  options: CallOptions = {},
): Promise<Outcome<T>> {
  const { attemptsMax = ATTEMPTS_MAX, clock = systemClock, random = Math.random } = options;
  const { log = systemLog, outages = allOutages, object } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = call(getStub());
      const { timeoutMs } = options;
      const outcome = await (timeoutMs === undefined ? answer : within(clock, timeoutMs, answer));
      outages.answered(log, object, clock.nowMs());
      return outcome;
    } catch (error) {
      const fault = (typeof error === "object" && error !== null ? error : {}) as StubError;
      const canHelp = fault.retryable === true && fault.overloaded !== true;
      if (!canHelp || attempt >= attemptsMax) {
        const overloaded = fault.overloaded === true;
        const failure = { message: fault.message, attempts: attempt, overloaded };
        outages.failed(log, object, failure, clock.nowMs());
        return refusalOf(overloaded);
      }
    }
    await pause(clock, pauseMs(attempt, random));
  }
}

/** Doubles with each attempt; between half of it and all of it, so that callers do not come back together. */
const pauseMs = (attempt: number, random: () => number): number =>
  Math.min(PAUSE_MS_MAX, FIRST_PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + random() / 2);

const refusalOf = (overloaded: boolean): Refusal =>
  overloaded
    ? refuse("overloaded", "The object that keeps this has too much to do; come again")
    : refuse("unavailable", "The object that keeps this could not be reached; come again");

const pause = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });

async function within<T>(clock: Clock, timeoutMs: number, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  // The rejection is a plain value: refusalOf reads fields, not classes.
  const cancel = clock.after(timeoutMs, () => late.reject(TIMED_OUT));
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    cancel();
  }
}
