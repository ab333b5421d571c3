/**
 * What Cloudflare is to the objects, invented: it wakes them, carries their calls, holds answers until they are on disk,
 * rings their alarms, and does all of it badly where the plan says so. It knows nothing of messages.
 */
import type { EventClock } from "../../kit/event-clock.node.ts";
import type { Clock } from "../../../src/platform/clock.ts";
import type { Dice } from "./dice.ts";
import { Disk, DiskFault } from "./disk.ts";
import { Ending } from "./ending.ts";

export interface Faults {
  /** A call takes this long one way, at most; seldom `stallMsMax`. */
  readonly hopMsMax: number;
  readonly stallMsMax: number;
  readonly stalls: number;
  /** Probability that a call gets lost on its way there, and its answer on its way back. */
  readonly lostCalls: number;
  readonly lostAnswers: number;
  /** Probability that whoever led calls that went together is gone when their answers come. */
  readonly lostTrips: number;
  readonly commitMsMax: number;
  /** Of an alarm. */
  readonly lateAlarms: number;
  readonly lateAlarmMsMax: number;
  readonly lostAlarms: number;
  readonly doubledAlarms: number;
}

/** What a caller sees when the platform failed it. Fields as workerd's errors have them. */
class TransportError extends Error {
  readonly retryable: boolean;

  constructor(message: string, retryable: boolean) {
    super(message);
    this.retryable = retryable;
  }

  /** There are thousands, and nobody asks where from. */
  static withoutStack(message: string, retryable: boolean): TransportError {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    const error = new TransportError(message, retryable);
    Error.stackTraceLimit = stackTraceLimit;
    return error;
  }
}

/** One life of an object: from its wake to its eviction or crash. */
export interface Life {
  isOver: boolean;
  readonly ending: Ending;
  readonly end: () => void;
  /** The object's own timers, which end with it. */
  readonly clock: Clock;
  readonly disk: Disk;
}

export interface Woken {
  readonly verbs: object;
  readonly alarm?: () => Promise<void>;
}

/** Makes an object of its name over its disk. */
export type Wake = (name: string, life: Life) => Woken;

interface Hosted {
  readonly name: string;
  readonly disk: Disk;
  readonly wake: Wake;
  life: Life | undefined;
  woken: Woken | undefined;
  cancelAlarm: () => void;
  /** An alarm rings again when its handler did not end. */
  ringing: number | undefined;
}

const never = new Promise<never>(() => undefined);

export class Host {
  readonly clock: EventClock;
  readonly #dice: Dice;
  readonly #hosted = new Map<string, Hosted>();
  faults: Faults;
  /** What the wall clock is ahead of the time that truly passes. */
  skewMs = 0;
  #wallMsMax = 0;
  readonly onError: (error: unknown) => void;

  constructor(clock: EventClock, dice: Dice, faults: Faults, onError: (error: unknown) => void) {
    this.clock = clock;
    this.#dice = dice;
    this.faults = faults;
    this.onError = onError;
  }

  wallMs(): number {
    const wallMs = this.clock.nowMs() + this.skewMs;
    this.#wallMsMax = Math.max(this.#wallMsMax, wallMs);
    return wallMs;
  }

  /** The clock is set right: no instant that was ever read lies ahead of it any more. Answers by how much it stepped. */
  mendClock(): number {
    const byMs = Math.max(0, this.#wallMsMax - this.wallMs());
    this.skewMs += byMs;
    return byMs;
  }

  /** Calls an object, which is woken if need be. `from` is the life that calls: its writes must be on disk first. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- Only the caller knows what wakes under a name.
  async call<S, T>(
    name: string,
    wake: Wake,
    call: (verbs: S) => Promise<T>,
    from?: Life,
  ): Promise<T> {
    if (from !== undefined) await from.disk.synced();
    const retryable = this.#dice.chance(0.7);
    const isLost = this.#dice.chance(this.faults.lostCalls);
    await this.clock.pause(this.hopMs());
    if (isLost) return this.#fail(from, "the call was lost", retryable);
    const hosted = this.#hostedAs(name, wake);
    const { life, woken } = this.#awake(hosted);
    const run = async (): Promise<T> => {
      const value = await call(woken.verbs as S);
      await hosted.disk.synced();
      return value;
    };
    let value: T;
    try {
      value = await life.ending.before(run());
    } catch (error) {
      // A disk that refuses resets the object; any other exception is a bug.
      if (error instanceof DiskFault) life.end();
      else if (!(error instanceof TransportError)) this.onError(error);
      await this.clock.pause(this.hopMs());
      return this.#fail(from, "the object was reset", retryable);
    }
    const isAnswerLost = this.#dice.chance(this.faults.lostAnswers);
    await this.clock.pause(this.hopMs());
    if (isAnswerLost) return this.#fail(from, "the answer was lost", retryable);
    return from?.isOver === true ? never : value;
  }

  /** Something happened to an object, which is woken if need be. Fulfilled when it is done with it, or its life is over. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- Only the caller knows what wakes under a name.
  async event<S>(name: string, wake: Wake, run: (verbs: S) => Promise<void>): Promise<void> {
    const { life, woken } = this.#awake(this.#hostedAs(name, wake));
    try {
      await life.ending.before(run(woken.verbs as S));
    } catch (error) {
      if (error instanceof DiskFault) life.end();
      else if (!(error instanceof TransportError)) this.onError(error);
    }
  }

  /** A call of an object to what is none: a Worker. */
  async reach<T>(from: Life, call: () => Promise<T>): Promise<T> {
    await from.disk.synced();
    const isLost = this.#dice.chance(this.faults.lostCalls);
    await this.clock.pause(this.hopMs());
    if (isLost) return this.#fail(from, "the call was lost", true);
    const value = await call();
    const isAnswerLost = this.#dice.chance(this.faults.lostAnswers);
    await this.clock.pause(this.hopMs());
    if (isAnswerLost) return this.#fail(from, "the answer was lost", true);
    return from.isOver ? never : value;
  }

  #fail(from: Life | undefined, message: string, retryable: boolean): Promise<never> {
    return from?.isOver === true
      ? never
      : Promise.reject(TransportError.withoutStack(message, retryable));
  }

