/**
 * Group commit ahead of the object. A call to a queue costs the platform several times what the queue does for it, so that
 * calls of one isolate which come while another is on its way gather until that is back, for two milliseconds at most, and go
 * as one. A lone call goes by itself, at once. The queue applies what comes together in one flush, as it would have anyway.
 *
 * One request's call may so be made by another. workerd allows that: a promise is followed in the context of the request
 * that made it, whoever fulfils it (`handle_cross_request_promise_resolution`, on since 2024-10-14). What it asks in return:
 * [N1] A request that waits for another has a timer of its own, or workerd takes it for hung.
 * [N2] The request that leads is kept alive although its client goes away; and when it is gone all the same, one of the
 * others leads; had it sent them already, one asks the queue for the answers, and when it has none, all hear that nobody knows.
 * Nothing of a request is shared but the call, which is plain data. It never repeats a call.
 */
import type { Clock } from "../platform/clock.ts";
import type { Fault, SharedAnswer, SharedCall, Trip } from "../protocol/sharing.ts";

export interface SharedCallsPorts {
  readonly clock: Clock;
  /** One call by itself; throws as a stub does. */
  alone(name: string, call: SharedCall): Promise<unknown>;
  /** Many in one; an answer for each. */
  together(
    name: string,
    calls: readonly SharedCall[],
    trip: Trip,
  ): Promise<readonly SharedAnswer[]>;
  /** What the calls of that trip were answered, if the queue has it still. */
  missed(name: string, trip: string): Promise<readonly SharedAnswer[] | undefined>;
  /** One that no other isolate gives. */
  newId(): string;
  /** The answer that was not there with the others. */
  late(name: string, ticket: string): Promise<SharedAnswer>;
  /** The request that is at work ends no sooner than this. */
  outlive(work: Promise<unknown>): void;
}

const CALLS_MAX = 256;
/** Past so many bytes a call's cost is its bytes', and it goes by itself; and no more go together. */
const ALONE_BYTES = 256 * 1024;
const BYTES_MAX = 1024 * 1024;
/** Calls gather until the one before is back, and no longer than this. */
const GATHER_MS = 2;
/** Nobody joins those who gather longer: the request that leads them may be gone. */
const GATHERING_MS = 50;
/** After so long another one leads. */
const LEADER_MS = 1_000;
/** And after so long one asks for the answers of calls that were sent, and then once more. */
const ASK_AGAIN_MS = [LEADER_MS, 2_000];
/** Longer than a queue takes for what is shared. */
const ANSWER_MS = 30_000;
/** A way of which nothing was heard for so long leads nowhere. */
const FORGOTTEN_MS = 60_000;
/** Trips that the next one says are over; what the queue keeps of others goes with time. */
const OVER_MAX = 64;

const LOST: Fault = { message: "the answer to a shared call was lost" };
const NEVER_CAME: SharedAnswer = { is: "failed", fault: LOST };

/** Calls that go together. */
interface Batch {
  readonly id: string;
  readonly openedAt: number;
  readonly calls: SharedCall[];
  readonly answer: ((answer: SharedAnswer) => void)[];
  bytes: number;
  isSent: boolean;
  /** How often the queue was asked for its answers. */
  asked: number;
  /** Gathers no longer. */
  go: () => void;
}

/** One of them. */
interface Place {
  readonly batch: Batch;
  /** Its request makes the call. */
  readonly leads: boolean;
  readonly resolve: (answer: SharedAnswer) => void;
}

/** The way to one queue. */
interface Line {
  readonly name: string;
  /** The last call, until it is back. One that never comes back is forgotten with the next. */
  onItsWay: object | undefined;
  gathering: Batch | undefined;
  usedAt: number;
  /** Trips that are back since the last one left. */
  over: string[];
}

export class SharedCalls {
  readonly #ports: SharedCallsPorts;
  readonly #lines = new Map<string, Line>();

  constructor(ports: SharedCallsPorts) {
    this.#ports = ports;
  }

  /** The verb's outcome; throws what the object, or the way to it, threw, or a fault of the same fields. */
  async ask(name: string, call: SharedCall): Promise<unknown> {
    const bytes = bytesOf(call);
    const line = this.#lineTo(name);
    const isFree = line.onItsWay === undefined && line.gathering === undefined;
    if (isFree || bytes > ALONE_BYTES) return this.#goAlone(line, call);
    const answer = await this.#join(line, call, bytes);
    return this.#read(name, answer);
  }

