/**
 * Group commit ahead of the object. A call to a queue costs the platform several times what the queue does for it, so that
 * calls of one isolate which come while another is on its way gather until that is back, for two milliseconds at most, and go
 * as one. A lone call goes by itself, at once. The queue applies what comes together in one flush, as it would have anyway.
 *
 * One request's call may so be made by another. workerd allows that: a promise is followed in the context of the request
 * that made it, whoever fulfils it (`handle_cross_request_promise_resolution`, on since 2024-10-14). What it asks in return:
 * [N1] A request that waits for another has a timer of its own, or workerd takes it for hung.
 * [N2] The request that leads is kept alive although its client goes away; and when it is gone all the same, one of the
 * others leads, or is told after a while that nobody knows.
 * Nothing of a request is shared but the call, which is plain data. It never repeats a call.
 */
import type { Clock } from "../platform/clock.ts";
import type { Fault, SharedAnswer, SharedCall } from "../protocol/sharing.ts";

export interface SharedCallsPorts {
  readonly clock: Clock;
  /** One call by itself; throws as a stub does. */
  alone(name: string, call: SharedCall): Promise<unknown>;
  /** Many in one; an answer for each. */
  together(name: string, calls: readonly SharedCall[]): Promise<readonly SharedAnswer[]>;
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
/** Longer than a queue takes for what is shared. */
const ANSWER_MS = 30_000;

const LOST: Fault = { message: "the answer to a shared call was lost" };
const NEVER_CAME: SharedAnswer = { is: "failed", fault: LOST };

/** Calls that go together. */
interface Batch {
  readonly openedAt: number;
  readonly calls: SharedCall[];
  readonly answer: ((answer: SharedAnswer) => void)[];
  bytes: number;
  isSent: boolean;
  /** Gathers no longer. */
  go: () => void;
}

/** The way to one queue. */
interface Line {
  readonly name: string;
  /** The last call, until it is back. One that never comes back is forgotten with the next. */
  onItsWay: object | undefined;
  gathering: Batch | undefined;
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
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const line: Line = { name, onItsWay: undefined, gathering: undefined };
    this.#lines.set(name, line);
    return line;
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
    if (this.#lines.get(line.name) === line) this.#lines.delete(line.name);
  }

  #join(line: Line, call: SharedCall, bytes: number): Promise<SharedAnswer> {
    const nowMs = this.#ports.clock.nowMs();
    const { promise, resolve } = Promise.withResolvers<SharedAnswer>();
    let batch = line.gathering;
    if (batch === undefined || !takes(batch, bytes, nowMs)) {
      batch = {
        openedAt: nowMs,
        calls: [],
        answer: [],
        bytes: 0,
        isSent: false,
        go: () => undefined,
      };
      line.gathering = batch;
      this.#ports.outlive(this.#lead(line, batch));
    }
    batch.calls.push(call);
    batch.answer.push(resolve);
    batch.bytes += bytes;
    return this.#await(line, batch, promise, resolve);
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
  async #await(
    line: Line,
    batch: Batch,
    promise: Promise<SharedAnswer>,
    resolve: (answer: SharedAnswer) => void,
  ): Promise<SharedAnswer> {
    const { clock } = this.#ports;
    let cancel = clock.after(LEADER_MS, () => {
      cancel = clock.after(ANSWER_MS, () => resolve(NEVER_CAME));
      this.#ports.outlive(this.#send(line, batch));
    });
    const answer = await promise;
    cancel();
    return answer;
  }

  /** Never throws: who made a call hears of it as its answer. */
  async #send(line: Line, batch: Batch): Promise<void> {
    if (batch.isSent) return;
    batch.isSent = true;
    if (line.gathering === batch) line.gathering = undefined;
    const answers = await this.#answersTo(line, batch.calls);
    for (const [index, answer] of batch.answer.entries()) answer(answers[index] ?? NEVER_CAME);
  }

  async #answersTo(line: Line, calls: readonly SharedCall[]): Promise<readonly SharedAnswer[]> {
    const [first] = calls;
    try {
      if (first !== undefined && calls.length === 1)
        return [{ is: "answered", outcome: await this.#goAlone(line, first) }];
      return await this.#go(line, () => this.#ports.together(line.name, calls));
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