  hopMs(): number {
    const { stalls, stallMsMax, hopMsMax } = this.faults;
    return this.#dice.roll() * (this.#dice.chance(stalls) ? stallMsMax : hopMsMax);
  }

  #hostedAs(name: string, wake: Wake): Hosted {
    let hosted = this.#hosted.get(name);
    if (hosted === undefined) {
      hosted = {
        name,
        disk: new Disk(this.clock, this.#dice.fork(), this.faults),
        wake,
        life: undefined,
        woken: undefined,
        cancelAlarm: () => undefined,
        ringing: undefined,
      };
      this.#hosted.set(name, hosted);
    }
    return hosted;
  }

  #awake(hosted: Hosted): { life: Life; woken: Woken } {
    if (hosted.life !== undefined && hosted.woken !== undefined)
      return { life: hosted.life, woken: hosted.woken };
    const life = this.#newLife(hosted);
    hosted.life = life;
    const woken = hosted.wake(hosted.name, life);
    hosted.woken = woken;
    return { life, woken };
  }

  #newLife(hosted: Hosted): Life {
    const ending = new Ending();
    const life: Life = {
      isOver: false,
      ending,
      end: () => {
        if (life.isOver) return;
        life.isOver = true;
        hosted.life = hosted.woken = undefined;
        hosted.disk.crash();
        if (hosted.ringing !== undefined) hosted.disk.setAlarm(hosted.ringing);
        hosted.ringing = undefined;
        ending.come(TransportError.withoutStack("the object was reset", true));
        this.armed(hosted.name);
      },
      clock: {
        nowMs: () => this.wallMs(),
        after: (delayMs, run) =>
          this.clock.after(delayMs, () => {
            if (!life.isOver) run();
          }),
      },
      disk: hosted.disk,
    };
    return life;
  }

  /** The object's alarm was set, or may have changed: it rings when the wall clock says so. */
  armed(name: string): void {
    const hosted = this.#hosted.get(name);
    if (hosted === undefined) return;
    hosted.cancelAlarm();
    const { alarmAt } = hosted.disk;
    if (alarmAt === undefined) return;
    const { lateAlarms, lateAlarmMsMax } = this.faults;
    const lateMs = this.#dice.chance(lateAlarms) ? this.#dice.roll() * lateAlarmMsMax : 0;
    hosted.cancelAlarm = this.clock.after(Math.max(0, alarmAt - this.wallMs()) + lateMs, () =>
      this.#ring(hosted, alarmAt),
    );
  }

  #ring(hosted: Hosted, atMs: number): void {
    if (hosted.disk.alarmAt !== atMs) return;
    hosted.disk.setAlarm(undefined);
    if (this.#dice.chance(this.faults.lostAlarms)) return;
    const rings = this.#dice.chance(this.faults.doubledAlarms) ? 2 : 1;
    for (let ring = 0; ring < rings; ring++) {
      const { life, woken } = this.#awake(hosted);
      hosted.ringing = atMs;
      const handled = woken.alarm?.() ?? Promise.resolve();
      handled
        .then(() => hosted.disk.synced())
        .then(
          () => {
            if (hosted.life === life) hosted.ringing = undefined;
          },
          (error: unknown) => {
            if (error instanceof DiskFault) life.end();
            else this.onError(error);
          },
        );
    }
  }

  /** Names of objects that live now, or of all that ever did. */
  names(onlyAwake: boolean): string[] {
    const hosted = [...this.#hosted.values()];
    return hosted.filter(({ life }) => !onlyAwake || life !== undefined).map(({ name }) => name);
  }

  disk(name: string): Disk | undefined {
    return this.#hosted.get(name)?.disk;
  }

  /** One object loses its memory. */
  evict(name: string): void {
    this.#hosted.get(name)?.life?.end();
  }

  /** The object's next statements but so many fail, most likely inside a flush. */
  failIn(name: string, statements: number): void {
    this.#hosted.get(name)?.disk.failIn(statements);
  }

  /** Everything loses its memory at once. */
  crash(): void {
    for (const hosted of this.#hosted.values()) hosted.life?.end();
  }

  /** The wall clock steps; alarms that were armed by the old one keep their distance, as timers do. */
  step(byMs: number): void {
    this.skewMs += byMs;
  }

  close(): void {
    for (const hosted of this.#hosted.values()) {
      hosted.cancelAlarm();
      hosted.disk.close();
    }
  }
}