  #lineTo(name: string): Line {
    const usedAt = this.#ports.clock.nowMs();
    const known = this.#lines.get(name);
    if (known !== undefined) {
      known.usedAt = usedAt;
      return known;
    }
    this.#forgetGone(usedAt);
    const line: Line = { name, onItsWay: undefined, gathering: undefined, usedAt, over: [] };
    this.#lines.set(name, line);
    return line;
  }

  /** Requests end without a word: what they left behind is looked at as others come, two for each that is new. */
  #forgetGone(nowMs: number): void {
    let left = 2;
    for (const line of this.#lines.values()) {
      if (left-- === 0) return;
      this.#lines.delete(line.name);
      if (nowMs - line.usedAt <= FORGOTTEN_MS) this.#lines.set(line.name, line);
    }
  }

  /** How many ways are remembered. */
  get ways(): number {
    return this.#lines.size;
  }

  async #goAlone(line: Line, call: SharedCall): Promise<unknown> {
    return this.#go(line, () => this.#ports.alone(line.name, call));
  }

  async #go<T>(line: Line, call: () => Promise<T>): Promise<T> {
    const own = {};
    line.onItsWay = own;
    try {
      return await call();
    } finally {
      if (line.onItsWay === own) line.onItsWay = undefined;
      if (line.gathering !== undefined) line.gathering.go();
      else if (line.onItsWay === undefined) this.#forget(line);
    }
  }

  #forget(line: Line): void {
    if (line.over.length === 0 && this.#lines.get(line.name) === line)
      this.#lines.delete(line.name);
  }

  #join(line: Line, call: SharedCall, bytes: number): Promise<SharedAnswer> {
    const nowMs = this.#ports.clock.nowMs();
    const { promise, resolve } = Promise.withResolvers<SharedAnswer>();
    const { gathering } = line;
    const leads = gathering === undefined || !takes(gathering, bytes, nowMs);
    const batch = leads ? this.#open(line, nowMs) : gathering;
    batch.calls.push(call);
    batch.answer.push(resolve);
    batch.bytes += bytes;
    return this.#await(line, { batch, leads, resolve }, promise);
  }

  #open(line: Line, nowMs: number): Batch {
    const batch: Batch = {
      id: this.#ports.newId(),
      openedAt: nowMs,
      calls: [],
      answer: [],
      bytes: 0,
      isSent: false,
      asked: 0,
      go: () => undefined,
    };
    line.gathering = batch;
    this.#ports.outlive(this.#lead(line, batch));
    return batch;
  }

  async #lead(line: Line, batch: Batch): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#ports.clock.after(GATHER_MS, resolve);
    batch.go = resolve;
    await promise;
    cancel();
    await this.#send(line, batch);
  }

  /** [N1] [N2] */
  async #await(line: Line, place: Place, promise: Promise<SharedAnswer>): Promise<SharedAnswer> {
    const ports = this.#ports;
    const { batch, resolve } = place;
    let { leads } = place;
    let cancel: (() => void) | undefined;
    const wait = (times: number): void => {
      const silenceMs = ASK_AGAIN_MS[times];
      if (silenceMs === undefined) {
        cancel = ports.clock.after(ANSWER_MS, () => resolve(NEVER_CAME));
        return;
      }
      cancel = ports.clock.after(silenceMs, () => {
        wait(times + 1);
        if (!batch.isSent) {
          leads = true;
          ports.outlive(this.#send(line, batch));
        } else if (!leads && batch.asked <= times) {
          batch.asked = times + 1;
          ports.outlive(this.#askAgain(line, batch));
        }
      });
    };
    wait(0);
    const answer = await promise;
    cancel?.();
    return answer;
  }

  /** [N2] For all that went together: the request that sent their calls may be gone. Who is at work has its answer himself. */
  async #askAgain({ name }: Line, batch: Batch): Promise<void> {
    const isLast = batch.asked === ASK_AGAIN_MS.length;
    try {
      const answers = await this.#ports.missed(name, batch.id);
      if (answers !== undefined || isLast) tell(batch, answers ?? []);
    } catch {
      // Out of reach: then the call itself may still come back.
    }
  }

  /** Never throws: who made a call hears of it as its answer. */
  async #send(line: Line, batch: Batch): Promise<void> {
    if (batch.isSent) return;
    batch.isSent = true;
    if (line.gathering === batch) line.gathering = undefined;
    const answers = await this.#answersTo(line, batch);
    tell(batch, answers);
  }

  async #answersTo(line: Line, { calls, id }: Batch): Promise<readonly SharedAnswer[]> {
    const [first] = calls;
    try {
      if (first !== undefined && calls.length === 1)
        return [{ is: "answered", outcome: await this.#goAlone(line, first) }];
      const trip = { id, over: line.over };
      line.over = [];
      return await this.#go(line, async () => {
        const answers = await this.#ports.together(line.name, calls, trip);
        if (line.over.length < OVER_MAX) line.over.push(id);
        return answers;
      });
    } catch (error) {
      const fault = faultOf(error);
      return calls.map(() => ({ is: "failed", fault }));
    }
  }

  async #read(name: string, answer: SharedAnswer): Promise<unknown> {
    const known = answer.is === "late" ? await this.#ports.late(name, answer.ticket) : answer;
    if (known.is === "answered") return known.outcome;
    // A plain value: who calls objects reads fields, not classes (platform/stub.ts).
    throw known.is === "failed" ? known.fault : LOST;
  }
}

function tell(batch: Batch, answers: readonly SharedAnswer[]): void {
  for (const [index, answer] of batch.answer.entries()) answer(answers[index] ?? NEVER_CAME);
}

const takes = ({ calls, bytes, openedAt }: Batch, more: number, nowMs: number): boolean =>
  calls.length < CALLS_MAX && bytes + more <= BYTES_MAX && nowMs - openedAt <= GATHERING_MS;

/** What a call carries, roughly, where it can be much. */
function bytesOf({ verb, call }: SharedCall): number {
  return verb === "send" || verb === "prepare" ? call.records.length : 0;
}

/** Plain, so that every request may read it. */
function faultOf(error: unknown): Fault {
  const { message, retryable, overloaded } = (
    typeof error === "object" && error !== null ? error : {}
  ) as Fault;
  return {
    ...(message === undefined ? {} : { message }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(overloaded === undefined ? {} : { overloaded }),
  };
}
